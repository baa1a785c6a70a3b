"""What a hook may define, and what it is given at each point."""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from typing import Any, ClassVar, Literal

from pegboard.errors import PegboardError, did_you_mean

# Every hook point, in the order in which a run passes it, with the arguments that follow (self, run).
POINTS: Mapping[str, tuple[str, ...]] = {
    "before_run": (),
    "before_train": (),
    "before_train_epoch": (),
    "before_train_iter": ("batch",),
    "after_backward": (),
    "before_optimizer_step": (),
    "after_optimizer_step": (),
    "after_train_iter": ("batch", "loss", "outputs"),
    "after_train_epoch": (),
    "before_val": (),
    "before_val_iter": ("batch",),
    "after_val_iter": ("batch", "outputs"),
    "after_val": ("metrics",),
    "before_test": (),
    "before_test_iter": ("batch",),
    "after_test_iter": ("batch", "outputs"),
    "after_test": ("metrics",),
    "on_log": ("values",),
    "on_show": ("shown",),
    "before_checkpoint": ("state",),
    "after_checkpoint": ("path",),
    "on_exception": ("error",),
    "after_train": (),
    "after_run": (),
    "on_end": ("summary",),
}

# When each is called, and what may be done there; `pegboard docs after_val` prints it.
WHEN: Mapping[str, str] = {
    "before_run": "Once, first of all: the parts are built, the run folder exists.",
    "before_train": "Once, before the first epoch, or before the rest of one that a resume goes on with.",
    "before_train_epoch": "Before each epoch; not repeated where a resume starts in mid-epoch.",
    "before_train_iter": "The batch is on the device, transformed; change it in place at most.",
    "after_backward": "Gradients are there, not clipped yet; those of fp16 are still scaled.",
    "before_optimizer_step": "Gradients are there as the optimizer gets them, clipped.",
    "after_optimizer_step": "The weights are new; the gradients are still there.",
    "after_train_iter": "The loss (a scalar) and outputs are tensors on the device, from before the step, without "
    "gradients: reading one (`.item()`) waits for the device.",
    "after_train_epoch": "After each epoch that was completed; `run.epoch` counts it already.",
    "before_val": "Before each validation.",
    "before_val_iter": "The batch is on the device; no gradients.",
    "after_val_iter": "What the model gives for the batch; no gradients.",
    "after_val": 'Metrics by name, as floats: `{"val/loss": 0.8, "val/top1": 0.71}`.',
    "before_test": "In `pegboard test`: before the data is evaluated.",
    "before_test_iter": "As `before_val_iter`, of the data under test.",
    "after_test_iter": "As `after_val_iter`, of the data under test.",
    "after_test": 'Metrics by name, as floats: `{"test/top1": 0.73}`.',
    "on_log": "A record for `metrics.jsonl`: floats by name, `epoch` or `iteration` among them.",
    "on_show": "A picture that `run.show` has written to `figures/`, as a `pegboard.Shown`.",
    "before_checkpoint": "The dict that is about to be saved.",
    "after_checkpoint": "The file at this path is complete, and listed; some iterations after `before_checkpoint` "
    "where it was written beside training, as FSDP does.",
    "on_exception": "The run is about to end because of this error.",
    "after_train": "Once, after the last epoch, or when the run was stopped.",
    "after_run": "Once, after `after_train`.",
    "on_end": "Last of all, however the run ended; `summary.json` is written.",
}


class Hook:
    """Watches or steers a run: define the points you need, each as ``def after_val(self, run, metrics): ...``.

    A hook that raises is reported once and switched off, unless it is ``essential``: then the run ends.

    ``state`` names the attributes that a resumed run must find again; they are saved under the name that the config
    gives the hook, and may hold numbers, strings, tensors, and lists and dicts of these. ``fleeting`` names those, or
    keys within them, that a resumed run need not find again: a time, a cache. ``steers = True`` says that the hook
    changes training on purpose; all others must leave it bit for bit as it is (``pegboard.testing`` looks).

    Every point gets the run first. What follows it, and when it is called (an epoch's points repeat):

    ================================================ ==========================================================
    ``before_run(run)``, ``after_run(run)``          once; the parts are built, the run folder exists
    ``before_train(run)``, ``after_train(run)``      once, around all epochs
    ``before_train_epoch``, ``after_train_epoch``    not repeated where a resume starts in mid-epoch
    ``before_train_iter(run, batch)``                the batch is on the device; change it in place at most
    ``after_backward(run)``                          gradients are there, not clipped yet, fp16 ones still scaled
    ``before_optimizer_step``, ``after_...``         gradients are there, clipped; after: weights are new
    ``after_train_iter(run, batch, loss, outputs)``  tensors on the device: reading one (``.item()``) waits for it
    ``before_val(run)``, ``after_val(run, metrics)`` metrics: ``{"val/loss": 0.8, "val/top1": 0.71}``
    ``before_val_iter``, ``after_val_iter``          (run, batch), (run, batch, outputs); no gradients
    ``before_test`` ... ``after_test_iter``          the same for the test split, in `pegboard test`
    ``on_log(run, values)``                          a record: floats by name, ``epoch`` or ``iteration`` among them
    ``on_show(run, shown)``                          a picture that ``run.show`` has written to ``figures/``
    ``before_checkpoint(run, state)``                state: the dict that is about to be written
    ``after_checkpoint(run, path)``                  the file is complete; under FSDP some iterations later
    ``on_exception(run, error)``                     the run is about to end because of it
    ``on_end(run, summary)``                         last, however the run ended; summary.json is written
    ================================================ ==========================================================

    Where the model steps the optimizers itself (``training_step(batch, criterion, optimizers)``) there is no
    ``after_backward``, and ``before_optimizer_step`` comes before ``training_step``: the gradients are the last ones.

    A run of several processes (its ranks) has each hook on every one of them, or, where it says ``ranks = "first"``, on
    the first alone: right for one that writes or draws, wrong for one that steers, since all ranks must be steered
    alike. What is given after an iteration is the whole batch on every rank, with the model's outputs for all of it;
    its ``inputs`` only if a hook of the run says ``needs_inputs = True``, which costs moving them between the ranks.
    Before an iteration the batch is the rank's own part. Under ``strategy=dict(type="FSDP")`` each rank holds a part of
    every weight: ``run.whole(...)``, called on every rank, puts them together. A hook of ``ranks = "first"`` that runs
    the model or reads its weights says ``reads_model = True``, and is refused there.
    """

    essential: ClassVar[bool] = False
    ranks: ClassVar[Literal["all", "first"]] = "all"
    needs_inputs: ClassVar[bool] = False
    reads_model: ClassVar[bool] = False
    state: ClassVar[tuple[str, ...]] = ()
    fleeting: ClassVar[tuple[str, ...]] = ()
    steers: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, method in vars(cls).items():
            if not name.startswith(("before_", "after_", "on_")) or not callable(method):
                continue
            if name not in POINTS:
                raise TypeError(f"{cls.__name__}.{name} is no hook point" + did_you_mean(name, POINTS))
            expected = ["self", "run", *POINTS[name]]
            found = list(inspect.signature(method).parameters)
            if found != expected:
                raise TypeError(f"{cls.__name__}.{name} takes ({', '.join(found)}); expected ({', '.join(expected)})")

    def state_dict(self) -> dict[str, Any]:
        """The attributes that ``state`` names."""
        return {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Put the saved attributes back."""
        for name in self.state:
            if name not in state:
                raise PegboardError(f"the checkpoint has no {name!r} of {type(self).__name__}; it has {sorted(state)}")
            setattr(self, name, deepcopy(state[name]))  # a hook may change what it holds, but not the caller's state
