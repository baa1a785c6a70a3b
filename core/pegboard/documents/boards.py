"""What a part of each board must be, for those who write one, and how a config names it."""

from collections.abc import Mapping

USE: Mapping[str, str] = {
    "datasets": """\
What the samples are: `train=dict(dataset=dict(type="ImageFolder", root="data/train"), ...)`.

A dataset has `__len__()` and `__getitem__(index)`, which gives `(image, target)`: a Pillow image or a uint8 tensor
(C, H, W), and for a classifier the number of its class. Where it has `classes` or `num_classes`, a model's
`num_classes` comes from there; where it has `mean` and `std`, so do `Normalize`'s. For segmentation the target is a
`pegboard.Mask`, the class of each pixel, and `ignore_index` is the number of a pixel that counts for none.""",
    "samplers": """\
Which samples an epoch shows, and in what order, instead of `shuffle`:
`train=dict(sampler=dict(type="SubsetRandomSampler", indices=[0, 1, 2]), ...)`.

Often used: `RandomSampler` with `num_samples`, `WeightedRandomSampler`, `SubsetRandomSampler`.

A subclass of `pegboard.Sampler` defines `__len__()` and `order(seed, epoch)`, the numbers of the samples as an array.
One of torch works too: its generator is seeded from seed and epoch, so that a resume goes on in mid-epoch.""",
    "transforms": """\
What is done to images, in order: `transforms=[dict(type="RandomCrop", size=32, padding=4), dict(type="ToFloat")]`.

A subclass of `pegboard.Transform` turns uniform numbers into parameters (`params(u, epoch, sizes)`) and applies them to
whole batches (`apply(images, rows)`), and to targets where it changes them too (`apply_targets(targets, rows)`). Any
callable on one image works too, one image at a time. `moves_pixels = False` says that masks stay; `apply_mask(mask,
rows)`, how they move.""",
    "models": """\
The network: `model=dict(type="LeNet")`. `num_classes` comes from the dataset unless given.

A model is a `torch.nn.Module`. One that defines `training_step(batch, criterion)`, which gives `(loss, outputs)`, takes
over what is computed while it trains. One that defines `training_step(batch, criterion, optimizers)`, as a GAN does,
steps its optimizers too, by the names that the config gives them: `optimizers["generator"].step()`; see
`configs/gan_shapes.py`.""",
    "losses": """\
What is minimised: `loss=dict(type="CrossEntropyLoss")`, or several by name, each with a `loss_weight`.

Often used: `CrossEntropyLoss` for one class of several, `BCEWithLogitsLoss` for classes that may be several at once,
`MSELoss`, `L1Loss` and `SmoothL1Loss` for numbers, `TripletMarginLoss` for distances, `KLDivLoss` for distillation.

A loss is called as `loss(outputs, targets)` and gives a scalar tensor, or a dict of them by name, which are added.""",
    "optimizers": """\
What changes the weights: `optimizer=dict(type="SGD", lr=0.1, momentum=0.9)`; several, in a list or by name, each with a
`match`.

Often used: `SGD`, `Adam`, `AdamW`, `RMSprop`, `Muon` for matrices, `LBFGS` for small problems.

An optimizer is a `torch.optim.Optimizer`; `params` comes from the model, in the groups that `groups` and `layer_decay`
ask for.""",
    "schedulers": """\
What changes the learning rate: `scheduler=dict(type="CosineAnnealingLR", unit="iter")`. `unit` says what one step of it
is, `"iter"` or `"epoch"`; `T_max`, `total_steps` and `max_lr` come from the run unless given.

Often used: `OneCycleLR`, `CosineAnnealingLR`, `StepLR`, `MultiStepLR`, `ReduceLROnPlateau`, `LinearLR` to warm up, and
`SequentialLR` for one after the other.

A scheduler is built as `Scheduler(optimizer, ...)` and has `step()`, `state_dict()` and `load_state_dict()`.""",
    "hooks": """\
What watches or steers the run, by name: `hooks=dict(stop=dict(type="EarlyStop", metric="val/top1", better="higher"))`.

A hook is a subclass of `pegboard.Hook` (or `PeriodicHook`) that defines the [points](hook_points.md) it needs; [writing
a hook](../writing_a_hook.md) shows how.""",
    "metrics": """\
What is measured, by name: `metrics=dict(top1=dict(type="Accuracy"))` gives `train/top1` and `val/top1`.

Beside `Accuracy`, often used of torchmetrics: `MulticlassF1Score`, `MulticlassAUROC`, `MulticlassConfusionMatrix`,
`MulticlassCalibrationError`, `MulticlassJaccardIndex`.

A metric has `update(outputs, targets)`, `reset()`, and `compute()`, which gives one number; `state_dict()` and
`load_state_dict()`, so that a run can be resumed in mid-epoch; and `higher_is_better`, None where neither is. What else
it knows, such as the figures of each class, a hook asks of it in `after_val`: `run.metrics["iou"].per_class()`. With
`supplied=("num_classes",)` where it is registered, the run fills that in.""",
    "strategies": """\
How the processes of a run (its ranks) hold the model, and join their gradients:
`strategy=dict(type="FSDP", wrap=["layer*"])`. A single process holds all of it, whatever is written here.

A strategy is a subclass of `pegboard.Strategy`: `wrap` takes the model over before the optimizer is built, `piece`
stands around forward and backward of a part of a batch, `gather` puts tensors together again, `save` and `load` write
and read checkpoints, and `saved` says when one that is written beside training is listed. Those that FSDP writes hold,
in `checkpoints/`, a folder of safetensors files, which each rank writes for itself, beside the `.pt` that lists them
with the SHA-256 of each; the index has that of the `.pt`. So a checkpoint counts only when all its files are whole, and
nothing that is read can run code; but whoever can write to the run folder can also change the digests.""",
}
