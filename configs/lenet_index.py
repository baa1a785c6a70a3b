"""LeNet on images that index files list: train.txt, valid.txt and test.txt, with classes.txt beside them.

`pegboard split` cuts a folder of class folders into such files, `pegboard index` lists train/ and test/ folders that
exist: `--cfg-options index_root=DIR` names the folder that they wrote. Images of another size than 32 x 32 need a
dict(type="Resize", size=[32, 32]) at the head of each list of transforms.
"""

_base_ = ["lenet_cifar.py"]

index_root = "data/index"
# CIFAR-10's; `pegboard stats data/index` prints those of other images.
mean = (0.4914, 0.4822, 0.4465)
std = (0.2470, 0.2435, 0.2616)

train = dict(
    dataset=dict(type="IndexFile", path=f"{index_root}/train.txt", _delete_=True),
    transforms=[
        dict(type="RandomCrop", size=32, padding=4),
        dict(type="RandomHorizontalFlip"),
        dict(type="ToFloat"),
        dict(type="Normalize", mean=mean, std=std),
    ],
)
_plain = [dict(type="ToFloat"), dict(type="Normalize", mean=mean, std=std)]
val = dict(dataset=dict(type="IndexFile", path=f"{index_root}/valid.txt", _delete_=True), transforms=_plain)
test = dict(dataset=dict(type="IndexFile", path=f"{index_root}/test.txt", _delete_=True), transforms=_plain)
