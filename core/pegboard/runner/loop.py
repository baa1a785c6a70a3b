"""The run itself, to be read from top to bottom: hook points stand where they fire."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import torch
from torch import Tensor

from pegboard.checkpoint import Checkpoints
from pegboard.config import Config, Duration, check
from pegboard.data.batch import Batch
from pegboard.data.loader import Loader
from pegboard.errors import CheckpointError, ConfigError, DataError, PegboardError, reason_of
from pegboard.hooks.hook import POINTS, Hook
from pegboard.hooks.tracker import TrackerFailed
from pegboard.pictures import Pictures, Shown
from pegboard.randomness import hashed
from pegboard.runner import logged, non_finite, prepare, record
from pegboard.runner.build import Builder, Split
from pegboard.runner.by_hand import ByHand, named
from pegboard.runner.figures import Figures
from pegboard.runner.lock import FolderLock
from pegboard.runner.one_process import OneProcess
from pegboard.runner.phases import Phase, enter
from pegboard.runner.schedule import Schedule
from pegboard.runner.speed import Speed
from pegboard.runner.state import load_weights, save
from pegboard.runner.step import Computed, Step, taken_by_hand
from pegboard.weights.freezing import Freezing

if TYPE_CHECKING:
    from pegboard.runner.ranks import Ranks

logger = logging.getLogger("pegboard")

T = TypeVar("T")


class Runner:
    """Trains and tests what a config describes; hooks get it as their first argument.

    Args:
        config: what to build; checked before anything is built.
        folder: where the run is written; ``work_dir`` of the config, or ``runs/<name>/<time>``, unless given.
        resume: a state to go on from, as ``pegboard.checkpoint.load`` gives it.
        try_iterations: stop after so many training iterations, and as many of each validation.

    Attributes:
        epoch: epochs completed. position: iterations completed in the current one. iteration: all iterations (an
            iteration is one optimizer step). total_iterations, epochs: the length of the run (epochs is None where
            the config counts iterations). phases, phase: its stages, and the number of the one that goes on.
        model, step, optimizer, schedules, metrics, hooks: the parts. train_loader, val_loader: the data.
        final, best: the last and best of each ``"train/..."`` and ``"val/..."`` figure; best with its epoch.
        hook_seconds: what each hook has taken so far.
        ranks: the processes that the run is made of.
    """

    # Filled by prepare.py before the loop begins.
    builder: Builder
    device: torch.device
    seed: int
    model_seed: int  # of dropout and the like: the seed, another on each further rank
    generators: list[torch.Generator]
    train_loader: Loader
    val_loader: Loader | None
    data_label: str
    contents: dict[str, dict[str, Any]]
    phases: list[Phase]
    phase: int
    per_epoch: int
    epochs: int | None
    total_iterations: int
    val_every: Duration
    val_iterations: int
    log_iterations: int
    model: torch.nn.Module
    freezing: Freezing
    step: Step
    optimizer: torch.optim.Optimizer
    groups_built: int
    rates: list[float]
    needs_closure: bool
    by_hand: ByHand | None
    schedules: list[Schedule]
    scaler: torch.amp.GradScaler | None
    accumulate: int
    clip: Mapping[str, float]
    guard: non_finite.Stop | non_finite.Skip
    figures: Figures
    speed: Speed
    ranks: "OneProcess | Ranks"
    folder: Path
    checkpoints: Checkpoints
    summary: dict[str, Any]

    def __init__(
        self,
        config: Config,
        folder: Path | str | None = None,
        resume: Mapping[str, Any] | None = None,
        try_iterations: int | None = None,
    ) -> None:
        self.config = config
        self.resume = resume
        self.limit = try_iterations
        self.name = str(config.values.get("name") or (config.path.stem if config.path else "run"))
        chosen = folder or config.values.get("work_dir")
        self.chosen_folder = Path(chosen) if chosen else None
        self.epoch = self.position = self.iteration = 0
        self.validation_due = False
        self.stop_reason = ""
        self.interrupted = self.workers_gone = False
        self.keep_checkpoints = 1
        self.skipped = 0  # steps left out because they were not finite
        self.step_skipped = False  # the one at hand is
        self.pending: dict[str, float | Tensor] = {}
        self.final: dict[str, float] = {}
        self.best: dict[str, tuple[float, int]] = {}
        self.hooks: dict[str, Hook] = {}
        self.hook_seconds: dict[str, float] = {}
        self._points: dict[str, list[tuple[str, Callable[..., None]]]] = {point: [] for point in POINTS}
        self._save_asked = False
        self.save_failure = ""  # why the last save failed
        self.lock = FolderLock()
        self.ranks = OneProcess()

    # -- what a user calls ---------------------------------------------------------------------------------------

    def train(self) -> dict[str, Any]:
        """Train to the end, or until a hook or an interrupt stops it.

        Returns:
            what ``summary.json`` holds.

        Raises:
            ConfigError: the config has problems; all of them are in it, and nothing was built.
        """
        self.check("train")
        prepare.training(self)
        with record.kept(self):
            self.call("before_run")
            self.call("before_train")
            while True:
                if self.validation_due:
                    self.validate()
                logged.write(self)
                self.save_if_asked()
                self.ranks.agree(self)
                if self.stop_reason or self.iteration >= self.total_iterations:
                    break
                if self.iteration >= self.phases[self.phase].end:
                    enter(self, self.phase + 1)
                self.train_epoch()
            self.call("after_train")
            self.save_if_asked()
            self.call("after_run")
            if self.save_failure:
                raise CheckpointError(self.save_failure)
        return self.summary

    def test(self, split: Split = "test", state: Mapping[str, Any] | None = None) -> dict[str, float]:
        """Evaluate the model on a split.

        Args:
            state: a checkpoint, or ``{"model": state_dict}``; without one the weights are fresh, or those trained here.

        Returns:
            ``{"test/loss": 0.83, "test/top1": 0.7101}``.
        """
        self.check("test", split)
        if not hasattr(self, "model"):
            prepare.testing(self, split, state or {})
        elif state:
            load_weights(self.model, self.ranks.strategy.load(state)["model"])
        loader = self.builder.loader(split)
        self.ranks.share_memory(loader)
        trained_on, label = (state or {}).get("data"), prepare.label(loader)
        if trained_on is not None and "stand-in" in (trained_on, label) and label != trained_on:
            raise DataError(
                f"the run was trained on {trained_on}, but {split!r} is {label}: its figures would mean nothing"
            )
        self.call("before_test")
        values = self.evaluate(loader, "test") or {}
        metrics = {f"{split}/{name}": value for name, value in values.items()}
        self.call("after_test", metrics=metrics)
        return metrics

    # -- the loop ------------------------------------------------------------------------------------------------

    def train_epoch(self) -> None:
        """One pass over the training data, from ``self.position`` (above 0 after a resume)."""
        self.step.train()
        if self.position == 0:
            self.figures.reset()
            self.call("before_train_epoch")
        self.speed.start(self.iteration, self.figures.total)
        for batch in self.speed.waiting(self.batches()):
            self.call("before_train_iter", batch=batch)
            computed = self.train_step(batch)  # stays on the device: no synchronisation here
            batch = self.ranks.whole(batch)  # of which this process may have run a part
            if not self.step_skipped:
                self.figures.add(computed, batch)
                for name, value in computed.logged.items():
                    self.log(name, value)
            self.iteration, self.position = self.iteration + 1, self.position + 1
            for schedule in self.schedules:
                schedule.after("iter")
            self.call("after_train_iter", batch=batch, loss=computed.loss, outputs=computed.outputs)
            if self.iteration % self.log_iterations == 0:
                logged.write_iteration(self)
            if self.position >= self.per_epoch or self.iteration >= self.phases[self.phase].end:
                break  # validated and saved after the epoch has ended, so that no resume begins between the two
            if self.iteration % self.val_iterations == 0:
                self.validate_in_epoch()
            self.save_if_asked()
            self.ranks.agree(self)
            if self.stop_reason:
                return
        if not self.workers_gone:
            self.end_epoch()

    def batches(self) -> Iterator[Batch]:
        """What is left of the epoch; data that fails does so between two iterations, and the state is saved first."""
        try:
            yield from self.ranks.batches(self.train_loader, self.epoch, self.position)
        except Exception as error:
            if self.interrupted:  # the signal has ended the workers too
                logger.info("%s", error)
                self.workers_gone = True
                return
            if self.iteration:
                self.save()
                self.save_if_asked()
            if self.iteration and not self.save_failure:
                logger.error("the data failed after iteration %d; --resume goes on from there", self.iteration)
            raise

    def train_step(self, batch: Batch) -> Computed:
        """One optimizer step: the loss and the outputs before it, detached."""
        self.seed_model_randomness()
        if self.needs_closure:
            return self.closure_step(batch)
        if self.by_hand is not None:
            return self.step_by_hand(batch, self.by_hand)
        self.optimizer.zero_grad()
        self.guard.before_forward()
        computed = self.ranks.gradients(self, batch)
        self.call("after_backward")
        norm = self.clip_gradients()
        if computed.loss is not None:
            self.step_skipped = self.guard.refuses(self, batch, computed.loss, norm)
            if self.step_skipped:
                return computed
        self.call("before_optimizer_step")
        if self.scaler is None:
            self.optimizer.step()
        else:
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self.call("after_optimizer_step")
        return computed

    def closure_step(self, batch: Batch) -> Computed:
        """A step of an optimizer that asks for the loss several times, such as LBFGS; hooks are called once."""
        first: list[Computed] = []

        def closure() -> Tensor | None:
            self.seed_model_randomness()  # the same dropout each time
            self.optimizer.zero_grad()
            result = self.ranks.gradients(self, batch)
            if not first:
                self.call("after_backward")
            self.clip_gradients()
            first.append(result) if not first else None
            return result.loss

        self.call("before_optimizer_step")
        self.optimizer.step(closure)  # type: ignore[arg-type]  # torch's stubs want a float
        self.call("after_optimizer_step")
        return first[0]

    def step_by_hand(self, batch: Batch, optimizers: ByHand) -> Computed:
        """A step of a model whose ``training_step`` steps the optimizers itself; hooks are called once, around it."""
        self.call("before_optimizer_step")
        computed = taken_by_hand(self.step, batch)
        if self.position + 1 >= self.per_epoch:
            optimizers.refuse_standstill()
        self.call("after_optimizer_step")
        return computed

    def end_epoch(self) -> None:
        """The data of an epoch, or the run, is at its end."""
        self.speed.read(self.iteration, self.figures.total)
        values = {f"train/{name}": value for name, value in self.figures.compute().items()}
        non_finite.look(self)
        self.epoch, self.position = self.epoch + 1, 0
        self.pending |= values
        for schedule in self.schedules:
            schedule.after("epoch")
            schedule.after_metrics(values, self.epoch)
        every = self.val_every
        ends = self.iteration >= self.total_iterations
        due = ends or self.limit is not None or (every.unit == "epochs" and self.epoch % every.count == 0)
        self.validation_due = self.val_loader is not None and (due or self.iteration % self.val_iterations == 0)
        self.call("after_train_epoch")

    # -- validation ----------------------------------------------------------------------------------------------

    def validate_in_epoch(self) -> None:
        """A validation that ``val_every`` asks for between two iterations."""
        self.speed.read(self.iteration, self.figures.total)
        non_finite.look(self)
        self.validation_due = True
        self.validate()
        logged.write(self)
        self.step.train()
        self.speed.start(self.iteration, self.figures.total)

    def validate(self) -> None:
        """Run the validation data; an interrupt leaves it due, and the resumed run makes up for it."""
        if self.val_loader is None:
            self.validation_due = False
            return
        self.call("before_val")
        values = self.evaluate(self.val_loader, "val")
        if values is None:
            return
        self.validation_due = False
        metrics = {f"val/{name}": value for name, value in values.items()}
        self.pending |= metrics
        for schedule in self.schedules:
            schedule.after_metrics(metrics, self.epoch_in_progress)
        self.call("after_val", metrics=metrics)

    def evaluate(self, loader: Loader, split: Literal["val", "test"]) -> dict[str, float] | None:
        """Loss and metrics over a loader's samples, each counted once; None if an interrupt came between."""
        self.step.eval()
        figures = Figures(self.builder.metrics())
        self.ranks.same_buffers(self.step)
        with torch.inference_mode():
            for number, batch in enumerate(self.ranks.batches(loader, 0)):
                self.ranks.agree(self)
                if self.interrupted:
                    return None
                if number == self.limit:
                    break
                self.call(f"before_{split}_iter", batch=batch)
                computed = self.ranks.evaluated(self.step, batch)
                batch = self.ranks.whole(batch)
                figures.add(computed, batch)
                self.call(f"after_{split}_iter", batch=batch, outputs=computed.outputs)
        return figures.compute()

    # -- what hooks and users may ask of a run -------------------------------------------------------------------

    @property
    def classes(self) -> Sequence[Any]:
        """Names of the classes, as the data gives them; their numbers where it has no names, none without classes."""
        return self.builder.known.get("classes") or range(self.builder.known.get("num_classes", 0))

    @property
    def optimizers(self) -> Mapping[str, torch.optim.Optimizer]:
        """By the names that the config gives them; a single one is ``run.optimizers["optimizer"]``."""
        return self.by_hand or named(self.optimizer)

    def log(self, name: str, value: float | Tensor) -> None:
        """Put a number into the next record, so that terminal, metrics.jsonl and TensorBoard get it.

        A tensor stays on its device until then.
        """
        self.pending[name] = value.detach() if isinstance(value, Tensor) else value

    def whole(self, state: T) -> T:
        """A state dict, or anything else made of the model's tensors, with each of them whole; called on every rank.

        Of several ranks each may hold a part of them alone, as the run key ``strategy`` says.
        """
        return self.ranks.strategy.gather(state)

    def show(
        self,
        name: str,
        picture: Any,
        caption: str = "",
        data: Mapping[str, Any] | None = None,
        frames: Sequence[Any] = (),
    ) -> Shown:
        """Keep a picture, so that ``figures/``, TensorBoard and the report get it.

        Args:
            name: what it is, the same each time it is drawn; a second one of that name in this iteration replaces it.
            picture: a matplotlib figure, a Pillow image, an array (H, W, 3) or (H, W), or a tensor (3, H, W);
                uint8 from 0 to 255, or float from 0 to 1.
            data: the numbers behind it, as JSON has them, for those who read rather than look.
            frames: its parts one by one, pictures too: TensorBoard shows these instead, their number as the step.

        Returns:
            what was written; ``path`` says where, for those who put a table beside it.

        Raises:
            PegboardError: it is no picture.
        """
        pictures, epoch = Pictures(self.folder / "figures"), self.epoch_in_progress
        if not self.writes:  # the first rank keeps it
            return Shown(name, caption, epoch, self.iteration, pictures.path_of(name, self.iteration), dict(data or {}))
        shown = pictures.add(name, picture, caption, epoch=epoch, iteration=self.iteration, data=data, frames=frames)
        self.call("on_show", shown=shown)
        return shown

    def stop(self, reason: str) -> None:
        """End the run after this iteration; the state is saved."""
        self.ranks.want_stop(self, reason, interrupted=False)

    def interrupt(self, reason: str = "interrupted") -> None:
        """End the run as soon as may be, also in the middle of a validation; safe to call from a signal handler."""
        self.ranks.want_stop(self, reason, interrupted=True)

    def save(self) -> None:
        """Ask for a checkpoint; the loop writes one after all hooks of this point were called."""
        self._save_asked = True

    def save_if_asked(self) -> None:
        """Write one checkpoint, however many hooks asked for it."""
        if self._save_asked:
            self._save_asked = False
            save(self)

    def call(self, point: str, **given: Any) -> None:
        """Call each hook that defines ``point``, in config order."""
        for name, method in self._points[point]:
            started = perf_counter()
            try:
                method(self, **given)
            except Exception as error:
                everywhere = self.ranks.several and self.hooks[name].ranks == "all"  # off on some ranks, it misleads
                if self.hooks[name].essential or isinstance(error, ConfigError) or everywhere:
                    error.add_note(f"in hook {name!r} at {point}")
                    raise
                at = error.method if isinstance(error, TrackerFailed) else point
                logger.error(
                    "hook %r failed at %s and is switched off; training goes on: %s", name, at, reason_of(error),
                    exc_info=True, extra={"brief": isinstance(error, PegboardError)},
                )  # fmt: skip
                self._switch_off(name)
            self.hook_seconds[name] += perf_counter() - started

    # -- the inside of a step ------------------------------------------------------------------------------------

    def seed_model_randomness(self) -> None:
        """Dropout and the like are a function of (seed, iteration)."""
        seed = hashed(self.model_seed, self.iteration)
        for generator in self.generators:
            generator.manual_seed(seed)

    def clip_gradients(self) -> Tensor | None:
        """Limit the gradients as ``clip_grad`` asks.

        Returns:
            their norm before, where it was taken and an infinite one is no matter of the scaler's.
        """
        if not self.clip:
            return None
        if self.scaler is not None:
            self.scaler.unscale_(self.optimizer)
        before = None
        if (norm := self.clip.get("norm")) is not None:
            before = self.ranks.strategy.gather(torch.nn.utils.clip_grad_norm_(self.model.parameters(), norm))
        if (value := self.clip.get("value")) is not None:
            torch.nn.utils.clip_grad_value_(self.model.parameters(), value)
        return before if self.scaler is None else None

    # -- small parts ---------------------------------------------------------------------------------------------

    @property
    def writes(self) -> bool:
        """Is this the process whose files the run folder holds? Of several ranks the first one is."""
        return self.ranks.first

    @property
    def epoch_in_progress(self) -> int:
        """Number of the epoch that goes on, or of the one that has just ended; the first is 1."""
        return self.epoch + 1 if self.position else self.epoch

    def check(self, purpose: Literal["train", "test"], split: Split = "test") -> None:
        """Refuse a config that has problems; to test, it needs the split that is evaluated.

        Raises:
            ConfigError: all of them.
        """
        problems = check(self.config, purpose, split)
        if problems:
            raise ConfigError(problems)

    def begins_in(self, environment: Mapping[str, Any]) -> None:
        """Told what ``environment.json`` is to hold, before anything is trained; a subclass may refuse it."""

    def use_hooks(self, hooks: dict[str, Hook]) -> None:
        """Take these hooks; per point only those are called that define it."""
        self.hooks = hooks
        self.hook_seconds = dict.fromkeys(hooks, 0.0)
        self.ranks.use(hooks)
        for point, methods in self._points.items():
            methods[:] = [
                (name, getattr(hook, point))
                for name, hook in hooks.items()
                if hasattr(hook, point) and self.ranks.runs(hook)
            ]

    def _switch_off(self, name: str) -> None:
        for point, methods in self._points.items():
            self._points[point] = [(other, method) for other, method in methods if other != name]
