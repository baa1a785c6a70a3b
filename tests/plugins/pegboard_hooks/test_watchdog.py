"""Where an iteration takes too long the stacks are written; where none does nothing is written."""

import faulthandler
import time
from pathlib import Path
from typing import Any

import pytest

from pegboard import Batch, Hook, PegboardError, Runner
from pegboard_hooks.watchdog import Watchdog
from tests import probes, runs

SHORT = 0.4 / 60  # minutes


class Sleeps(Hook):
    """Takes its time in one iteration, of training or of validation."""

    essential = True

    def __init__(self, seconds: float, validation: bool = False, fails: bool = False) -> None:
        self.seconds = seconds
        self.validation = validation
        self.fails = fails

    def before_train_iter(self, run: Runner, batch: Batch) -> None:
        if run.iteration == 1 and not self.validation:
            self.sleep_soundly()

    def before_val_iter(self, run: Runner, batch: Batch) -> None:
        if run.iteration == 3 and self.validation:
            self.sleep_soundly()

    def sleep_soundly(self) -> None:
        time.sleep(self.seconds)
        self.seconds = 0.0
        if self.fails:
            raise RuntimeError("enough")


def train(folder: Path, minutes: float, **sleeps: Any) -> Runner:
    hooks = {
        "dog": {"type": "Watchdog", "minutes": minutes},
        "sleeps": runs.hang("hooks", "sleeps", Sleeps(**sleeps)),
    }
    return runs.train(folder, hooks=hooks)


@pytest.mark.parametrize("validation", [False, True])
def test_a_long_iteration_is_caught_in_the_act(
    tmp_path: Path, validation: bool, caplog: pytest.LogCaptureFixture
) -> None:
    runs.train(tmp_path / "first")  # a process's first steps import more of torch, which takes its time too
    run = train(tmp_path, SHORT, seconds=1.2, validation=validation)
    assert run.summary["exit"] == "finished"  # it only watches
    text = (tmp_path / "log.txt").read_text()
    assert text.count("Timeout") == 1
    assert "in sleep_soundly" in text and "in train" in text
    assert any(message.startswith("no iteration ended for 1 s") for message in probes.warned(caplog))


def test_where_all_goes_well_nothing_is_written(tmp_path: Path) -> None:
    train(tmp_path, 10, seconds=0.0)
    assert "Timeout" not in (tmp_path / "log.txt").read_text()


@pytest.mark.parametrize("fails", [False, True])
def test_the_watch_ends_with_the_run(tmp_path: Path, fails: bool) -> None:
    if fails:
        with pytest.raises(RuntimeError, match="enough"):
            train(tmp_path, SHORT, seconds=0.0, fails=True)
    else:
        train(tmp_path, SHORT, seconds=0.0)
    time.sleep(0.6)
    assert "Timeout" not in (tmp_path / "log.txt").read_text()


def test_the_timer_is_set_at_most_once_a_second(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    times: list[float] = []
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(faulthandler, "dump_traceback_later", lambda seconds, file: times.append(clock[0]))

    class Ticks(Hook):
        def before_train_iter(self, run: Runner, batch: Batch) -> None:
            clock[0] += 0.3

    hooks = {"ticks": runs.hang("hooks", "ticks", Ticks()), "dog": {"type": "Watchdog", "minutes": 1}}
    runs.train(tmp_path, hooks=hooks, train_for="4 epochs", val=None)
    assert times == pytest.approx([100.0, 101.2, 102.4, 103.6])


def test_stacks_of_an_earlier_part_of_the_run_stay(tmp_path: Path) -> None:
    train(tmp_path, SHORT, seconds=1.2)
    before = (tmp_path / "log.txt").read_text()
    runs.runner(tmp_path, runs.newest(tmp_path), hooks={"dog": {"type": "Watchdog"}}).train()
    after = (tmp_path / "log.txt").read_text()
    assert after.startswith(before) and after.count("Timeout") == 1


@pytest.mark.parametrize("minutes", [0, -1.0, float("nan")])
def test_no_time_at_all(minutes: float) -> None:
    with pytest.raises(PegboardError, match="minutes must be above 0"):
        Watchdog(minutes)
