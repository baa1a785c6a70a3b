"""The hook. Dimension letters: B images, H x W one of them."""

import torch
from matplotlib.figure import Figure
from torch import Tensor

from pegboard import Kept, Runner, SampleHook


def occlusion(model: torch.nn.Module, images: Tensor, classes: Tensor, patch: int, stride: int) -> Tensor:
    """How much of its probability each class (B,) loses while a patch of zeros hides a place, mean over the patches
    that hide it: images (B, C, H, W) -> (B, H, W)."""
    whole = model(images).softmax(1).gather(1, classes[:, None])[:, 0]
    lost, times = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])
    for top in range(1 - patch, images.shape[2], stride):
        for left in range(1 - patch, images.shape[3], stride):
            rows, columns = slice(max(0, top), top + patch), slice(max(0, left), left + patch)
            hidden = images.clone()
            hidden[:, :, rows, columns] = 0
            now = model(hidden).softmax(1).gather(1, classes[:, None])[:, 0]
            lost[:, rows, columns] += (whole - now)[:, None, None]
            times[rows, columns] += 1
    return lost / times


class Occlusion(SampleHook):
    """Show where an image must not be hidden: what the predicted class loses under a grey patch.

    Args:
        images: how many, spread evenly over the validation data.
        every: how often.
        patch: side of the patch in pixels.
        stride: from one place of the patch to the next, in pixels; at most ``patch``.

    Source: Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2.
    """

    def __init__(self, images: int = 8, every: str = "5 epochs", patch: int = 8, stride: int = 4) -> None:
        super().__init__(images, every)
        self.patch, self.stride = patch, stride

    def draw(self, run: Runner, kept: list[Kept]) -> None:
        inputs = torch.stack([one.inputs for one in kept])
        with torch.no_grad():
            classes = run.model(inputs).argmax(1)
            maps = occlusion(run.model, inputs, classes, self.patch, self.stride).cpu()
        figure = Figure(figsize=(1.6 * len(kept), 3.4), layout="constrained")
        axes = figure.subplots(2, len(kept), squeeze=False)
        for column, image in enumerate(run.val_loader.denormalised(inputs)):
            axes[0, column].imshow(image.permute(1, 2, 0).numpy())
            axes[0, column].set_title(str(run.classes[classes[column]]), fontsize=9)
            shades = axes[1, column].imshow(maps[column].numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
        for axis in axes.flat:
            axis.set_axis_off()
        figure.colorbar(shades, ax=axes[1, :], label="probability lost")
        run.show("occlusion", figure, f"What the predicted class loses under a patch of {self.patch} pixels")
