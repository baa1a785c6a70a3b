"""Two networks against each other: one learns to draw shapes, the other to tell its drawings from the data.

The model's training_step gets both optimizers by name and steps them itself; see parts/gan.py.
"""

plugins = ["./parts/gan.py"]

train = dict(
    dataset=dict(type="DrawnShapes", count=4000),
    transforms=[
        dict(type="GaussianBlur", kernel_size=5, sigma=1.0),  # without the grain, by which any drawing is found out
        dict(type="ToFloat"),
        dict(type="Normalize", mean=[0.5] * 3, std=[0.5] * 3),  # from -1 to 1
    ],
    batch_size=32,
    shuffle=True,
    drop_last=True,
)
model = dict(type="DCGAN", width=24)
loss = dict(type="BCEWithLogitsLoss")
optimizer = dict(
    generator=dict(type="Adam", lr=5e-4, betas=(0.5, 0.999), match="generator.*"),
    discriminator=dict(type="Adam", lr=5e-4, betas=(0.5, 0.999), match="discriminator.*"),
)
hooks = dict(samples=dict(type="DrawnSamples", every="4 epochs"))
train_for = "24 epochs"
