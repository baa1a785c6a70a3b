"""Every periodic picture is there at the end of a run that ends regularly, also before its full length, and once."""

from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from torch import nn

from pegboard import Hook, PeriodicHook, Pictures, Runner, SampleHook
from tests import runs
from tests.conftest import restored_boards

pytestmark = pytest.mark.usefixtures("tiny_parts", "boards")

SELDOM = {"every": "30 epochs"}
ALL: dict[str, dict[str, Any]] = {
    "confusion": {"type": "ConfusionMatrix", **SELDOM},
    "of_training": {"type": "ConfusionMatrix", "split": "train", "pairs": 0, **SELDOM},
    "mistakes": {"type": "Mistakes", **SELDOM},
    "cam": {"type": "GradCAM", "images": 2, **SELDOM},
    "samples": {"type": "Samples", "images": 4, **SELDOM},
    "maps": {"type": "FeatureMaps", "images": 2, **SELDOM},
    "kernels": {"type": "Kernels", **SELDOM},
    "embedding": {"type": "Embedding", "samples": 8, **SELDOM},
    "histograms": {"type": "Histograms", **SELDOM},
}
OF_LAYERS = {f"{layer}_{kind}" for layer in ("conv1", "conv2") for kind in ("all", "split_in_channel")}
PICTURES = {
    "Confusion_Matrix_valid", "Confused_Pairs_valid", "Mistakes_valid", "Grad-CAM", "Samples", "Feature_Maps_conv1",
    "Feature_Maps_conv2", "Embedding_valid", "Histograms", *OF_LAYERS,
}  # fmt: skip


class Ends(Hook):
    """Stops or interrupts a run at an iteration, or stops it after the first validation; counts what is shown."""

    def __init__(self, iteration: int = 0, how: str = "stop") -> None:
        self.iteration, self.how = iteration, how
        self.shown: Counter[tuple[str, int]] = Counter()

    def after_train_iter(self, run: Runner, batch: Any, loss: Any, outputs: Any) -> None:
        if run.iteration == self.iteration:
            run.stop("enough") if self.how == "stop" else run.interrupt("a signal")

    def after_val(self, run: Runner, metrics: Any) -> None:
        if not self.iteration:
            run.stop("good enough")

    def on_show(self, run: Runner, shown: Any) -> None:
        self.shown[shown.name, shown.iteration] += 1


def trained(folder: Path, ends: Ends, hooks: dict[str, Any] | None = None) -> Runner:
    with restored_boards():
        return runs.train(
            folder,
            model={"type": "Drawn"},
            train_for="3 epochs",
            hooks={"ends": runs.hang("hooks", "ends", ends), **(ALL if hooks is None else hooks)},
        )


def at(folder: Path, iteration: int) -> set[str]:
    return {one.name for one in Pictures(folder / "figures").all() if one.iteration == iteration}


class Seen(NamedTuple):
    run: Runner
    folder: Path
    ends: Ends


@pytest.fixture(scope="module")
def in_an_epoch(tmp_path_factory: pytest.TempPathFactory, tiny_parts: None) -> Seen:
    """A run with every hook, stopped between two validations."""
    folder, ends = tmp_path_factory.mktemp("in_an_epoch"), Ends(5)
    return Seen(trained(folder, ends), folder, ends)


def assert_all_are_there_once(seen: Seen, iteration: int, last_pass: int) -> None:
    assert seen.run.iteration == iteration
    assert at(seen.folder, iteration) == PICTURES | {"Confusion_Matrix_train"}
    assert set(seen.ends.shown.values()) == {1}, "a picture was drawn twice"
    captions = {one.name: one.caption for one in Pictures(seen.folder / "figures").all()}
    # What was found in a pass is that pass's, and says so.
    assert f"iteration {last_pass}" in captions["Confusion_Matrix_valid"]
    assert f"iteration {iteration}" in captions["Grad-CAM"]


def test_one_that_is_stopped_in_the_middle_of_an_epoch_has_every_picture_once(in_an_epoch: Seen) -> None:
    assert_all_are_there_once(in_an_epoch, 5, last_pass=3)


@pytest.mark.parametrize(
    ("iteration", "ended_at"),
    [
        pytest.param(0, 3, id="stopped after a validation, as EarlyStop does"),
        pytest.param(99, 9, id="shorter than every"),
    ],
)
def test_a_run_that_ends_has_every_picture_once(iteration: int, ended_at: int, tmp_path: Path) -> None:
    ends = Ends(iteration)
    assert_all_are_there_once(Seen(trained(tmp_path, ends), tmp_path, ends), ended_at, ended_at)


def test_before_the_first_validation_there_is_what_needs_none(tmp_path: Path) -> None:
    trained(tmp_path, Ends(2))
    of_a_pass = {"Confusion_Matrix_valid", "Confused_Pairs_valid", "Mistakes_valid"}
    assert at(tmp_path, 2) == PICTURES - of_a_pass


def test_an_interrupted_run_may_go_on_and_draws_nothing(tmp_path: Path) -> None:
    trained(tmp_path, Ends(5, "interrupt"))
    assert at(tmp_path, 5) == set()


def test_looking_at_the_end_changes_nothing(in_an_epoch: Seen, tmp_path: Path) -> None:
    """Weights, modes, hooks: as those of a run that was stopped at the same place and not looked at."""
    plain, run = trained(tmp_path, Ends(5), hooks={}), in_an_epoch.run
    modules = list(run.model.modules())
    assert [module.training for module in modules] == [module.training for module in plain.model.modules()]
    assert not any(module._forward_hooks for module in modules)
    state, other = runs.newest(tmp_path), runs.newest(in_an_epoch.folder)
    for key in state.keys() - {"config", "hooks"}:
        assert runs.same(state[key], other[key]), f"{key} differs"


def test_the_images_of_the_end_are_those_of_every_validation(tmp_path: Path) -> None:
    seen: list[Any] = []

    class Keeps(SampleHook):
        def draw(self, run: Runner, kept: Any) -> None:
            assert not run.model.training
            seen.append(kept)

    with restored_boards():
        keeps = runs.hang("hooks", "keeps", Keeps(3, "1 epoch"))
        trained(tmp_path, Ends(5), {"keeps": keeps})
    [first, last] = seen  # after an epoch, and at the stop
    assert [one.sample for one in first] == [one.sample for one in last] == [0, 6, 8]
    assert [one.truth for one in first] == [one.truth for one in last]
    for one, other in zip(first, last, strict=True):
        assert torch.equal(one.inputs, other.inputs)


def test_one_that_says_when_it_was_done_is_not_asked_again(tmp_path: Path) -> None:
    """The specimen: one that forgets to say so is asked, and so would draw twice."""

    class Says(PeriodicHook):
        def __init__(self, says: bool) -> None:
            super().__init__("1 epoch")
            self.says, self.asked = says, 0

        def after_train_epoch(self, run: Runner) -> None:
            if self.says:
                self.done(run)

        def at_end(self, run: Runner) -> None:
            self.asked += 1

    says, forgets = Says(True), Says(False)
    with restored_boards():
        hooks = {"says": runs.hang("hooks", "says", says), "forgets": runs.hang("hooks", "forgets", forgets)}
        trained(tmp_path, Ends(6), hooks)
    assert (says.asked, forgets.asked) == (0, 1)


def test_evaluating_gives_each_part_its_mode_back() -> None:
    from pegboard.hooks.sample import evaluating

    model = nn.Sequential(nn.Dropout(), nn.BatchNorm1d(2))
    model[1].eval()  # frozen statistics, as fine-tuning has them
    with pytest.raises(OSError), evaluating(model):
        assert not model[0].training
        raise OSError
    assert model.training and model[0].training and not model[1].training
