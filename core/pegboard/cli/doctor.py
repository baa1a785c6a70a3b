"""Is a plugin sound? What it says of itself, what it costs everybody else, and how its parts keep their promises.

Nothing of a plugin runs in this process: one that hangs, ends its process or prints must not do so to the doctor.
"""

import faulthandler
import os
import re
import signal
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import suppress
from importlib.metadata import EntryPoint, entry_points
from multiprocessing import connection, get_context
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, cast

from pegboard.cli.added import OWN
from pegboard.cli.loading import last_place, load_alone, timed_out, verdicts
from pegboard.errors import PegboardError, did_you_mean

if TYPE_CHECKING:
    from pegboard.cli.diagnosis import Diagnosis

SECONDS = 180  # that one promise may take before it counts as endless
SLOW = 0.3  # seconds that loading a plugin may add to every start of `pegboard`


def report(name: str) -> int:
    """Print a diagnosis of one plugin, or of all where ``name`` is empty; 1 if one is unsound."""
    points = _chosen(name)
    unsound = []
    with Examiner() as examiner:
        for number, point in enumerate(points):
            found = diagnose(point, examiner)
            print("\n" * bool(number) + "\n".join(_lines(point, found)), flush=True)
            unsound += [point.name] if found.faults else []
    if len(points) > 1:
        verdict = f"{len(unsound)} unsound: {', '.join(unsound)}" if unsound else "all sound"
        print(f"\n{len(points)} plugins, {verdict}")
    return 1 if unsound else 0


def diagnose(point: EntryPoint, examiner: "Examiner") -> "Diagnosis":
    """How it was packed, what loading it does, and what its parts do; one that cannot be loaded has no parts."""
    from pegboard.cli.diagnosis import Diagnosis

    found = Diagnosis()
    look_at_metadata(point, found)
    loaded = load_alone(point)
    if loaded.fault:
        found.faults.append(loaded.fault)
        return found
    imports = f"imports {', '.join(loaded.heavy)}" if loaded.heavy else "imports nothing heavy"
    loading = ("loading", f"{1000 * loaded.seconds:.0f} ms, {imports}")
    found.faults += verdicts(loaded)
    if not loaded.heavy and loaded.seconds > SLOW:
        found.hints.append(f"loading it takes {loaded.seconds:.1f} s at every start of `pegboard`; import less of it")
    if loaded.warned:
        found.hints.append(
            f"loading it writes {loaded.warned[:60]!r} to stderr, at every start of `pegboard`; be silent"
        )
    examined = examiner.examine(point)
    found.findings += [*examined.findings[:1], loading, *examined.findings[1:]]
    found.faults += examined.faults
    found.hints += examined.hints
    return found


def _chosen(name: str) -> list[EntryPoint]:
    points = sorted(entry_points(group="pegboard"), key=lambda point: point.name)
    if not name:
        return points
    if name == OWN:
        return [point for point in points if _distribution(point) == OWN]
    called = {known: point for point in points for known in (_distribution(point), point.module, point.name)}
    if name not in called:
        nearest = did_you_mean(name, called, otherwise=f"; there are {', '.join(point.name for point in points)}")
        raise PegboardError(f"there is no plugin {name!r}{nearest}")
    return [called[name]]


def look_at_metadata(point: EntryPoint, found: "Diagnosis") -> None:
    """What pip knows of it, and whether another distribution calls its plugin alike."""
    alike = [other for other in entry_points(group="pegboard", name=point.name) if other.value != point.value]
    for other in alike:
        found.faults.append(f"{_distribution(other)} has a plugin {point.name!r} too, and only one of them is loaded; "
                            f"call yours by its module in [project.entry-points.pegboard]: {point.module}")  # fmt: skip
    if point.dist is None or not point.dist.name or not point.dist.version:
        found.faults.append("its metadata has no name or no version; give [project] in its pyproject.toml both, and "
                            "install it anew")  # fmt: skip
        return
    needs = [re.split(r"[^\w.-]", needed)[0] for needed in point.dist.requires or () if "extra ==" not in needed]
    if OWN not in (*needs, point.dist.name):
        found.hints.append('its metadata does not say that it needs pegboard; write dependencies = ["pegboard"] into '
                           "its pyproject.toml, and pip brings it")  # fmt: skip


def _distribution(point: EntryPoint) -> str:
    return (point.dist.name if point.dist else "") or ""


def _lines(point: EntryPoint, found: "Diagnosis") -> Iterator[str]:
    verdict = "UNSOUND" if found.faults else "sound"
    version = (point.dist.version if point.dist else "") or "of no version"
    yield f"{point.name} ({_distribution(point) or 'of no distribution'} {version}, module {point.value}): {verdict}"
    width = max((len(what) for what, _ in found.findings), default=0)
    for what, finding in found.findings:
        first, *more = textwrap.wrap(finding, 100)
        yield f"  {what:<{width}}  {first}"
        yield from (f"  {'':<{width}}  {line}" for line in more)
    for title, said in (("to be mended", found.faults), ("could be better", found.hints)):
        if said:
            yield f"  {title}:"
            yield from (f"  - {line}".replace("\n", "\n    ") for line in said)


# -- the process in which they are tried -----------------------------------------------------------------------------


class Examiner:
    """A process that tries one plugin after another; where a part ends it, or never ends, the next gets a new one."""

    def __init__(self) -> None:
        self.folder = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        self.process: Any = None
        self.pipe: Any = None

    def __enter__(self) -> "Examiner":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._end(at_once=error is not None)
        self.folder.cleanup()

    def examine(self, point: EntryPoint) -> "Diagnosis":
        """All that its parts do, or did until one ended the process."""
        from pegboard.cli.diagnosis import Diagnosis

        if self.process is None:
            self._start()
        self.pipe.send((point.name, point.value))
        found = Diagnosis()
        while True:
            connection.wait([self.pipe, self.process.sentinel])
            try:
                found = cast("Diagnosis", self.pipe.recv())
            except (EOFError, ConnectionError):
                self.process.join()
                found.faults.append(f"{found.doing}: {self._ended()}; what comes after it was not tried")
                self._end(at_once=True)
                return found
            if not found.doing:
                return found

    def _start(self) -> None:
        spawning = get_context("spawn")
        self.pipe, others = spawning.Pipe()
        self.process = spawning.Process(target=_attend, args=(others, self.folder.name, SECONDS))
        self.process.start()
        others.close()

    def _end(self, at_once: bool) -> None:
        if self.process is None:
            return
        self.pipe.close()  # at which it ends of itself, and those that it started
        self.process.join(timeout=0 if at_once else 60)
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # one that it started may go on for ever
        self.process.kill()
        self.process = None

    def _ended(self) -> str:
        said = Path(self.folder.name, "stderr").read_text(encoding="utf-8", errors="replace")
        if timed_out(said):
            return f"it had not ended after {SECONDS} s{last_place(said)}"
        status = self.process.exitcode
        return f"it ended the process, {f'by signal {-status}' if status < 0 else f'with status {status}'}"


def _attend(pipe: Any, folder: str, seconds: float) -> None:
    """Diagnose each plugin that is asked for; what it prints, and its temporary files, go to the folder."""
    from pegboard.cli.diagnosis import Diagnosis, diagnose

    if hasattr(os, "setsid"):
        os.setsid()  # a group of its own, which ends as one
    tempfile.tempdir = os.environ["TMPDIR"] = folder  # where nothing is left: this process may not come to clean up
    with Path(folder, "stdout").open("wb") as out, Path(folder, "stderr").open("wb") as err:
        os.dup2(out.fileno(), 1)
        os.dup2(err.fileno(), 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)

    def tell(found: Diagnosis) -> None:
        faulthandler.dump_traceback_later(seconds, exit=True)
        pipe.send(found)

    while True:
        try:
            name, value = pipe.recv()
        except EOFError:
            return
        found = diagnose(name, value, tell)
        faulthandler.cancel_dump_traceback_later()
        pipe.send(Diagnosis(found.findings, found.faults, found.hints))
