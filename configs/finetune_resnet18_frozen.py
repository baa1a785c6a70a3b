"""torchvision's ResNet-18 from its ImageNet weights: first its new head alone, then everything at a lower rate.

The weights are fetched from the network at the first run; --cfg-options weights=None starts from fresh ones, and
phases=None trains everything from the first step.
"""

_base_ = ["lenet_cifar.py"]

weights = "DEFAULT"
size = 128  # pixels: ImageNet's networks see little in 32
_mean, _std = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]  # of the images that the weights were trained on

_to_input = [dict(type="Resize", size=size), dict(type="ToFloat"), dict(type="Normalize", mean=_mean, std=_std)]

train = dict(transforms=[dict(type="RandomHorizontalFlip"), *_to_input], batch_size=64)
val = dict(transforms=_to_input, batch_size=100)
test = dict(transforms=_to_input, batch_size=100)

model = dict(type="resnet18", weights=weights)  # its head of 1000 classes is replaced by one for ten
optimizer = dict(type="SGD", lr=1e-2, momentum=0.9, nesterov=True, weight_decay=1e-4)
scheduler = None
phases = [
    dict(train_for="1 epoch", freeze=["conv1", "bn1", "layer*"]),
    dict(train_for="3 epochs", lr=2e-3, scheduler=dict(type="CosineAnnealingLR", unit="iter")),
]
train_for = "4 epochs"  # all phases together; with phases=None, the one that there is
