"""Hooks that only look: training is bit for bit the same with them, and nothing of them is left behind.

A new observer is one line in ``OBSERVERS``.
"""

import gc
import logging
import random
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from matplotlib import pyplot
from matplotlib.figure import Figure
from torch import nn

from pegboard import Hook, Pictures, Runner
from pegboard_visual.cam_methods import TITLES
from pegboard_visual.report.page import ALSO, KINDS
from tests import runs
from tests.conftest import restored_boards

# Hook -> the pictures that it shows. The methods of one hook may compute in different ways: each has its line.
OBSERVERS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "ConfusionMatrix": (
        {"type": "ConfusionMatrix", "every": "1 epoch"},
        {"Confusion_Matrix_valid", "Confused_Pairs_valid"},
    ),
    "ConfusionMatrix of training": (
        {"type": "ConfusionMatrix", "every": "2 epochs", "split": "train", "pairs": 0},
        {"Confusion_Matrix_train"},
    ),
    "Embedding": ({"type": "Embedding", "samples": 8, "every": "1 epoch"}, {"Embedding_valid"}),
    "Embedding by t-SNE": (
        {"type": "Embedding", "every": "2 epochs", "method": "tsne", "layer": "relu2"},
        {"Embedding_valid"},
    ),
    "FeatureMaps": (
        {"type": "FeatureMaps", "images": 2, "every": "1 epoch"},
        {"Feature_Maps_conv1", "Feature_Maps_conv2"},
    ),
    "GradCAM": ({"type": "GradCAM", "images": 2, "every": "1 epoch"}, {"Grad-CAM"}),
    **{
        title: ({"type": "GradCAM", "images": 1, "every": "2 epochs", "method": method}, {title})
        for method, title in TITLES.items()
        if method != "gradcam"
    },
    "Histograms": ({"type": "Histograms"}, {"Histograms"}),
    "Histograms by iterations": ({"type": "Histograms", "every": "2 iters"}, {"Histograms"}),
    "Kernels": (
        {"type": "Kernels", "every": "1 epoch"},
        {f"{layer}_{kind}" for layer in ("conv1", "conv2") for kind in ("all", "split_in_channel")},
    ),
    "Mistakes": ({"type": "Mistakes", "images": 2, "every": "1 epoch"}, {"Mistakes_valid"}),
    "Report": ({"type": "Report", "share": 1e6}, set()),
    "Samples": ({"type": "Samples", "images": 4, "every": "1 epoch"}, {"Samples"}),
    "TensorBoard": ({"type": "TensorBoard"}, set()),
}
EACH = [pytest.param(part, pictures, id=name) for name, (part, pictures) in OBSERVERS.items()]
ONE_A_TYPE = {part["type"]: name for name, (part, pictures) in reversed(OBSERVERS.items()) if pictures}.values()
GENERATORS: dict[str, tuple[Callable[[], Any], Callable[[Any], None]]] = {
    "torch": (lambda: torch.get_rng_state().numpy(), lambda state: torch.set_rng_state(torch.from_numpy(state))),
    "numpy": (lambda: np.random.get_state(), lambda state: np.random.set_state(state)),
    "random": (random.getstate, random.setstate),
}


MADE: "weakref.WeakSet[Figure]" = weakref.WeakSet()  # figures that are still alive


class Trained(NamedTuple):
    """A run that is over, and what it left of the process.

    Args:
        generators: their states. figures: of matplotlib, that are still alive.
    """

    run: Runner
    folder: Path
    generators: dict[str, Any]
    figures: int


@pytest.fixture(scope="module", autouse=True)
def _figures_made(tiny_parts: None) -> Iterator[None]:
    """Every figure that is made is in ``MADE`` for as long as somebody holds it."""
    begin, made = Figure.__init__, MADE

    def noticed(figure: Figure, *arguments: Any, **more: Any) -> None:
        made.add(figure)
        begin(figure, *arguments, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Figure, "__init__", noticed)
        yield


def train(folder: Path, part: dict[str, Any] | None) -> Trained:
    """Three epochs of three iterations, with validations in mid-epoch too, from the same generator states each time."""
    before = {name: get() for name, (get, _) in GENERATORS.items()}
    others = list(MADE)
    try:
        torch.manual_seed(5)
        random.seed(5)
        np.random.seed(5)
        hooks = {"observer": part} if part else {}
        run = runs.train(folder, model={"type": "Drawn"}, hooks=hooks, train_for="3 epochs", val_every="2 iters")
        after = {name: get() for name, (get, _) in GENERATORS.items()}
    finally:
        for name, (_, put) in GENERATORS.items():
            put(before[name])
    gc.collect()
    return Trained(run, folder, after, len(MADE) - len(others))


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory, tiny_parts: None) -> Trained:
    """The run that nobody looks at."""
    return train(tmp_path_factory.mktemp("without"), None)


def assert_only_looked(seen: Trained, without: Trained) -> None:
    """The same run, and nothing left behind."""
    one, other = runs.newest(without.folder), runs.newest(seen.folder)
    for key in one.keys() - {"config", "hooks"}:
        assert runs.same(one[key], other[key]), f"{key} differs"
    for name, state in without.generators.items():
        np.testing.assert_equal(seen.generators[name], state, f"the generator of {name} differs")
    assert runs.records(without.folder) == runs.records(seen.folder)
    for (name, theirs), mine in zip(without.run.model.named_parameters(), seen.run.model.parameters(), strict=True):
        assert runs.same(mine.grad, theirs.grad), f"the gradient of {name} differs"
        assert mine.requires_grad == theirs.requires_grad, f"{name} is frozen or no longer is"
        assert mine._backward_hooks == theirs._backward_hooks, f"a hook was left on {name}"
    modules = list(seen.run.model.named_modules())
    assert [m.training for _, m in modules] == [m.training for m in without.run.model.modules()], "modes differ"
    for name, module in modules:
        left = {key: hooks for key, hooks in vars(module).items() if key.endswith("_hooks") and hooks}
        assert left == {}, f"hooks were left on {name or 'the model'}"
        assert vars(module).keys() == vars(dict(without.run.model.named_modules())[name]).keys()
    assert seen.figures == 0 and pyplot.get_fignums() == [], "a figure was left open"


def shown(folder: Path) -> set[str]:
    return {picture.name for picture in Pictures(folder / "figures").all()}


@pytest.mark.parametrize(("part", "pictures"), EACH)
def test_training_is_the_same_bit_for_bit(
    part: dict[str, Any], pictures: set[str], without: Trained, tmp_path: Path
) -> None:
    seen = train(tmp_path, part)
    assert_only_looked(seen, without)
    assert shown(tmp_path) == pictures  # so it did look
    kinds = {picture.data["kind"] for picture in Pictures(tmp_path / "figures").all()}
    assert {ALSO.get(kind, kind) for kind in kinds} <= KINDS.keys()  # each has its section in the report


@pytest.mark.parametrize(("part", "pictures"), [one for one in EACH if one.id in ONE_A_TYPE])
def test_one_that_cannot_write_is_switched_off_and_training_goes_on(
    part: dict[str, Any],
    pictures: set[str],
    without: Trained,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def full(*arguments: Any, **more: Any) -> None:
        raise OSError("No space left on device")

    monkeypatch.setattr(Pictures, "add", full)
    with caplog.at_level(logging.ERROR, "pegboard"):
        seen = train(tmp_path, part)
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "hook 'observer' failed at" in record.getMessage() and "switched off" in record.getMessage()
    assert seen.run.iteration == seen.run.total_iterations
    assert_only_looked(seen._replace(figures=0), without)  # the log record that caplog keeps holds the figure


# -- the broken specimens --------------------------------------------------------------------------------------------


def weights(run: Runner) -> None:
    run.model.fc.weight.data.add_(1e-6)  # type: ignore[operator, union-attr]


def draws(run: Runner) -> None:
    torch.rand(1)


def draws_in_numpy(run: Runner) -> None:
    np.random.random()


def forward_hook(run: Runner) -> None:
    run.model.fc.register_forward_hook(lambda *given: None)  # type: ignore[union-attr]


def gradients(run: Runner) -> None:
    run.model.zero_grad()


def modes(run: Runner) -> None:
    run.model.train()


def statistics(run: Runner) -> None:
    run.model.train()
    with torch.no_grad():
        run.model(torch.ones(2, 3, 8, 8))
    run.model.eval()


def frozen(run: Runner) -> None:
    run.model.fc.weight.requires_grad_(False)  # type: ignore[operator, union-attr]


KEPT: list[Figure] = []


def figure(run: Runner) -> None:
    KEPT.append(Figure())


@pytest.mark.parametrize(
    "clumsy",
    [weights, draws, draws_in_numpy, forward_hook, gradients, modes, statistics, frozen, figure],
    ids=lambda clumsy: str(clumsy.__name__),
)
def test_one_that_does_more_than_look_is_caught(
    clumsy: Callable[[Runner], None], without: Trained, tmp_path: Path
) -> None:
    class Clumsy(Hook):
        def after_val(self, run: Runner, metrics: Any) -> None:
            clumsy(run)

    with restored_boards():
        seen = train(tmp_path, runs.hang("hooks", "clumsy", Clumsy()))
    KEPT.clear()
    with pytest.raises(AssertionError):
        assert_only_looked(seen, without)


def test_the_check_lets_one_pass_that_does_nothing(without: Trained, tmp_path: Path) -> None:
    """So that the specimens are caught for what they do."""

    class Idle(Hook):
        def after_val(self, run: Runner, metrics: Any) -> None:
            nn.Linear(2, 2, device="meta")

    with restored_boards():
        seen = train(tmp_path, runs.hang("hooks", "idle", Idle()))
    assert_only_looked(seen, without)
