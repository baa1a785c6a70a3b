"""``pegboard model CONFIG``."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from pegboard.cli.common import add_config, load
from pegboard.config import Config, check
from pegboard.console import say, table
from pegboard.errors import ConfigError, PegboardError, Problem

if TYPE_CHECKING:
    from pegboard.runner.layers import Layer

HEADER = ("layer", "type", "output", "parameters", "FLOPs", "trained", "group", "lr")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)
    parser.add_argument("--depth", type=int, metavar="N", help="show layers up to N names deep; all unless given")
    parser.add_argument(
        "--input",
        type=int,
        nargs="+",
        metavar="N",
        help="size of one input, e.g. 3 32 32, where the data is not at hand; the training data's unless given",
    )


def run(arguments: argparse.Namespace) -> int:
    """Print a row a layer: what it gives, what it costs, and how it is trained; no weights are fetched."""
    if arguments.depth is not None and arguments.depth < 1:
        raise PegboardError(f"--depth must be at least 1, got {arguments.depth}")
    arguments.cfg_options += ["device='cpu'"]
    config = load(arguments)
    problems = check(config, "model")
    if problems:
        raise ConfigError(problems)
    rows, phases = _layers(config, arguments.input, arguments.depth)
    table(HEADER, [_cells(row) for row in rows], file=sys.stdout)
    whole = rows[0]
    frozen = whole.parameters - whole.trainable
    say()
    say(
        f"{whole.parameters:,} parameters ({whole.trainable:,} trained, {frozen:,} frozen), "
        f"{whole.parameters * 4 / 2**20:.1f} MiB in fp32; {_short(whole.flops)}FLOPs an input, "
        "a multiplication and an addition counting as two"
    )
    if phases > 1:
        say(f"groups, rates and what is frozen are those of the first of {phases} phases")
    return 0


def _layers(config: Config, size: list[int] | None, depth: int | None) -> "tuple[list[Layer], int]":
    import torch

    from pegboard.registry import DATASETS
    from pegboard.runner.build import Builder, placed
    from pegboard.runner.dry_run import dry_run
    from pegboard.runner.layers import layers
    from pegboard.weights.freezing import Freezing

    with placed(config), torch.random.fork_rng(devices=[]):
        builder = Builder(config)
        if size:
            inputs: Any = torch.zeros(2, *size)
        elif builder.values["train"]:
            dataset = DATASETS.build(builder.values["train"]["dataset"], "train.dataset")
            builder.learn_from(dataset, builder.values["train"].get("target_transform"))
            inputs = builder.glimpse("train", dataset).inputs
        else:
            raise PegboardError("the config has no training data; say the size of an input, e.g. --input 3 32 32")
        model = builder.model(fresh=False)
        dry_run(builder.step(model, training=False), inputs)
        stages = builder.values["phases"] or [{}]
        own = stages[0].get("freeze")
        patterns = builder.values["freeze"] if own is None else own  # an empty list frees what the run freezes
        try:
            frozen = Freezing(model).names(patterns)
        except ValueError as error:
            path = "freeze" if own is None else "phases.0.freeze"
            raise ConfigError([Problem(str(error), path)]) from error
        groups: Any = ()
        if builder.values["optimizer"]:
            groups = builder.optimizer(model, set()).param_groups
            rate = stages[0].get("lr")
            for group in groups:
                if rate is not None and group["lr_mult"] is not None:
                    group["lr"] = rate * group["lr_mult"]
        return layers(model, inputs, frozen, groups, depth), len(stages)


def _cells(row: "Layer") -> list[str]:
    trained = ""
    if row.parameters:
        trained = "all" if row.trainable == row.parameters else "part" if row.trainable else "frozen"
    return [
        row.name or "(model)",
        row.type,
        row.shape,
        f"{row.parameters:,}" if row.parameters else "",
        _short(row.flops).strip() if row.flops else "",
        trained,
        ", ".join(dict.fromkeys(name for name, _ in row.groups)),
        ", ".join(dict.fromkeys(f"{rate:g}" for _, rate in row.groups)),
    ]


def _short(count: int) -> str:
    """``1234567`` as ``"1.23 M"``, with a space at the end."""
    for unit, size in (("T", 10**12), ("G", 10**9), ("M", 10**6), ("k", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} "
