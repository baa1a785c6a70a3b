"""``pegboard cam RUN_OR_CHECKPOINT IMAGE...``."""

import argparse
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pegboard.console import say, show_log
from pegboard.errors import PegboardError, did_you_mean
from pegboard_visual.cam_methods import TITLES
from pegboard_visual.commands.arguments import add_model, add_out, open_model, whole

if TYPE_CHECKING:
    from pegboard_visual.commands.trained import Trained

HELP = "draw where an image speaks for a class: Grad-CAM and its family"
AT_ONCE = 16  # targets that go through the model together
ROWS = 12  # of a sheet; of more targets it shows the likeliest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model(parser)
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, of any size and mode")
    parser.add_argument("--method", default="gradcam", choices=TITLES, help="gradcam unless given")
    parser.add_argument("--layer", metavar="NAME", help="e.g. conv2; the last layer that gives maps unless given")
    parser.add_argument(
        "--target",
        nargs="+",
        default=["predicted"],
        metavar="CLASS",
        help="names or numbers of classes, predicted, or all; predicted unless given",
    )
    parser.add_argument("--size", type=whole(), metavar="PIXELS", help="side to which images are brought first")
    parser.add_argument(
        "--reshape", metavar="MODULE:FUNCTION", help="makes maps (B, K, h, w) of the layer's tokens; it is imported"
    )
    add_out(parser, "figures/cam/ in the run folder, or ./cam without one")


def run(arguments: argparse.Namespace) -> int:
    """Print what the model sees, and write the pictures."""
    show_log()
    if arguments.method == "guided_backprop" and (arguments.layer or arguments.reshape):
        raise PegboardError(
            "guided_backprop goes back to the pixels and reads no layer: leave out --layer and --reshape"
        )
    if arguments.method == "cam" and arguments.reshape:
        raise PegboardError("cam reads maps before a global average pool, never tokens: leave out --reshape")
    trained = open_model(arguments, arguments.size)
    default = trained.folder / "figures" / "cam" if trained.folder else Path("cam")
    job = Job(trained, arguments.method, arguments.layer, _reshape(arguments.reshape), arguments.target)
    names = Names(Path(arguments.out) if arguments.out else default)
    said = ""
    for image in arguments.images:
        said = explain(job, Path(image), names, said)
    say(f"{names.count} files in {names.folder}")
    return 0


class Job(NamedTuple):
    """What is asked of every image."""

    trained: "Trained"
    method: str
    layer: str | None
    reshape: Any
    targets: list[str]


class Names:
    """File names in a folder, no two alike: images of one name from two folders get numbers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.used: set[str] = set()
        self.count = 0

    def stem(self, name: str) -> str:
        """The name, safe for any file system, and unused."""
        safe = re.sub(r"[^\w.+-]+", "_", name).strip("._") or "image"
        free = next(n for n in (safe, *(f"{safe}_{i}" for i in range(2, 10**6))) if n.lower() not in self.used)
        self.used.add(free.lower())
        return free

    def path(self, file: str) -> Path:
        self.count += 1
        return self.folder / file


def explain(job: Job, path: Path, names: Names, said: str) -> str:
    """Draw one image, and print its prediction and the layer, unless that is what was ``said`` last."""
    import numpy as np
    import torch

    from pegboard_visual.cam import METHODS, cells_of, default_layer, predict
    from pegboard_visual.drawing.picture import save
    from pegboard_visual.pictures.cam import explained, sheet

    prepared = job.trained.prepare(path)
    with job.trained.taking(prepared.inputs):
        logits = predict(job.trained.model, prepared.inputs)
    probabilities = logits.softmax(1)[0].cpu().numpy()
    classes = [*job.trained.classes, *map(str, range(len(job.trained.classes), len(probabilities)))]
    targets = chosen(job.targets, classes, int(probabilities.argmax()))
    function = METHODS[job.method]
    accepted = {"layer": job.layer, "reshape": job.reshape} if job.method != "guided_backprop" else {}
    accepted = {name: value for name, value in accepted.items() if name in inspect.signature(function).parameters}
    layer = accepted and (job.layer or default_layer(job.trained.model, prepared.inputs))
    heading = TITLES[job.method] + (f", layer {layer}" if layer else "")

    given = []
    for start in range(0, len(targets), AT_ONCE):
        some = torch.tensor(targets[start : start + AT_ONCE])
        repeated = prepared.inputs.expand(len(some), -1, -1, -1)
        given += list(function(job.trained.model, repeated, some, **accepted).cpu())

    if heading != said:
        say(heading)
    best = np.argsort(probabilities, kind="stable")[::-1][:5]
    say(f"{path}: " + ", ".join(f"{classes[i]} {100 * probabilities[i]:.1f} %" for i in best))

    cells = cells_of(job.trained.model, prepared.inputs, job.layer, job.reshape) if given[0].ndim == 2 else None
    stem = names.stem(path.stem)
    save(prepared.image, names.path(f"{stem}_image.png"))
    rows = []
    for target, values in zip(targets, given, strict=True):
        file = names.stem(f"{stem}_{job.method}_{classes[target]}")
        np.save(names.path(f"{file}.npy"), values.numpy())
        row = explained(
            prepared.image, values, prepared.inputs.shape[-2:], cells, path.name, target, probabilities.tolist(),
            window=prepared.window,
        )  # fmt: skip
        save(row.overlay, names.path(f"{file}_overlay.png"))
        if row.note:
            say(f"  {classes[target]}: the map is flat: no evidence found at this layer")
        rows.append(row)
    if len(rows) > ROWS:
        say(f"  the sheet shows the {ROWS} likeliest of {len(rows)} classes")
        rows = sorted(rows, key=lambda row: -row.probabilities[row.target])[:ROWS]
    column = "gradient" if job.method.startswith("guided") else "map"
    save(sheet(rows, classes, heading, column), names.path(f"{stem}_{job.method}_sheet.png"))
    return heading


def chosen(wanted: list[str], classes: list[str], predicted: int) -> list[int]:
    """The numbers of the classes that are asked for, in order, each once.

    A class's own name comes before its number, so that a class called "3" is found by it.

    Raises:
        PegboardError: there is no such class; all there are, and the nearest, are said.
    """
    found: list[int] = []
    for name in wanted:
        if name == "all":
            found += range(len(classes))
        elif name == "predicted":
            found.append(predicted)
        elif name in classes:
            found.append(classes.index(name))
        elif name.isdecimal() and int(name) < len(classes):
            found.append(int(name))
        else:
            valid = ", ".join(f"{i} {known}" if str(i) != known else known for i, known in enumerate(classes))
            near = did_you_mean(name, [*classes, "predicted", "all"]).removesuffix("?")
            raise PegboardError(f"there is no class {name!r}{near}; the targets are predicted, all, {valid}")
    return list(dict.fromkeys(found))


def _reshape(address: str | None) -> Any:
    if address is None:
        return None
    from pegboard.address import misfit, resolve

    if problem := misfit(address):
        raise PegboardError(f"--reshape {address}: {problem}")
    return resolve(address)
