"""What a tracker is told, and that a dead one costs the run a line in its log and nothing else."""

import logging
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pegboard import Hook, Runner, Shown, Tracker
from pegboard.console import show_log
from pegboard.hooks import About
from tests import runs


@pytest.fixture(autouse=True)
def _tiny_parts(boards: None) -> None:
    runs.hang_up()


class Notes(Tracker):
    """Keeps all it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []
        self.threads: set[str] = set()

    def note(self, what: str, value: Any) -> None:
        self.told.append((what, value))
        self.threads.add(threading.current_thread().name)

    def begin(self, about: About) -> None:
        self.note("begin", about)

    def record(self, values: Mapping[str, Any], when: float) -> None:
        self.note("record", (dict(values), when))

    def picture(self, shown: Shown) -> None:
        self.note("picture", shown)

    def checkpoint(self, path: Path) -> None:
        self.note("checkpoint", path)

    def end(self, summary: Mapping[str, Any]) -> None:
        self.note("end", dict(summary))


class NotesInPlace(Notes):
    threaded = False


class Shows(Hook):
    def after_train_epoch(self, run: Runner) -> None:
        import torch

        run.show("grey", torch.full((3, 4, 4), 0.5))


def told(folder: Path, tracker: Tracker, **changes: Any) -> Runner:
    hooks = {"tracker": runs.hang("hooks", "tracker", tracker), "shows": runs.hang("hooks", "shows", Shows())}
    return runs.train(folder, **{"hooks": hooks, **changes})


@pytest.mark.parametrize("kind", [Notes, NotesInPlace])
def test_it_is_told_all_in_order(kind: type[Notes], tmp_path: Path) -> None:
    tracker = kind()
    run = told(tmp_path, tracker)
    kinds = [what for what, _ in tracker.told]
    assert kinds[0] == "begin" and kinds[-1] == "end" and kinds.count("end") == 1
    assert tracker.threads == {kind.__name__ if kind.threaded else "MainThread"}
    about, summary = tracker.told[0][1], tracker.told[-1][1]
    assert (about.folder, about.resumed, about.config["train_for"]) == (run.folder, False, "2 epochs")
    assert summary["exit"] == "finished" and summary["final"] == run.final
    assert [values for what, value in tracker.told if what == "record" for values in value[:1]] == runs.records(
        tmp_path
    )
    assert [shown.iteration for what, shown in tracker.told if what == "picture"] == [3, 6]
    assert [path.name for what, path in tracker.told if what == "checkpoint"][-1] == "iteration_00000006.pt"


def test_a_resumed_run_says_so_and_since_when_it_is_told_again(tmp_path: Path) -> None:
    told(tmp_path / "whole", Notes(), checkpoint={"every": "1 iters", "keep": 99})
    tracker, state = Notes(), runs.checkpoint(tmp_path / "whole", 3)
    runs.runner(
        tmp_path / "whole", state, hooks={"tracker": runs.hang("hooks", "tracker", tracker)},
        checkpoint={"every": "1 iters", "keep": 99},
    ).train()  # fmt: skip
    about = tracker.told[0][1]
    assert about.resumed
    times = [value[1] for what, value in tracker.told if what == "record"]
    assert about.told_until < min(times)


class Raises(Notes):
    def record(self, values: Mapping[str, Any], when: float) -> None:
        raise ConnectionError("nobody there")


class RaisesAtTheEnd(Notes):
    def end(self, summary: Mapping[str, Any]) -> None:
        raise ConnectionError("nobody there")


class RaisesInPlace(Raises):
    threaded = False


class Hangs(Notes):
    patience = 0.2

    def __init__(self) -> None:
        super().__init__()
        self.let_go = threading.Event()

    def end(self, summary: Mapping[str, Any]) -> None:
        self.let_go.wait(60)


class HangsFromTheStart(Hangs):
    def begin(self, about: About) -> None:
        self.let_go.wait(60)


@pytest.mark.parametrize("kind", [Raises, RaisesInPlace, RaisesAtTheEnd, Hangs, HangsFromTheStart])
def test_a_dead_tracker_costs_one_line_and_not_the_run(
    kind: type[Notes], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = kind()
    with caplog.at_level(logging.WARNING):
        run = told(tmp_path, tracker)
    assert run.summary["exit"] == "finished" and run.iteration == 6
    [line] = caplog.records
    if isinstance(tracker, Hangs):
        method = "begin" if isinstance(tracker, HangsFromTheStart) else "end"
        assert f"has not ended after 0.2 s without a sign of life, in {method};" in line.getMessage()
        tracker.let_go.set()
    else:
        method = "end" if isinstance(tracker, RaisesAtTheEnd) else "record"  # not the point where the run heard of it
        said = f"hook 'tracker' failed at {method} and is switched off; training goes on: ConnectionError: nobody there"
        assert line.getMessage() == said


def test_the_terminal_gets_the_line_and_the_log_where_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("pegboard")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    show_log()
    told(tmp_path, Raises())
    [line] = [line for line in capsys.readouterr().err.splitlines() if "tracker" in line]
    assert line.startswith("error: hook 'tracker' failed at record")
    log = (tmp_path / "log.txt").read_text(encoding="utf-8")
    assert log.count("failed at record") == 1 and 'raise ConnectionError("nobody there")' in log


def test_a_hook_that_has_a_bug_shows_where_on_the_terminal_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is brief for a dead service is not so for a mistake in the code."""

    class Buggy(Hook):
        def after_train_epoch(self, run: Runner) -> None:
            raise IndexError("out of range")

    logger = logging.getLogger("pegboard")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "propagate", False)
    show_log()
    runs.train(tmp_path, hooks={"buggy": runs.hang("hooks", "buggy", Buggy())})
    said = capsys.readouterr().err
    assert "failed at after_train_epoch" in said and 'raise IndexError("out of range")' in said


def test_a_run_that_waits_for_one_says_for_what(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pegboard.hooks.tracker.SECONDS_OF_SILENCE", 0.05)
    tracker = Hangs()
    with caplog.at_level(logging.INFO):
        told(tmp_path, tracker)
    tracker.let_go.set()
    assert [line.getMessage() for line in caplog.records if line.getMessage().startswith("waiting for")] == [
        "waiting for Hangs, which is in end; 0 calls after it"
    ]


def test_one_that_falls_behind_is_told_no_more(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pegboard.hooks.tracker.MOST_WAITING", 3)
    tracker = HangsFromTheStart()
    with caplog.at_level(logging.WARNING):
        run = told(tmp_path, tracker)
    tracker.let_go.set()
    [line] = caplog.records
    assert run.summary["exit"] == "finished" and "3 calls behind" in str(line.exc_info[1])  # type: ignore[index]


def test_training_is_bit_for_bit_the_same(tmp_path: Path) -> None:
    with_one, without = told(tmp_path / "with", Notes()), runs.train(tmp_path / "without")
    assert runs.same(with_one.model.state_dict(), without.model.state_dict())


def test_one_that_a_run_waits_for_would_be_seen(tmp_path: Path) -> None:
    """The specimen: a tracker whose patience never ends is still waited for when the run is over."""

    class Patient(Hangs):
        patience = 60

    tracker = Patient()
    thread = threading.Thread(target=told, args=(tmp_path, tracker))
    thread.start()
    thread.join(3)
    assert thread.is_alive()
    tracker.let_go.set()
    thread.join()
