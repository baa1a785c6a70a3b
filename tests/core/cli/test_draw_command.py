"""``pegboard draw``: a hook that the run did not have draws what it would have drawn at the end of it."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from pegboard import Hook, Kept, PegboardError, Pictures, Runner, SampleHook, Tracker
from tests import runs
from tests.core.cli.conftest import Here


class Heat(SampleHook):
    """Draw how far each pixel changes the likeliest class, and log the mean."""

    def __init__(self, images: int = 3, every: str = "1 epoch") -> None:
        super().__init__(images, every)

    def draw(self, run: Runner, kept: list[Kept]) -> None:
        inputs = torch.stack([one.inputs for one in kept]).requires_grad_()
        run.model(inputs).max(1).values.sum().backward()
        assert inputs.grad is not None
        run.model.zero_grad()
        row = torch.cat(list(inputs.grad.abs()), dim=2)
        about = {"samples": [one.sample for one in kept], "classes": list(run.classes)}
        run.show("Heat", row / row.max(), f"after epoch {run.epoch}", data=about)
        run.log("mean_heat", row.mean())


class Vandal(Hook):
    """Draw a picture, and write wherever a run's files are."""

    def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
        (run.folder / "summary.json").write_text("gone")
        (run.folder / "checkpoints").mkdir(exist_ok=True)
        run.save()
        run.stop("no reason")
        path = run.show("Grey", torch.full((3, 4, 4), 0.5), ", ".join(metrics)).path
        path.with_suffix(".csv").write_text("a,b\n")

    def after_run(self, run: Runner) -> None:
        (run.folder / "checkpoints" / "index.json").write_text("[]")


class Fails(Hook):
    """Fail in a way that nobody has foreseen."""

    def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
        raise KeyError("epoch")


class Idle(Hook):
    """Look at training alone."""

    def before_train_epoch(self, run: Runner) -> None:
        raise AssertionError


class Tells(Tracker):
    """Tell somebody."""

    def begin(self, about: Any) -> None:
        raise AssertionError


@pytest.fixture
def drawn(tmp_path: Path, boards: None) -> Iterator[Path]:
    """A run with the first hook of these, and a board with all of them."""
    from pegboard.registry import BOARDS

    runs.hang_up()
    for hook in (Heat, Vandal, Fails, Idle, Tells):
        BOARDS["hooks"].register(hook)
    runs.train(tmp_path / "run", hooks={"heat": {"type": "Heat", "every": "2 epochs"}})
    yield tmp_path / "run"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_it_draws_what_the_hook_drew_at_the_end_of_the_run(drawn: Path, here: Here, tmp_path: Path) -> None:
    """Bit for bit, and what it logged then."""
    done = here("draw", drawn, "Heat", "--out", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    [own], [again] = Pictures(drawn / "figures").all(), Pictures(tmp_path / "again" / "figures").all()
    assert (again.epoch, again.iteration, again.caption, again.data) == (2, 6, "after epoch 2", own.data)
    assert again.path.read_bytes() == own.path.read_bytes()
    assert own.data == {"samples": [0, 6, 8], "classes": ["a", "b", "c", "d"]}
    logged = next(record["mean_heat"] for record in reversed(runs.records(drawn)) if "mean_heat" in record)
    assert done.stdout.splitlines() == [f"mean_heat {logged:.4g}", str(again.path)]


def test_other_arguments_and_an_earlier_checkpoint(drawn: Path, here: Here, tmp_path: Path) -> None:
    checkpoint = drawn / "checkpoints" / "iteration_00000003.pt"
    assert here("draw", checkpoint, "Heat", "images=2", "every=1 iters").returncode == 0
    first, _ = Pictures(drawn / "figures").all()
    assert (first.epoch, first.iteration, first.data["samples"]) == (1, 3, [0, 9])


def test_only_its_pictures_and_their_tables_get_into_the_run_folder(drawn: Path, here: Here) -> None:
    before = contents(drawn)
    done = here("draw", drawn, "Vandal")
    assert done.returncode == 0 and "pegboard report" in done.stdout
    after = contents(drawn)
    place = "figures/iteration_00000006/Grey"
    assert after.keys() - before.keys() == {f"{place}.png", f"{place}.json", f"{place}.csv"}
    assert {name: after[name] for name in before} == before
    assert Pictures(drawn / "figures").all()[0].caption == "val/loss, val/top1"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["Haet"], "hooks.Haet.type: no 'Haet' in hooks; did you mean 'Heat'?"),
        (["Heat", "image=2"], "hooks.Heat.image: Heat takes no 'image'; did you mean 'images'?"),
        (["Heat", "images=0"], "Heat: images must be an integer from 1 to 64, got 0"),
        (["Heat", "images"], "'images' is no override; expected KEY=VALUE, e.g. optimizer.lr=0.1"),
        (["Idle"], "Idle has drawn nothing: it saw a validation and the end of the run, but no training"),
        (["Fails"], "Fails cannot draw a run that is over: KeyError: 'epoch'; --debug shows where"),
        (["Tells"], "Tells draws nothing itself; expected a hook that calls run.show, e.g. ConfusionMatrix"),
        (["Progress"], "Progress draws nothing itself; expected a hook that calls run.show, e.g. ConfusionMatrix"),
        (["Heat", "--out", "FILE"], "--out FILE is a file; expected a folder, which need not exist"),
        (["Heat", "--cfg-options", "val=None"], "run has no 'val' data; it has train"),
    ],
    ids=lambda value: "_".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_drawn_is_one_line(
    drawn: Path, here: Here, monkeypatch: pytest.MonkeyPatch, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(drawn.parent)
    (drawn.parent / "FILE").touch()
    before = contents(drawn)
    done = here("draw", drawn, *arguments)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith(said)
    assert contents(drawn) == before


def test_debug_shows_where_a_hook_fails(drawn: Path, here: Here) -> None:
    with pytest.raises(PegboardError, match="KeyError") as raised:
        here("draw", drawn, "Fails", "--debug")
    assert isinstance(raised.value.__cause__, KeyError)


def test_a_hook_of_a_plugin_that_is_not_loaded(drawn: Path, here: Here) -> None:
    """The run itself used it, and its checkpoint loads no plugin."""
    runs.train(drawn.parent / "other", plugins=["json"])  # any module
    done = here("draw", drawn.parent / "other", "Mirrored")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].endswith("the run used plugins; repeat them: --plugins json")
