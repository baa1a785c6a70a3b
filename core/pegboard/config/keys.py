"""Every top-level key that a run understands, every key of a loader, and what each may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """What one key may hold.

    Args:
        kind: ``"part"`` (a dict with a type), ``"parts"`` (a part or a list of them), ``"named parts"`` (a dict of
            parts, None switches one off), ``"loader"``, ``"duration"``, ``"options"`` (a dict of other keys),
            ``"plugins"``, ``"device"``, or an annotation such as ``"int | None"``.
        help: one line for a reader.
        board: where parts are looked up.
        default: what holds where the config says nothing.
        at_least: smallest number allowed.
        options: for ``"options"``, the keys inside.
    """

    kind: str
    help: str
    board: str = ""
    default: Any = None
    at_least: float | None = None
    options: "Mapping[str, Key] | None" = None


LOADER_KEYS: Mapping[str, Key] = {
    "dataset": Key("part", "what the samples are", "datasets"),
    "transforms": Key("parts", "what is done to the images, in order", "transforms", ()),
    "batch_size": Key("int", "samples an optimizer step", default=1, at_least=1),
    "shuffle": Key("bool", "a new order each epoch", default=False),
    "drop_last": Key("bool", "leave out a last batch that is smaller", default=False),
    "mode": Key("Literal['auto', 'memory', 'workers']", "which engine makes the batches", default="auto"),
    "workers": Key("int", "processes of the worker engine", default=0, at_least=0),
}

CHECKPOINT_KEYS: Mapping[str, Key] = {
    "every": Key("duration", "how often the state is saved", default="1 epoch"),
    "keep": Key("int", "how many of the newest are kept", default=3, at_least=1),
}

CLIP_KEYS: Mapping[str, Key] = {
    "norm": Key("float", "largest norm of all gradients together", at_least=0),
    "value": Key("float", "largest absolute value of a gradient's element", at_least=0),
}

RUN_KEYS: Mapping[str, Key] = {
    "train": Key("loader", "the training data"),
    "val": Key("loader", "the validation data"),
    "test": Key("loader", "the test data; read by `pegboard test` alone"),
    "model": Key("part", "the network", "models"),
    "loss": Key("part", "what is minimised, called as loss(outputs, targets)", "losses"),
    "metrics": Key("named parts", "what is measured, by name: dict(top1=dict(type='Accuracy'))", "metrics", {}),
    "optimizer": Key("part", "what changes the weights", "optimizers"),
    "scheduler": Key("parts", "what changes the learning rate, with unit='epoch' or 'iter'", "schedulers", ()),
    "train_for": Key("duration", "length of the run, e.g. '60 epochs' or '500 iters'"),
    "val_every": Key("duration", "how often the validation data is run", default="1 epoch"),
    "log_every": Key("duration", "how often the training loss is logged", default="50 iters"),
    "checkpoint": Key("options", "how often the state is saved, and how many are kept", options=CHECKPOINT_KEYS),
    "precision": Key("Literal['fp32', 'bf16', 'fp16']", "number format of the forward pass", default="fp32"),
    "channels_last": Key("bool", "memory layout of images and convolutions", default=False),
    "accumulate": Key("int", "batches whose gradients make one optimizer step", default=1, at_least=1),
    "clip_grad": Key("options", "limit on the gradients before a step", options=CLIP_KEYS),
    "seed": Key("int", "what order, augmentation, initial weights and dropout are drawn from", default=0, at_least=0),
    "deterministic": Key("bool", "refuse operations whose result can differ between runs", default=False),
    "device": Key("device", "auto, cpu, cuda, cuda:N or mps", default="auto"),
    "threads": Key("int | None", "CPU threads of the training step; None leaves it to torch", at_least=1),
    "hooks": Key(
        "named parts", "what watches or steers the run, by name; None switches a default one off", "hooks", {}
    ),
    "plugins": Key("plugins", "code that is not packaged: './my_parts.py' beside the config, or a module", default=()),
    "work_dir": Key("str | None", "where runs are written; runs/<name>/<time> unless given"),
    "name": Key("str | None", "name of the run; the config's file name unless given"),
}

# What a training run cannot do without.
NEEDED_TO_TRAIN = ("train", "model", "loss", "optimizer", "train_for")

# Keys of a scheduler's dict that the runner keeps to itself.
SCHEDULER_KEYS: Mapping[str, Key] = {
    "unit": Key("Literal['epoch', 'iter']", "what one step of the schedule is; always said"),
    "monitor": Key("str | None", "the metric that ReduceLROnPlateau watches, e.g. 'val/loss'"),
}

# The hooks that every run has, as a config would name them: hooks=dict(progress=None) switches one off.
DEFAULT_HOOKS: Mapping[str, Mapping[str, Any] | None] = {
    "log": {"type": "MetricsFile"},
    "progress": {"type": "Progress"},
    "checkpoint": {"type": "Checkpoint"},
    "tensorboard": {"type": "TensorBoard"},
}


def default(key: str) -> Any:
    """What a run key holds where the config says nothing."""
    return RUN_KEYS[key].default
