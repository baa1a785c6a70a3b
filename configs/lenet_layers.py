"""LeNet put together from torch.nn layers, with the outputs and the state-dict names of type="LeNet"."""

_base_ = ["lenet_cifar.py"]

model = dict(
    type="Sequential",
    layers=dict(
        conv1=dict(type="Conv2d", in_channels=3, out_channels=6, kernel_size=5),
        pool1=dict(type="MaxPool2d", kernel_size=2),
        relu1=dict(type="ReLU"),
        conv2=dict(type="Conv2d", in_channels=6, out_channels=16, kernel_size=5),
        pool2=dict(type="MaxPool2d", kernel_size=2),
        relu2=dict(type="ReLU"),
        flat=dict(type="Flatten"),
        fc1=dict(type="Linear", in_features=400, out_features=120),
        relu3=dict(type="ReLU"),
        fc2=dict(type="Linear", in_features=120, out_features=84),
        relu4=dict(type="ReLU"),
        fc3=dict(type="Linear", in_features=84, out_features="num_classes"),  # as many as the data has
    ),
)
