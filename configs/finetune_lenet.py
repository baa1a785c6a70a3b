"""LeNet from somebody's weights: all layers at a low rate, the last at ten times that.

The weights are those of the classic tutorial; --cfg-options weights=PATH says where they lie. What they score before:
python tools/test.py PATH --config configs/finetune_lenet.py.
"""

_base_ = ["lenet_cifar.py"]

weights = "data/net_params_72p.pkl"
# Of the images that they were trained on, not of all CIFAR-10.
_normalize = dict(type="Normalize", mean=[0.4948052, 0.48568845, 0.44682974], std=[0.24580306, 0.24236229, 0.2603115])

train = dict(
    transforms=[
        dict(type="RandomCrop", size=32, padding=4),
        dict(type="RandomHorizontalFlip"),
        dict(type="ToFloat"),
        _normalize,
    ]
)
val = dict(transforms=[dict(type="ToFloat"), _normalize])
test = dict(transforms=[dict(type="ToFloat"), _normalize])

pretrained = dict(path=weights)
optimizer = dict(type="SGD", lr=2e-3, groups=[dict(match="fc3.*", lr_mult=10)])
train_for = "10 epochs"
