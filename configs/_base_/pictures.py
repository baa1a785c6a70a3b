"""Pictures of what a network does, for its report.html: what it has learned, where it looks, what it mistakes.

A config takes them by `_base_ = ["_base_/pictures.py", ...]`; `hooks=dict(cam=None)` leaves one out, and
`--cfg-options hooks.cam.every="1 epoch"` draws it more often. Each is drawn at the end of the run too,
also of one that is stopped before its time.
"""

hooks = dict(
    confusion=dict(type="ConfusionMatrix", every="30 epochs"),
    mistakes=dict(type="Mistakes", every="30 epochs"),
    cam=dict(type="GradCAM", images=6, every="30 epochs"),
    samples=dict(type="Samples", images=24, every="30 epochs"),
    maps=dict(type="FeatureMaps", images=2, every="30 epochs"),
    kernels=dict(type="Kernels", every="30 epochs"),
    embedding=dict(type="Embedding", every="30 epochs"),
    histograms=dict(type="Histograms", every="2 epochs"),
)
