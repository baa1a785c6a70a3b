"""Every top-level key that a run understands, every key of a loader, and what each may hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Key:
    """What one key may hold.

    Args:
        kind: an annotation such as ``"int | None"``, or one of ``"part"`` (a dict with a type), ``"parts"`` (a part or
            a list of them), ``"named parts"`` (a dict of parts, None switches one off), ``"part or named parts"``,
            ``"optimizers"`` (a part, or several in a list or by name), ``"loader"``, ``"duration"``, ``"options"`` (a
            dict of other keys), ``"list of options"``, ``"switch or options"`` (True, or a dict), ``"init rules"``,
            ``"patterns"`` (over the names of a model's tensors), ``"address"`` (``"module:function"``),
            ``"relabelling"``, ``"plugins"``, ``"device"``, ``"batch size"``.
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
    "batch_size": Key(
        "batch size", "samples an optimizer step, of all ranks together; '128 per rank' of each", default=1, at_least=1
    ),
    "shuffle": Key("bool", "a new order each epoch", default=False),
    "sampler": Key("part", "which samples an epoch shows, and in what order, instead of shuffle", "samplers"),
    "drop_last": Key("bool", "leave out a last batch that is smaller", default=False),
    "mode": Key("Literal['auto', 'memory', 'workers']", "which engine makes the batches", default="auto"),
    "workers": Key("int", "processes of the worker engine", default=0, at_least=0),
    "cache": Key("Literal['memory'] | None", "'memory': the worker engine decodes every image once"),
    "collate": Key("address", "function that makes (inputs, targets) of a list of (image, target) pairs"),
    "on_bad_sample": Key("Literal['error', 'skip']", "what to do about a sample that cannot be read", default="error"),
    "max_bad": Key("float", "largest share of samples that may be skipped", default=0.01, at_least=0),
    "target_transform": Key(
        "relabelling", "the new class number of each old one, as a list; or 'module:function', called with the target"
    ),
}

PRETRAINED_KEYS: Mapping[str, Key] = {
    "path": Key("str", "a torch or safetensors file, a checkpoint, or a run folder"),
    "rename": Key("dict", "regular expression -> replacement, applied to the names in the file"),
    "skip": Key("patterns", "tensors of the model that stay fresh", default=()),
    "min_match": Key("float", "smallest share of the model's tensors that must be loaded", default=0.5, at_least=0),
}

PHASE_KEYS: "Mapping[str, Key]" = {
    "train_for": Key("duration", "length of the phase"),
    "freeze": Key("patterns", "what stands still in it; the run's freeze unless given"),
    "batch_size": Key("batch size", "samples an optimizer step, as in train", at_least=1),
    "lr": Key(
        "float", "learning rate at its start, times each group's lr_mult; the optimizer's unless given", at_least=0
    ),
    "scheduler": Key("parts", "what changes the learning rate within it", "schedulers"),
}

CHECKPOINT_KEYS: Mapping[str, Key] = {
    "every": Key("duration", "how often the state is saved", default="1 epoch"),
    "keep": Key("int", "how many of the newest are kept", default=3, at_least=1),
}

CLIP_KEYS: Mapping[str, Key] = {
    "norm": Key("float", "largest norm of all gradients together", at_least=0),
    "value": Key("float", "largest absolute value of a gradient's element", at_least=0),
}

NON_FINITE_KEYS: Mapping[str, Key] = {
    "policy": Key("Literal['stop', 'skip']", "end the run, or leave the step out", default="stop"),
    "limit": Key("int", "steps that a run may leave out before it ends", default=10, at_least=0),
}

RUN_KEYS: Mapping[str, Key] = {
    "train": Key("loader", "the training data"),
    "val": Key("loader", "the validation data"),
    "test": Key("loader", "the test data; read by `pegboard test` alone"),
    "model": Key("part", "the network", "models"),
    "init": Key("init rules", "fresh weights: dict(type='xavier_normal', layer='Conv2d', bias=0)", default=()),
    "pretrained": Key("options", "weights to start from", options=PRETRAINED_KEYS),
    "freeze": Key("patterns", "parameters and buffers that stand still, e.g. 'conv*'", default=()),
    "loss": Key(
        "part or named parts",
        "what is minimised, called as loss(outputs, targets); or several by name, added times their loss_weight",
        "losses",
    ),
    "metrics": Key("named parts", "what is measured, by name: dict(top1=dict(type='Accuracy'))", "metrics", {}),
    "optimizer": Key(
        "optimizers", "what changes the weights; several, in a list or by name, each with a match", "optimizers"
    ),
    "scheduler": Key("parts", "what changes the learning rate, with unit='epoch' or 'iter'", "schedulers", ()),
    "phases": Key("list of options", "stages of a run, each with a train_for of its own", options=PHASE_KEYS),
    "train_for": Key("duration", "length of the run, e.g. '60 epochs' or '500 iters'; with phases, theirs together"),
    "val_every": Key("duration", "how often the validation data is run", default="1 epoch"),
    "log_every": Key("duration", "how often the training loss is logged", default="50 iters"),
    "checkpoint": Key("options", "how often the state is saved, and how many are kept", options=CHECKPOINT_KEYS),
    "precision": Key("Literal['fp32', 'bf16', 'fp16']", "number format of the forward pass", default="fp32"),
    "compile": Key("switch or options", "torch.compile the model and loss; a dict has its arguments", default=False),
    "channels_last": Key("bool", "memory layout of images and convolutions", default=False),
    "sync_batchnorm": Key("bool", "on several GPUs, batch norm's means over the whole batch", default=False),
    "unused_parameters": Key("bool", "on several ranks, allow steps that parameters take no part in", default=False),
    "strategy": Key(
        "part", "how several ranks hold the model: DDP each all of it, FSDP each a part", "strategies", {"type": "DDP"}
    ),
    "accumulate": Key("int", "batches whose gradients make one optimizer step", default=1, at_least=1),
    "clip_grad": Key("options", "limit on the gradients before a step", options=CLIP_KEYS),
    "non_finite": Key(
        "options", "what to do about a loss or gradients that are nan or infinite", options=NON_FINITE_KEYS
    ),
    "seed": Key("int", "what order, augmentation, initial weights and dropout are drawn from", default=0, at_least=0),
    "deterministic": Key(
        "bool | None", "refuse operations whose result can differ between runs; on the CPU, where it is free, yes"
    ),
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

# Keys of one optimizer among several that say which parameters are its own.
OPTIMIZER_KEYS: Mapping[str, Key] = {
    "match": Key("str", "a pattern over parameter names, e.g. '*.weight'; those that no optimizer before it takes"),
    "kind": Key("Literal['norm']", "the parameters of normalisation layers"),
}

# Keys of any optimizer that say how its parameters are grouped.
GROUPING_KEYS: Mapping[str, Key] = {
    "groups": Key(
        "list of options", "rules like dict(match='fc3.*', lr_mult=10): the first that fits a parameter takes it"
    ),
    "layer_decay": Key(
        "float", "factor on the learning rate from each layer to the one before it, e.g. 0.75", at_least=0
    ),
}

# Keys of a rule of optimizer.groups; it also takes the optimizer's own options.
GROUP_KEYS: Mapping[str, Key] = {
    "match": Key("str", "a pattern over parameter names, e.g. 'fc3.*'"),
    "kind": Key("Literal['norm']", "the parameters of normalisation layers"),
    "lr_mult": Key("float", "factor on the learning rate", at_least=0),
}

# Keys of a loss among several.
LOSS_KEYS: Mapping[str, Key] = {"loss_weight": Key("float", "factor in the sum", default=1.0)}

# The hooks that every run has, as a config would name them: hooks=dict(progress=None) switches one off.
DEFAULT_HOOKS: Mapping[str, Mapping[str, Any] | None] = {
    "log": {"type": "MetricsFile"},
    "progress": {"type": "Progress"},
    "checkpoint": {"type": "Checkpoint"},
    "tensorboard": {"type": "TensorBoard"},
    "report": {"type": "Report"},
}


def default(key: str) -> Any:
    """What a run key holds where the config says nothing."""
    return RUN_KEYS[key].default


def optimizer_parts(optimizer: Any) -> dict[str, Mapping[str, Any]]:
    """Config path -> each optimizer, of the run key that holds one, a list of them, or a dict of them by name."""
    if isinstance(optimizer, list | tuple):
        return {f"optimizer.{index}": part for index, part in enumerate(optimizer)}
    if isinstance(optimizer, Mapping) and "type" not in optimizer:
        return {f"optimizer.{name}": part for name, part in optimizer.items() if part is not None}
    return {"optimizer": optimizer} if optimizer else {}
