"""The hook. Dimension letters: B images, H x W one of them."""

from typing import Literal

import torch
from matplotlib.figure import Figure
from torch import Tensor

from pegboard import Duration, Kept, PegboardError, Runner, SampleHook

Score = Literal["probability", "logit"]


def scores(model: torch.nn.Module, images: Tensor, classes: Tensor, score: Score) -> Tensor:
    """What the model gives each image for its class, (B,)."""
    logits = model(images)
    if logits.ndim != 2:
        raise PegboardError(f"Occlusion needs a number for each class, (B, K), of the model, not {tuple(logits.shape)}")
    every = logits.float() if score == "logit" else logits.float().softmax(1)
    return every.gather(1, classes[:, None])[:, 0]


def occlusion(
    model: torch.nn.Module, images: Tensor, classes: Tensor, patch: int, stride: int, score: Score = "probability"
) -> Tensor:
    """How much of its score each class (B,) loses while a patch of the image's mean colour hides a place, mean over
    the patches that hide it: images (B, C, H, W) -> (B, H, W)."""
    whole, grey = scores(model, images, classes, score), images.mean((2, 3), keepdim=True)
    lost, times = torch.zeros_like(images[:, 0]), torch.zeros_like(images[0, 0])
    for top in range(1 - patch, images.shape[2], stride):
        for left in range(1 - patch, images.shape[3], stride):
            rows, columns = slice(max(0, top), top + patch), slice(max(0, left), left + patch)
            hidden = images.clone()
            hidden[:, :, rows, columns] = grey
            lost[:, rows, columns] += (whole - scores(model, hidden, classes, score))[:, None, None]
            times[rows, columns] += 1
    return lost / times


class Occlusion(SampleHook):
    """Show where an image must not be hidden: what a class loses under a patch of the image's mean colour.

    Red is where the network looks: hidden, it makes the class less likely. Blue speaks for another class. A place has
    the mean of all patches that hide it. It only looks: training is bit for bit the same without it.

    Args:
        images: how many, spread evenly over the validation data.
        every: how often.
        patch: side of the patch in pixels; a quarter of the image's shorter side unless given.
        stride: from one place of the patch to the next, in pixels, at most ``patch``; a quarter of it unless given:
            some 360 forwards of the images, whatever their size.
        of: the class that is looked at: the predicted one, or the true one.
        score: what it loses; a logit tells more where a probability is close to 1.

    Raises:
        PegboardError: ``patch`` or ``stride`` would leave pixels out.

    Source: Zeiler and Fergus 2014, arXiv:1311.2901, section 4.2.
    """

    def __init__(
        self,
        images: int = 8,
        every: Duration | str = "5 epochs",
        patch: int | None = None,
        stride: int | None = None,
        of: Literal["predicted", "truth"] = "predicted",
        score: Score = "probability",
    ) -> None:
        super().__init__(images, every)
        if patch is not None and patch < 1:
            raise PegboardError(f"Occlusion: patch must be at least 1, got {patch}")
        if stride is not None and not 1 <= stride <= (patch or stride):
            raise PegboardError(f"Occlusion: stride must be at least 1, and at most patch, {patch}; got {stride}")
        self.patch, self.stride, self.of, self.score = patch, stride, of, score

    def draw(self, run: Runner, kept: list[Kept]) -> None:
        inputs = torch.stack([one.inputs for one in kept])
        patch = self.patch or max(1, min(inputs.shape[2:]) // 4)
        stride = min(self.stride or max(1, patch // 4), patch)
        with torch.no_grad():
            predicted = run.model(inputs).argmax(1)
            true = [one.truth for one in kept]
            chosen = predicted if self.of == "predicted" or None in true else predicted.new_tensor(true)
            given = scores(run.model, inputs, chosen, self.score).tolist()
            maps = occlusion(run.model, inputs, chosen, patch, stride, self.score).cpu()
        titles, rows = [], []
        for one, number, value in zip(kept, chosen.tolist(), given, strict=True):
            name = str(run.classes[number])
            truth = "" if one.truth is None else f"\ntrue: {run.classes[one.truth]}"
            titles.append(f"{name} {value:.1%}{truth}" if self.score == "probability" else f"{name} {value:.2f}{truth}")
            rows.append({"sample": one.sample, "class": name, self.score: value})
        figure = sheet(run.val_loader.denormalised(inputs), maps, titles, f"{self.score} lost")
        caption = f"What the {self.of} class loses under a patch of {patch} pixels"
        run.show(
            "occlusion",
            figure,
            caption.replace("truth", "true"),
            data={"patch": patch, "stride": stride, "images": rows},
        )


def sheet(images: Tensor, maps: Tensor, titles: list[str], label: str) -> Figure:
    """Images (B, C, H, W), 0 to 1, above what hiding each place costs, (B, H, W); one colour scale for all maps."""
    figure = Figure(figsize=(1.5 * len(images) + 0.9, 3.4), dpi=110, layout="constrained")
    axes, most = figure.subplots(2, len(images), squeeze=False), float(maps.abs().max()) or 1.0
    for column, image in enumerate(images):
        pixels = image.permute(1, 2, 0).expand(-1, -1, 3).numpy()
        axes[0, column].imshow(pixels)
        axes[0, column].set_title(titles[column], fontsize=8)
        axes[1, column].imshow(pixels.mean(2), cmap="gray", vmin=0, vmax=1)
        shades = axes[1, column].imshow(maps[column].numpy(), cmap="RdBu_r", vmin=-most, vmax=most, alpha=0.75)
    for axis in axes.flat:
        axis.set_axis_off()
    figure.colorbar(shades, ax=list(axes.flat), label=label, aspect=30, fraction=0.04, pad=0.01)
    return figure
