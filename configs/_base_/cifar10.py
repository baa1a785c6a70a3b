"""CIFAR-10, cropped and mirrored for training. Its mean and standard deviation come with the dataset."""

data_root = "data/cifar10"

train = dict(
    dataset=dict(type="CIFAR10", root=data_root, split="train"),
    transforms=[
        dict(type="RandomCrop", size=32, padding=4),
        dict(type="RandomHorizontalFlip"),
        dict(type="ToFloat"),
        dict(type="Normalize"),
    ],
    batch_size=128,
    shuffle=True,
    drop_last=True,
)
val = dict(
    dataset=dict(type="CIFAR10", root=data_root, split="val"),
    transforms=[dict(type="ToFloat"), dict(type="Normalize")],
    batch_size=500,
)
test = dict(
    dataset=dict(type="CIFAR10", root=data_root, split="test"),
    transforms=[dict(type="ToFloat"), dict(type="Normalize")],
    batch_size=500,
)
