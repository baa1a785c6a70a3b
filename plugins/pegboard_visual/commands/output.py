"""Where the pictures of a command go, and the arguments that such commands share."""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pegboard import PegboardError
from pegboard.cli.common import add_overrides
from pegboard.console import say

if TYPE_CHECKING:
    from pegboard_visual.draw import Picture
    from pegboard_visual.trained import Trained


class Output:
    """Collects pictures in ``figures/`` of a run, where its report finds them, or in a folder of one's own.

    Args:
        run: its folder; None where there is none.
        out: the folder of one's own, which then holds all of them side by side.
        epoch, iteration: after which the model was saved.
    """

    def __init__(self, run: Path | None, out: str | None, epoch: int = 0, iteration: int = 0) -> None:
        from pegboard import Pictures  # here: it imports NumPy, which listing commands need not

        self.pictures = Pictures(run / "figures") if run is not None and out is None else None
        self.folder = Path(out) if out is not None else Path()
        self.epoch, self.iteration = epoch, iteration

    def add(self, name: str, picture: "Picture", caption: str, data: Mapping[str, Any]) -> Path:
        """Write a PNG, and the JSON beside it; print where.

        Raises:
            PegboardError: the folder cannot be written.
        """
        try:
            path = self._write(name, picture, caption, data)
        except OSError as error:
            where = self.folder if self.pictures is None else self.pictures.folder
            raise PegboardError(f"{where} cannot be written: {error.strerror or error}") from error
        say(path)
        return path

    def _write(self, name: str, picture: "Picture", caption: str, data: Mapping[str, Any]) -> Path:
        from pegboard.pictures import file_name
        from pegboard_visual.draw import save

        if self.pictures is not None:
            epoch, iteration = self.epoch, self.iteration
            path = self.pictures.add(name, picture, caption, epoch=epoch, iteration=iteration, data=data).path
        else:
            path = self.folder / f"{file_name(name)}.png"
            save(picture, path)
            path.with_suffix(".json").write_text(json.dumps({"name": name, "caption": caption, "data": dict(data)}))
        return path


def add_model_arguments(parser: argparse.ArgumentParser) -> None:
    """RUN_OR_CHECKPOINT."""
    parser.add_argument(
        "path", metavar="RUN_OR_CHECKPOINT", help="a run folder, a checkpoint, or (with --config) a state dict"
    )


def add_common_arguments(parser: argparse.ArgumentParser) -> None:
    """--out, --config, --device, --plugins and --cfg-options."""
    parser.add_argument("--out", metavar="DIR", help="figures/ in the run folder, or the working folder, unless given")
    parser.add_argument(
        "--config", metavar="CONFIG", help="for a bare weights file: the config that says what it is; it is run"
    )
    parser.add_argument("--device", help="auto, cpu, cuda, cuda:N or mps")
    parser.add_argument(
        "--plugins", nargs="+", metavar="PLUGIN", default=[], help="run these files or modules first; the run's are not"
    )
    add_overrides(parser)


def opened(arguments: argparse.Namespace, size: int | None = None) -> "Trained":
    """The model that the arguments name."""
    from pegboard_visual.trained import open_trained

    return open_trained(Path(arguments.path), arguments.config, options(arguments), tuple(arguments.plugins), size)


def options(arguments: argparse.Namespace) -> tuple[str, ...]:
    """The overrides of the config, --device among them."""
    device: Sequence[str] = [f"device={arguments.device!r}"] if arguments.device else []
    return (*arguments.cfg_options, *device)


def positive(text: str) -> int:
    """An integer from 1 on, for argparse."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected an integer, at least 1, got {text!r}")
    return int(text)
