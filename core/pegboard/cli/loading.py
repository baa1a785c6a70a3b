"""What it costs everybody to load a plugin: found out in a process of its own, which may hang or end."""

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint
from pathlib import Path

from pegboard.testing.importing import advice

SCRIPT = Path(__file__).parent / "load_alone.py"
SECONDS = 60  # that loading may take before it counts as endless
ADVICE = advice("SystemExit", "", "")
HEAVY = ("torch", "torchvision", "torchmetrics", "timm", "tensorflow", "jax", "matplotlib", "cv2", "sklearn", "scipy",
         "pandas")  # fmt: skip


@dataclass
class Loaded:
    """What loading a plugin did.

    Args:
        fault: why it cannot be loaded, with what to do; empty if it can.
        seconds: of a processor.
        heavy: libraries that it imports, of those that take long.
        changed: what of the process is another than before, in words.
        left: files in the working directory.
        printed, warned: the first line on stdout and on stderr.
    """

    fault: str = ""
    seconds: float = 0.0
    heavy: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    printed: str = ""
    warned: str = ""


def load_alone(point: EntryPoint) -> Loaded:
    """Load it in a new process, in an empty folder."""
    with tempfile.TemporaryDirectory() as kept, tempfile.TemporaryDirectory() as folder:
        report = Path(kept) / "report.json"
        path = [*sys.path, str(Path.cwd())]
        asked = json.dumps(
            {"plugin": point.name, "value": point.value, "path": path, "report": str(report), "seconds": SECONDS}
        )
        command = [sys.executable, str(SCRIPT), asked]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder, errors="replace")
        left = sorted(path.name for path in Path(folder).iterdir())
        told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else None
    if told is None:
        return Loaded(_ended(done.returncode, done.stderr))
    if "error" in told:
        return Loaded(_advised(point, told["error"], told["kind"], told["where"], told["missing"]))
    heavy = [name for name in HEAVY if name in told["modules"]]
    return Loaded("", told["seconds"], heavy, told["changed"], left, _first(done.stdout), _first(done.stderr))


def _first(text: str) -> str:
    return next((line.strip() for line in text.splitlines() if line.strip()), "")


def _ended(status: int, said: str) -> str:
    if timed_out(said):
        return (f"loading it had not ended after {SECONDS} s; every `pegboard` command waits for it{last_place(said)}"
                f"\n{ADVICE}")  # fmt: skip
    return f"loading it ends the process, with status {status}, and so any `pegboard` command\n{ADVICE}"


def timed_out(said: str) -> bool:
    """Has faulthandler ended the process?"""
    return re.search(r"^Timeout \(\d+:\d\d:", said, re.MULTILINE) is not None


def last_place(said: str) -> str:
    """A line that says where the newest thread was, as faulthandler tells it; empty where it does not."""
    places = re.findall(r'^  File "(.+)", line (\d+) in (.+)$', said, re.MULTILINE)
    own = str(SCRIPT.parent.parent)
    places = [place for place in places if not place[0].startswith((own, "<frozen"))]
    return f"\n{places[0][0]}:{places[0][1]}: in {places[0][2]}" if places else ""


def _advised(point: EntryPoint, error: str, kind: str, where: str, missing: str) -> str:
    """Why it cannot be loaded, where, and what to do; an error of pegboard's own says all that itself."""
    if kind == "PegboardError":
        return f"it is not loaded, so nobody has its parts: {error}"
    said = f"it cannot be loaded, so nobody has its parts: {kind}{': ' * bool(error)}{error}"
    return "\n".join([said, *filter(None, [where]), _advice(point, error, kind, where, missing)])


def _advice(point: EntryPoint, error: str, kind: str, where: str, missing: str) -> str:
    group = "[project.entry-points.pegboard] in its pyproject.toml"
    if not where and missing and point.module.startswith(missing):
        return f"{group} names {point.value!r}, and that module is not installed: mend one of them, and install it anew"
    if kind == "AttributeError" and not where and point.attr:
        return f"{group} names {point.value!r}; expected a module that has pegboard_register, e.g. {point.module!r}"
    return advice(kind, error, missing)


def verdicts(loaded: Loaded) -> list[str]:
    """What is wrong with how it loads, each with what to do."""
    faults = []
    if loaded.heavy:
        faults.append(
            f"loading it imports {', '.join(loaded.heavy)}, at every start of `pegboard`; register parts by address, "
            'boards.models.add_lazy("Net", "package.module:Net"), and import nothing heavy in __init__'
        )
    if loaded.left:
        left = ", ".join(loaded.left)
        faults.append(f"loading it leaves {left} in the working directory; registering opens no files")
    if loaded.changed:
        changed = " and ".join(loaded.changed)
        faults.append(f"loading it changes {changed} for runs too that never use it; do so in the part that needs it")
    if loaded.printed:
        faults.append(
            f"loading it prints {loaded.printed[:60]!r}, at every start of `pegboard`, also into what `pegboard print` "
            "writes; say nothing, or use logging in the part that has to"
        )
    return faults
