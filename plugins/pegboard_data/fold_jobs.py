"""Folds side by side: some processes, each of which trains one fold after the other."""

import logging
import multiprocessing
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import NamedTuple

import torch

from pegboard import Config
from pegboard.cli.tuning import tune_process
from pegboard.console import show_log
from pegboard.errors import PegboardError
from pegboard_data.cross_validation import CrossValidation
from pegboard_data.fold_results import Results
from pegboard_data.fold_run import is_fresh
from pegboard_data.folds import Scheme

logger = logging.getLogger("pegboard")

Load = Callable[[], Config]  # the config of the whole, in whatever process


class Work(NamedTuple):
    """What a process must know to train folds.

    Args:
        threads: it may take at most, where the config does not say how many.
    """

    load: Load
    scheme: Scheme
    statistics: bool
    folder: Path
    threads: int


class News(NamedTuple):
    """How a fold has ended: ``error`` is empty unless it failed."""

    over: bool
    error: str = ""


class Job:
    """One of the processes, and the fold that it trains.

    Attributes:
        number: of the fold; 0 where it has none.
        output: a file with everything that the process prints.
    """

    def __init__(self, work: Work, output: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.output, self.number, self.begun, self.fresh = output, 0, 0.0, False
        self.process = context.Process(target=_train_folds, args=(work, output, theirs))
        with _ctrl_c_ignored():  # by the new process, from its first moment: this one tells it when to stop
            self.process.start()
        theirs.close()

    def give(self, number: int, fresh: bool) -> None:
        """Let it train a fold."""
        self.number, self.begun, self.fresh = number, time.perf_counter(), fresh
        with suppress(OSError):  # it has died, which the next look at its connection tells
            self.connection.send(number)

    def news(self) -> News:
        """How its fold has ended, once it has."""
        try:
            found: News = self.connection.recv()
            return found
        except (EOFError, OSError):
            self.process.join()
            status = self.process.exitcode or 0
            how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
            return News(False, f"its process was ended by {how}; what it printed is in {self.output}")


def side_by_side(work: CrossValidation, load: Load, jobs: int) -> Results | None:
    """Run every fold that is not over, so many at a time, then write all figures; None if an interrupt came between.

    Ctrl-C lets each fold save its state, a second one ends all at once. Where this process is killed, the others save
    their state and end too.

    Args:
        load: gives the config of ``work`` in another process.

    Raises:
        PegboardError: a fold failed; the others have saved their state.
    """
    waiting = work.waiting()
    if not waiting:
        return work.finish()
    jobs = min(jobs, len(waiting))
    threads = max(1, _cores() // jobs)
    what = Work(load, work.scheme, work.statistics, work.folder, threads)
    many = f"{threads} thread{'s' if threads > 1 else ''}"
    logger.info("%d folds at a time, each with at most %s unless the config says threads=", jobs, many)
    running = [Job(what, work.folder / f"job_{number}.txt") for number in range(1, jobs + 1)]
    try:
        return work.finish() if _hand_out(work, waiting, running) else None
    except KeyboardInterrupt:
        logger.info("Ctrl-C: each fold saves its state; Ctrl-C again ends them at once, without")
        raise
    finally:
        _end(running)


def _hand_out(work: CrossValidation, waiting: list[int], running: list[Job]) -> bool:
    """Give each process a fold after the other until all are over; False if one was interrupted."""
    ahead, timed = iter(waiting), 0
    for job in running:
        _give_next(work, job, ahead)
    left = len(waiting)
    while left:
        by_connection = {job.connection: job for job in running if job.number}
        for connection in wait(list(by_connection)):
            job = by_connection[connection]  # type: ignore[index]  # what went in comes out
            news, what = job.news(), f"fold {job.number} of {work.count:,}"
            if news.error:
                raise PegboardError(f"{what}: {news.error}")
            if not news.over:
                return False
            left -= 1
            logger.info("%s is over", what)
            timed += job.fresh
            if job.fresh and timed <= 2 and left:
                work.estimate(time.perf_counter() - job.begun, left, len(running))
            _give_next(work, job, ahead)
    return True


def _give_next(work: CrossValidation, job: Job, ahead: Iterator[int]) -> None:
    """The next fold, if there is one."""
    number = next(ahead, None)
    if number is None:
        job.number = 0
        return
    fold = work.fold(number)
    sizes = f"{len(fold.train):,} samples to train, {len(fold.val):,} to validate"
    logger.info("fold %d of %s: %s; %s", number, f"{work.count:,}", sizes, work.folder_of(number) / "log.txt")
    job.give(number, is_fresh(work.folder_of(number)))


def _end(running: list[Job]) -> None:
    """Let each process save the state of its fold and end; a Ctrl-C ends them without."""
    for job in running:
        job.connection.close()
    try:
        for job in running:
            if job.number and job.process.is_alive():
                job.process.terminate()
        for job in running:
            job.process.join()
    except KeyboardInterrupt:
        for job in running:
            job.process.kill()
        for job in running:
            job.process.join()
        raise


# -- in the other processes ------------------------------------------------------------------------------------------


def _train_folds(work: Work, output: Path, connection: Connection) -> None:
    """Train each fold that is asked for, until none is any more, or until the process that asks has gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with output.open("w", encoding="utf-8") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    tune_process()
    show_log()
    config = work.load()
    if not config.values.get("threads"):
        torch.set_num_threads(min(torch.get_num_threads(), work.threads))
    cross_validation: CrossValidation | None = None
    while True:
        try:
            number = connection.recv()
        except (EOFError, OSError):  # there is nothing left to do
            return
        try:
            cross_validation = cross_validation or CrossValidation(config, work.scheme, work.statistics)
            cross_validation.folder = work.folder
            news = News(cross_validation.run_one(number))
        except KeyboardInterrupt:
            news = News(over=False)
        except PegboardError as error:
            news = News(over=False, error="; ".join(error.lines))
        except Exception as error:  # noqa: BLE001  # told where the command was given; the traceback is in the output
            traceback.print_exc()
            news = News(over=False, error=f"{type(error).__name__}: {error}; its traceback is in {output}")
        try:
            connection.send(news)
        except OSError:  # nobody waits for it any more
            return


def _end_with_parent() -> None:
    """Save the state and end when the process has gone that started this one, in whatever way."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os.kill(os.getpid(), signal.SIGTERM)


@contextmanager
def _ctrl_c_ignored() -> Iterator[None]:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
