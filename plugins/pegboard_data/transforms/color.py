"""Change colours, and blur.

Dimension letters: B samples, C channels, H height, W width.
"""

from collections.abc import Callable, Sequence
from itertools import permutations
from math import inf

import torch
from torch import Tensor
from torch.nn import functional as F

from pegboard import DataError, Transform
from pegboard_data.transforms.arguments import interval, probability, refuse, sides

ORDERS = torch.tensor(list(permutations(range(4))))  # (24, 4): every order of ColorJitter's four changes


class ColorJitter(Transform):
    """Change brightness, contrast, saturation and hue by random amounts, in random order.

    Args:
        brightness: (min, max) of the factor on the pixels; a number d means (max(0, 1 - d), 1 + d).
        contrast: likewise, of the factor on the distance from the image's mean grey.
        saturation: likewise, of the factor on the distance from each pixel's own grey.
        hue: (min, max) of the turn around the colour circle, from -0.5 to 0.5; a number d means (-d, d).

    Shapes: images (B, C, H, W), C being 1 or 3, uint8, or float32 from 0 to 1 -> the same.
    Raises:
        DataError: the images have another number of channels.
    Source: torchvision.transforms.v2.ColorJitter.
    """

    moves_pixels = False
    uniforms = 5  # four amounts, and their order

    def __init__(
        self,
        brightness: float | Sequence[float] | None = None,
        contrast: float | Sequence[float] | None = None,
        saturation: float | Sequence[float] | None = None,
        hue: float | Sequence[float] | None = None,
    ) -> None:
        self.spans = (
            amounts("brightness", brightness, 1, 0, inf),
            amounts("contrast", contrast, 1, 0, inf),
            amounts("saturation", saturation, 1, 0, inf),
            amounts("hue", hue, 0, -0.5, 0.5),
        )

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Brightness, contrast, saturation, hue and which of the 24 orders: (B, 5) float64."""
        still = ((1.0, 1.0), (1.0, 1.0), (1.0, 1.0), (0.0, 0.0))
        spans = [span or default for span, default in zip(self.spans, still, strict=True)]
        low, high = torch.tensor([*spans, (0.0, len(ORDERS))], dtype=torch.float64).unbind(1)
        rows = low + (high - low) * u
        rows[:, 4] = rows[:, 4].floor()
        return rows

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        if images.shape[1] not in (1, 3):
            raise DataError(f"ColorJitter takes images of 1 or 3 channels, not {images.shape[1]}")
        images = images.clone()
        orders = ORDERS[rows[:, 4].long()]  # (B, 4)
        for which in orders.unbind(1):
            for change, span in enumerate(self.spans):
                chosen = (which == change).nonzero()[:, 0]
                if span is None or not len(chosen):
                    continue
                where = chosen.to(images.device)
                images[where] = CHANGES[change](images[where], rows[chosen, change].view(-1, 1, 1, 1))
        return images


class Grayscale(Transform):
    """Turn colours into grey.

    Args:
        num_output_channels: 1, or 3 that are alike.

    Shapes: images (B, 3 or 1, H, W) uint8 or float32 -> (B, num_output_channels, H, W), same dtype.
    Source: torchvision.transforms.v2.Grayscale (ITU-R BT.601 weights).
    """

    moves_pixels = False

    def __init__(self, num_output_channels: int = 1) -> None:
        if num_output_channels not in (1, 3):
            refuse("Grayscale", "num_output_channels", num_output_channels, "1 or 3")
        self.num_output_channels = num_output_channels

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return grey(images).to(images.dtype).expand(-1, self.num_output_channels, -1, -1)


class RandomGrayscale(Transform):
    """Turn colours into grey with probability ``p``; the image keeps its channels.

    Args:
        p: how probable it is, from 0 to 1.

    Shapes: images (B, C, H, W), C being 1 or 3, uint8 or float32 -> the same.
    Source: torchvision.transforms.v2.RandomGrayscale.
    """

    moves_pixels = False
    uniforms = 1

    def __init__(self, p: float = 0.1) -> None:
        self.p = probability("RandomGrayscale", p)

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Which samples turn grey, (B, 1) bool."""
        return u < self.p

    def apply(self, images: Tensor, chosen: Tensor) -> Tensor:
        return torch.where(chosen.view(-1, 1, 1, 1).to(images.device), grey(images).to(images.dtype), images)


class GaussianBlur(Transform):
    """Blur with a Gaussian of random width; pixels beyond the border are mirrored.

    Args:
        kernel_size: (width, height) of the window that is averaged, in pixels, odd; or one number for both.
        sigma: (min, max) of the Gaussian's standard deviation, in pixels; a number means always that one.

    Shapes: images (B, C, H, W) uint8 or float32 -> the same.
    Raises:
        DataError: half of the window is as large as the image.
    Source: torchvision.transforms.v2.GaussianBlur.
    """

    moves_pixels = False
    uniforms = 1

    def __init__(self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)) -> None:
        self.kernel_size = sides("GaussianBlur", "kernel_size", kernel_size)
        if not all(side % 2 for side in self.kernel_size):
            refuse("GaussianBlur", "kernel_size", kernel_size, "odd")
        pair = (sigma, sigma) if isinstance(sigma, int | float) else sigma
        self.sigma = interval("GaussianBlur", "sigma", pair, 0, above=True)

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """Standard deviations, (B, 1) float64."""
        return self.sigma[0] + (self.sigma[1] - self.sigma[0]) * u

    def apply(self, images: Tensor, sigmas: Tensor) -> Tensor:
        wide, high = self.kernel_size
        if wide // 2 >= images.shape[3] or high // 2 >= images.shape[2]:
            size = " x ".join(map(str, images.shape[-2:]))
            raise DataError(f"GaussianBlur: a window of {high} x {wide} is too large for an image of {size}")
        done = F.pad(images.float(), (wide // 2, wide // 2, high // 2, high // 2), mode="reflect")
        # First along x, then along y, pixel by pixel of the window: a grouped convolution's bits may depend on the
        # size of the batch.
        for dim, side in ((3, wide), (2, high)):
            kernel = gaussian(side, sigmas).to(images.device)
            length = images.shape[dim]
            total = torch.zeros((), device=images.device)
            for k in range(side):
                total = total + done.narrow(dim, k, length) * kernel[:, k].view(-1, 1, 1, 1)
            done = total
        return done if images.is_floating_point() else done.round_().to(images.dtype)


def amounts(
    argument: str, value: float | Sequence[float] | None, center: float, lowest: float, highest: float
) -> tuple[float, float] | None:
    """(min, max) of one of ColorJitter's changes; None where nothing changes."""
    if value is None:
        return None
    if isinstance(value, int | float):
        if not value >= 0:
            refuse("ColorJitter", argument, value, "at least 0")
        value = (max(center - value, lowest) if center else center - value, center + value)
    low, high = interval("ColorJitter", argument, value, lowest, highest)
    return None if low == high == center else (low, high)


def grey(images: Tensor) -> Tensor:
    """Images (B, 3, H, W) as grey (B, 1, H, W) float32, in the same units; one channel is grey already.

    Source: ITU-R BT.601.
    """
    if images.shape[1] == 1:
        return images.float()
    if images.shape[1] != 3:
        raise DataError(f"only images of 1 or 3 channels can turn grey, not of {images.shape[1]}")
    red, green, blue = images[:, :1], images[:, 1:2], images[:, 2:]
    # torchvision's operations: where the sum is a whole number, the last bit decides what it is cut off to
    return red.mul(0.2989).add_(green, alpha=0.587).add_(blue, alpha=0.114)


def brightened(images: Tensor, factors: Tensor) -> Tensor:
    """Every pixel times its sample's factor, (B, 1, 1, 1) float64."""
    return _as_before(images * _on(images, factors), images)


def contrasted(images: Tensor, factors: Tensor) -> Tensor:
    """The distance from the image's mean grey times the factor."""
    shades = _shades(images)
    # Summed as integers, which any order of summation adds up to the same.
    total = shades.mul(2.0**30).long().sum((1, 2, 3), keepdim=True)
    mean = total.to(_exact(images)).mul(2.0**-30).div(shades[0].numel()).float()
    return _blend(images, mean, factors)


def saturated(images: Tensor, factors: Tensor) -> Tensor:
    """The distance from each pixel's grey times the factor."""
    if images.shape[1] == 1:
        return images
    return _blend(images, _shades(images), factors)


def turned(images: Tensor, factors: Tensor) -> Tensor:
    """The hue moved by that share of the colour circle, in the HSV model."""
    if images.shape[1] == 1:
        return images
    pixels = images if images.is_floating_point() else images * (1 / 255)
    red, green, blue = pixels.unbind(1)
    low, high = pixels.aminmax(dim=1)
    chroma = high - low
    safe = torch.where(chroma > 0, chroma, 1)
    hue = torch.where(high == green, (blue - red) / safe + 2, (red - green) / safe + 4)  # in sixths of the circle
    hue = torch.where(high == red, (green - blue) / safe, hue) + _on(images, factors * 6)[:, 0]
    channels = []
    for offset in (5, 3, 1):  # where red, green and blue are darkest, seen from the hue
        k = (hue + offset).remainder(6)
        channels.append(high - chroma * torch.minimum(k, 4 - k).clamp(0, 1))
    done = torch.stack(channels, 1).clamp_(0, 1)
    return done if images.is_floating_point() else done.mul_(255.999).to(images.dtype)  # torchvision's way to round


CHANGES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (brightened, contrasted, saturated, turned)


def gaussian(side: int, sigmas: Tensor) -> Tensor:
    """Weights of ``side`` pixels for each standard deviation, (B, side) float32; their sum is 1."""
    # torchvision counts pixels in units of sqrt(2), which makes the exponent a plain square
    x = (torch.arange(side, dtype=torch.float64) - (side - 1) / 2) / 2**0.5
    return torch.softmax(-(x / sigmas).square(), 1).float()


def _shades(images: Tensor) -> Tensor:
    return grey(images) if images.is_floating_point() else grey(images).floor()


def _on(images: Tensor, factors: Tensor) -> Tensor:
    return factors.float().to(images.device)


def _blend(images: Tensor, other: Tensor, factors: Tensor) -> Tensor:
    # Rounded once, like torchvision's fused addition: where a pixel is its own grey, the last bit decides its level.
    exact = _exact(images)
    rest = other.to(exact) * _on(images, 1 - factors).to(exact)
    return _as_before((images * _on(images, factors)).to(exact).add_(rest).float(), images)


def _exact(images: Tensor) -> torch.dtype:
    return torch.float32 if images.device.type == "mps" else torch.float64  # Apple's GPUs have no float64


def _as_before(pixels: Tensor, images: Tensor) -> Tensor:
    return pixels.clamp_(0, 1 if images.is_floating_point() else 255).to(images.dtype)
