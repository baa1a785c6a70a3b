"""``pegboard cam RUN_OR_CHECKPOINT IMAGE...``."""

import argparse
import inspect
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pegboard.cli.common import add_overrides
from pegboard.console import say, show_log
from pegboard.errors import PegboardError, did_you_mean

if TYPE_CHECKING:
    from torch import Tensor

    from pegboard_visual.cam import Cells
    from pegboard_visual.draw import Row
    from pegboard_visual.trained import Prepared, Trained

HELP = "draw where an image speaks for a class: Grad-CAM and its family"
METHODS = {  # as the command and the hook call them, and as people do
    "gradcam": "Grad-CAM",
    "gradcam++": "Grad-CAM++",
    "cam": "CAM",
    "eigencam": "Eigen-CAM",
    "guided_backprop": "Guided backpropagation",
    "guided_gradcam": "Guided Grad-CAM",
}
AT_ONCE = 16  # targets that go through the model together
ROWS = 12  # of a sheet; of more targets it shows the likeliest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="RUN_OR_CHECKPOINT", help="a run folder, a checkpoint, or (with --config) a state dict"
    )
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="image files, of any size and mode")
    parser.add_argument("--method", default="gradcam", choices=METHODS, help="gradcam unless given")
    parser.add_argument("--layer", metavar="NAME", help="e.g. conv2; the last layer that gives maps unless given")
    parser.add_argument(
        "--target",
        nargs="+",
        default=["predicted"],
        metavar="CLASS",
        help="names or numbers of classes, predicted, or all; predicted unless given",
    )
    parser.add_argument("--out", metavar="DIR", help="figures/cam in the run folder, or ./cam, unless given")
    parser.add_argument(
        "--config", metavar="CONFIG", help="for a bare weights file: the config that says what it is; it is run"
    )
    parser.add_argument("--size", type=_size, metavar="PIXELS", help="side to which images are brought first")
    parser.add_argument(
        "--reshape", metavar="MODULE:FUNCTION", help="makes maps (B, K, h, w) of the layer's tokens; it is imported"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--plugins", nargs="+", metavar="PLUGIN", default=[], help="run these files or modules first; the run's are not"
    )
    add_overrides(parser)


def run(arguments: argparse.Namespace) -> int:
    """Print what the model sees, and write the pictures."""
    from pegboard_visual.trained import open_trained

    show_log()
    if arguments.method == "guided_backprop" and (arguments.layer or arguments.reshape):
        raise PegboardError(
            "guided_backprop goes back to the pixels and reads no layer: leave out --layer and --reshape"
        )
    if arguments.method == "cam" and arguments.reshape:
        raise PegboardError("cam reads maps before a global average pool, never tokens: leave out --reshape")
    options = [*arguments.cfg_options, *([f"device={arguments.device!r}"] if arguments.device else [])]
    trained = open_trained(
        Path(arguments.path), arguments.config, tuple(options), tuple(arguments.plugins), arguments.size
    )
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

    from pegboard_visual.cam import METHODS as FUNCTIONS
    from pegboard_visual.cam import cells_of, default_layer, predict
    from pegboard_visual.draw import save, sheet

    prepared = job.trained.prepare(path)
    logits = _understood(lambda: predict(job.trained.model, prepared.inputs), job.trained, prepared)
    probabilities = logits.softmax(1)[0].cpu().numpy()
    classes = [*job.trained.classes, *map(str, range(len(job.trained.classes), len(probabilities)))]
    targets = chosen(job.targets, classes, int(probabilities.argmax()))
    function = FUNCTIONS[job.method]
    accepted = {"layer": job.layer, "reshape": job.reshape} if job.method != "guided_backprop" else {}
    accepted = {name: value for name, value in accepted.items() if name in inspect.signature(function).parameters}
    layer = accepted and (job.layer or default_layer(job.trained.model, prepared.inputs))
    heading = METHODS[job.method] + (f", layer {layer}" if layer else "")

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
        row = _row(prepared, values, cells, path.name, target, probabilities.tolist())
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


def _row(
    prepared: "Prepared", values: "Tensor", cells: "Cells | None", name: str, target: int, probabilities: list[float]
) -> "Row":
    from pegboard_visual.cam import is_flat
    from pegboard_visual.draw import Row, overlay, placed

    note = "flat map: no evidence here" if bool(is_flat(values[None])) else ""
    middle, bright = placed(values, prepared.inputs.shape[-2:], cells)
    return Row(
        prepared.image, middle, overlay(prepared.image, in_window(bright, prepared)), name, target, probabilities, note
    )


def in_window(values: Any, prepared: "Prepared") -> Any:
    """A map of what the network saw, (h, w), at its place in the whole image, (H, W); 0 where it saw nothing."""
    import numpy as np

    from pegboard_visual.draw import enlarged

    height, width = prepared.image.shape[:2]
    left, top, right, bottom = (round(side) for side in prepared.window)
    seen = enlarged(values, max(1, bottom - top), max(1, right - left))
    whole = np.zeros((height, width), np.float32)
    rows, columns = slice(max(0, top), min(height, bottom)), slice(max(0, left), min(width, right))
    whole[rows, columns] = seen[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
    return whole


def _understood(predict: Any, trained: "Trained", prepared: "Prepared") -> Any:
    """The prediction; a size that the network cannot take is said in words."""
    try:
        return predict()
    except RuntimeError as error:
        shape = tuple(prepared.inputs.shape)
        raise PegboardError(
            f"the {type(trained.model).__name__} cannot take an input {shape}: {str(error).splitlines()[0]}; "
            "--size PIXELS brings images to a square of that side first"
        ) from error


def _size(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected pixels, at least 1, got {text!r}")
    return int(text)


def _reshape(address: str | None) -> Any:
    if address is None:
        return None
    from pegboard.address import misfit, resolve

    if problem := misfit(address):
        raise PegboardError(f"--reshape {address}: {problem}")
    return resolve(address)
