"""LeNet fitted on all of CIFAR-10, for use: the training, validation and test images together.

It trained on the test images, so there is none left to tell how good it is: no validation, and no test score. Choose
the recipe with lenet_cifar.py first; this one changes nothing but the data.
"""

_base_ = ["lenet_cifar.py"]

_parts = [
    dict(type="CIFAR10", root=data_root, split=split, on_missing=_on_missing)  # noqa: F821  # they stand in the bases
    for split in ("train", "val", "test")
]

train = dict(dataset=dict(type="Concat", datasets=_parts, _delete_=True))
val = None
test = None
# Pictures of validation images; those of the training, the kernels and the histograms stay.
hooks = dict(confusion=dict(split="train", pairs=0), mistakes=None, cam=None, maps=None, embedding=None)
