"""A residual network on CIFAR-10; it aims at more than 93 % on the test images, and wants a GPU.

On a CPU an epoch takes minutes; --cfg-options model.width=1 makes it fourteen times cheaper.
"""

_base_ = ["lenet_cifar.py"]

model = dict(type="ResNet", depth=20, width=4)
loss = dict(type="CrossEntropyLoss", label_smoothing=0.1)
optimizer = dict(type="SGD", lr=0.2, momentum=0.9, nesterov=True, weight_decay=5e-4)
scheduler = dict(type="OneCycleLR", unit="iter", pct_start=0.2, cycle_momentum=False)
train_for = "40 epochs"
