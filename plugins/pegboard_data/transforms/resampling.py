"""Resize images, all of a batch alike or each from a window of its own.

Dimension letters: B samples, C channels, H height, W width, K taps: source pixels that one new pixel is made of.
"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

Interpolation = Literal["nearest", "nearest-exact", "bilinear", "bicubic"]
INTERPOLATIONS = ("nearest", "nearest-exact", "bilinear", "bicubic")


def resized(images: Tensor, size: tuple[int, int], interpolation: str, antialias: bool) -> Tensor:
    """Images (B, C, H, W) uint8 or float32 -> (B, C, *size), as torchvision's v2 resizes tensors.

    This is what torchvision does around torch's ``interpolate``, without the two seconds that importing it takes.
    """
    if tuple(images.shape[-2:]) == size:
        return images
    if interpolation.startswith("nearest"):
        return F.interpolate(images, size, mode=interpolation)
    native = images.is_floating_point() or images.device.type == "cpu"  # torch resizes uint8 itself on the CPU only
    done = F.interpolate(
        images if native else images.float(), size, mode=interpolation, align_corners=False, antialias=antialias
    )
    return done if native else done.round_().clamp_(0, 255).to(images.dtype)


def resized_windows(
    images: Tensor, boxes: Tensor, size: tuple[int, int], interpolation: str, antialias: bool
) -> Tensor:
    """A window of each image, resized: ``boxes`` (B, 4) int64 as top, left, height and width -> (B, C, *size).

    On the CPU it is a loop over the samples: torch's own kernel is faster for windows of different sizes than anything
    that is made of tensor operations, and bicubic weights in uint8 round as torchvision's only there. On other devices
    the bilinear ones, torchvision's default, are done for the whole batch.
    """
    if images.device.type != "cpu" and interpolation == "bilinear":
        return bilinear_windows(images, boxes, size, antialias)
    done = images.new_empty((*images.shape[:2], *size))
    for i, (top, left, height, width) in enumerate(boxes.tolist()):
        window = images[i : i + 1, :, top : top + height, left : left + width]
        done[i] = resized(window, size, interpolation, antialias)[0]
    return done


def nearest_windows(masks: Tensor, boxes: Tensor, size: tuple[int, int], interpolation: str) -> Tensor:
    """Windows of masks (B, H, W), any dtype, resized by taking the nearest pixel: ``boxes`` (B, 4) -> (B, *size).

    The nearest is the one below the middle of the new pixel, as the other interpolations count pixels; "nearest" of
    images counts from their corners, and so does a mask whose image is resized that way.
    """
    middle = 0.0 if interpolation == "nearest" else 0.5
    chosen = []
    for side in (0, 1):
        start, length = boxes[:, side, None], boxes[:, side + 2, None]  # (B, 1)
        step = length.float() / size[side]  # in float32, as torch counts
        within = ((torch.arange(size[side]) + middle) * step).floor().long().minimum(length - 1)
        chosen.append((start + within).to(masks.device))  # (B, size)
    samples = torch.arange(len(masks), device=masks.device)[:, None, None]
    return masks[samples, chosen[0][:, :, None], chosen[1][:, None, :]]


def whole(masks: Tensor) -> Tensor:
    """The box of each of ``masks`` (B, H, W) that is all of it, (B, 4)."""
    return torch.tensor([0, 0, *masks.shape[-2:]]).expand(len(masks), 4)


def bilinear_windows(images: Tensor, boxes: Tensor, size: tuple[int, int], antialias: bool) -> Tensor:
    """The same for bilinear interpolation, batched; within one level of uint8 of the loop.

    Sums run over the taps one by one, so that a sample's bits do not depend on its batch, as those of a matrix product
    would.
    """
    done = images.float()
    for dim, side in ((3, 1), (2, 0)):  # along rows, then along columns
        index, weights = _taps(boxes[:, side], boxes[:, side + 2], size[side], images.shape[dim], antialias)
        shape = [*done.shape[:dim], size[side], *done.shape[dim + 1 :]]
        around = (-1, 1, 1, size[side]) if dim == 3 else (-1, 1, size[side], 1)
        total = torch.zeros(shape, device=images.device)
        for of_tap, weight in zip(index.to(images.device).unbind(2), weights.to(images.device).unbind(2), strict=True):
            total += done.gather(dim, of_tap.view(around).expand(shape)) * weight.view(around)
        done = total
    return done if images.is_floating_point() else done.round_().clamp_(0, 255).to(images.dtype)


def _taps(start: Tensor, length: Tensor, out: int, side: int, antialias: bool) -> tuple[Tensor, Tensor]:
    """Which pixels of a row each new pixel is made of, (B, out, K) int64, and how much of each, float32.

    Source: torch's ``_upsample_bilinear2d_aa``: a triangle as wide as a new pixel, one pixel at least.
    """
    step = (length.double() / out).view(-1, 1, 1)
    support = step.clamp(min=1) if antialias else torch.ones_like(step)
    centre = (torch.arange(out).view(1, -1, 1) + 0.5) * step  # (B, out, 1)
    first = (centre - support + 0.5).floor().clamp(min=0)
    taps = first + torch.arange(2 * int(support.max().ceil()) + 1)  # (B, out, K)
    last = (centre + support + 0.5).floor().minimum(length.view(-1, 1, 1))
    weights = (1 - (taps + 0.5 - centre).abs() / support).clamp(min=0) * (taps < last)
    index = (taps.long() + start.view(-1, 1, 1)).clamp(max=side - 1)
    return index, (weights / weights.sum(2, keepdim=True)).float()
