"""``pegboard histograms RUN``."""

import argparse
import sys
from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

from pegboard.console import say, show_log, table
from pegboard_visual.commands.arguments import add_out, whole
from pegboard_visual.commands.output import Output

HELP = "draw how the weights of a run's checkpoints are distributed"
ROWS = 12


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "path", metavar="RUN_OR_CHECKPOINT", help="a run folder, whose checkpoints are all read, or one"
    )
    parser.add_argument(
        "--rows", type=whole(), default=ROWS, metavar="N", help=f"parameters in the picture; {ROWS} unless given"
    )
    add_out(parser)


def run(arguments: argparse.Namespace) -> int:
    """A picture of the last checkpoint, and of all before it; a table of its weights."""
    from pegboard_visual.pictures.histograms import Read, data_of, notes_of, summary
    from pegboard_visual.pictures.histograms_page import Moment, histograms_shown

    show_log()
    moments: list[Moment] = []
    read: dict[str, Read] = {}
    folder, states = _opened(Path(arguments.path))
    for state in states:
        read = {name: Read(summary(tensor)) for name, tensor in _weights(state).items()}
        data = data_of(read, notes_of(read, gradients_expected=False))
        epoch = int(state.get("epoch", 0)) + bool(state.get("position"))
        moments.append(Moment(epoch, int(state.get("iteration", 0)), data))
    moments.sort(key=lambda moment: moment.iteration)
    last = moments[-1]
    rows = []
    for name, record in last.data["tensors"].items():
        ends = (record["edges"][0], record["quantiles"].get("0.5", 0.0), record["edges"][-1])
        rows.append([name.removesuffix("_data"), *(f"{v:.3g}" for v in (record["mean"], record["std"], *ends))])
    table(("parameter", "mean", "std", "smallest", "median", "largest"), rows, file=sys.stdout)
    for note in last.data["notes"]:
        say(note)
    output = Output(folder, arguments.out, last.epoch, last.iteration)
    # The hook's picture of this moment, with its gradients, stays.
    name = "Histograms_weights" if _drawn(folder, last.iteration) and arguments.out is None else "Histograms"
    output.add(histograms_shown(moments, arguments.rows, "Weights", name))
    return 0


def _drawn(folder: Path | None, iteration: int) -> bool:
    """Has the hook drawn this moment?"""
    from pegboard import Pictures

    if folder is None:
        return False
    return any(
        shown.name == "Histograms" and shown.iteration == iteration and shown.data.get("update_ratio")
        for shown in Pictures(folder / "figures").all()
    )


def _opened(path: Path) -> tuple[Path | None, Iterator[dict[str, Any]]]:
    """The run's folder, if there is one; and the checkpoint that a path names, or each of its run."""
    from pegboard.checkpoint import Checkpoints, load
    from pegboard.cli.opened import open_run

    opened = open_run(path)
    checkpoints = Checkpoints(opened.beside / "checkpoints")
    folder = opened.beside if checkpoints.folder.is_dir() else None
    files = [checkpoints.folder / entry["file"] for entry in checkpoints.index()] if folder and path.is_dir() else []
    before = (load(file) for file in files if file.name != opened.file.name)
    return folder, chain(before, [opened.state])


def _weights(state: Mapping[str, Any]) -> dict[str, Any]:
    """The tensors of the model that are numbers with a fraction; counters of batch norms are not."""
    return {name: tensor for name, tensor in state["model"].items() if tensor.is_floating_point()}
