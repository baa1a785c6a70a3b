"""Where on the image the cells of a layer's maps lie.

A convolution without padding is centred nowhere nearer to the edge than half its kernel, so the maps behind it cover
only the middle of the image. Stretched over the whole of it, as is the custom, they seem to look past the object: by
5 of 32 pixels at the edges of LeNet's second convolution.

Dimension letters: B images, H x W an image, h x w a map.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from pegboard_visual.cam.layers import Reshape, find, first_of
from pegboard_visual.cam.session import looking, scores


class Axis(NamedTuple):
    """Along one side of a map, cell ``i`` is centred at ``first + i * step``.

    Args:
        first: in pixels; 0 is the middle of the first one.
        step: in pixels.
    """

    first: float
    step: float

    def shares(self, pixels: int, count: int, sharp: bool) -> Tensor:
        """How much of each cell a pixel shows: (pixels, count) float32."""
        at = (torch.arange(pixels) - self.first) / self.step
        inside = at.clamp(0, count - 1)
        beyond = (at - inside).abs() - 0.5  # the edge of the last cell, in cells
        if sharp:
            nearest = (inside + 0.5).floor().clamp(max=count - 1)
            return (nearest[:, None] == torch.arange(count)) * (beyond <= 0)[:, None].float()
        near = (1 - (inside[:, None] - torch.arange(count)).abs()).clamp(min=0)
        return near * (1 - 2 * beyond).clamp(0, 1)[:, None]


class Cells(NamedTuple):
    """Where the cells of a map lie."""

    rows: Axis
    columns: Axis


def stretched(pixels: Sequence[int], count: Sequence[int], cells: Cells | None = None) -> Cells:
    """Cells that share the sides of an image equally.

    Args:
        pixels: (H, W).
        count: (h, w) cells.
        cells: what lies among those; they themselves if None.
    """
    ratios = [side / number for side, number in zip(pixels, count, strict=True)]
    axes = cells or Cells(Axis(0, 1), Axis(0, 1))
    return Cells(*(Axis((a.first + 0.5) * r - 0.5, a.step * r) for a, r in zip(axes, ratios, strict=True)))


def upsample(maps: Tensor, size: int | Sequence[int], cells: Cells | None = None, sharp: bool = False) -> Tensor:
    """Bring maps to the size of an image, bilinearly between the middles of their cells, and 0 where no cell lies.

    Behind the edge of the last cell they fall to 0 within half a cell.

    Args:
        size: (H, W), or one side of a square.
        cells: where they lie on the image, from ``cells_of``; stretched over all of it if None.
        sharp: each pixel shows the cell that it lies in, alone.

    Shapes: (B, h, w) float -> (B, H, W), same dtype.
    """
    height, width = (size, size) if isinstance(size, int) else size
    rows, columns = cells or stretched((height, width), maps.shape[-2:])
    down, across = rows.shares(height, maps.shape[-2], sharp), columns.shares(width, maps.shape[-1], sharp)
    with torch.autocast(maps.device.type, enabled=False):  # in full, also for a caller under autocast
        return down.to(maps) @ maps @ across.to(maps).T


def cells_of(
    model: nn.Module, images: Tensor, layer: str | nn.Module | None = None, reshape: Reshape | None = None
) -> Cells | None:
    """The middle of what each cell of a layer sees, read off the operations between the images and the layer.

    Functions count as modules do. It takes a forward pass of one image.

    Args:
        images: (B, C, H, W) float; only their size matters.
        layer: a name or module; ``default_layer`` if None.
        reshape: as the map is made with.

    Returns:
        None where it cannot be told: the layer gives tokens, or something unknown stands before it.
    Raises:
        PegboardError: no such layer.
    Source: Dumoulin and Visin 2016, arXiv:1603.07285, relationships 6 and 8.
    """
    with looking(model, images[:1]) as (inner, images):
        leaf = images.requires_grad_()
        last: list[Any] = []

        def keep(module: nn.Module, inputs: Any, output: Any) -> None:
            maps = first_of(output)
            last[:] = [maps.grad_fn if maps.ndim == 4 else None]  # now: a ReLU in place may follow

        handle = find(inner, leaf, layer, reshape).module.register_forward_hook(keep)
        try:
            scores(inner, leaf)
        finally:
            handle.remove()
        return _traced(last[0], leaf) if last and last[0] is not None else None


def _traced(node: Any, images: Tensor) -> Cells | None:
    """Follow autograd's graph from a layer's output to the images, by any way of which each step is known.

    Ways that join, as around a residual block, give the same: else they could not be added cell by cell.
    """
    ways = [(node, Cells(Axis(0, 1), Axis(0, 1)))]
    seen = set()
    while ways:
        node, cells = ways.pop()
        if getattr(node, "variable", None) is images:
            return cells
        before = _step(node, cells)
        if before is None or node in seen:
            continue
        seen.add(node)
        ways += [(following, before) for following, _ in node.next_functions if following is not None]
    return None


def _step(node: Any, cells: Cells) -> Cells | None:
    """The cells as places in the input of an operation instead of its output; None if it is an unknown one."""
    kind = node.name().rstrip("0123456789").removesuffix("Backward")
    if kind in CELL_BY_CELL or (kind == "Cat" and node._saved_dim == 1):
        return cells
    if kind == "Convolution" and not node._saved_transposed:
        kernel, stride, dilation = node._saved_weight.shape[-2:], node._saved_stride, node._saved_dilation
        return _window(cells, kernel, stride, node._saved_padding, dilation)
    if kind in ("MaxPool2DWithIndices", "AvgPool2D"):
        kernel, dilation = node._saved_kernel_size, getattr(node, "_saved_dilation", (1, 1))
        stride = node._saved_stride or kernel
        return _window(cells, kernel, stride, node._saved_padding, dilation)
    if kind in ("ConstantPadNd", "ReflectionPad2D", "ReplicationPad2D"):
        widths = node._saved_pad if kind == "ConstantPadNd" else node._saved_padding  # left, right, top, bottom
        more = (widths[2] if len(widths) > 2 else 0, widths[0])
        return Cells(*(Axis(axis.first - shift, axis.step) for axis, shift in zip(cells, more, strict=True)))
    if kind == "AdaptiveAvgPool2D":
        pooled = node._input_metadata[0].shape[-2:]
        if pooled != (1, 1):  # a gate, as of squeeze and excitation, looks at all places alike
            return stretched(node._saved_self.shape[-2:], pooled, cells)
    return None


def _window(cells: Cells, *window: Sequence[int]) -> Cells:
    """The same for a sliding window: kernel, stride, padding and dilation, a pair each."""
    return Cells(
        *(
            Axis(first * stride + dilation * (kernel - 1) / 2 - padding, step * stride)
            for (first, step), kernel, stride, padding, dilation in zip(cells, *window, strict=True)
        )
    )


CELL_BY_CELL = {  # operations of which each cell of the output is centred on the same of the input
    *("Add", "Sub", "Mul", "Div", "Clone", "ToCopy", "Alias"),
    *("Relu", "LeakyRelu", "PreluKernel", "Hardtanh", "Elu", "Silu", "Gelu", "Mish", "Hardswish", "Softplus"),
    *("Tanh", "Sigmoid", "Hardsigmoid"),
    *("NativeBatchNorm", "CudnnBatchNorm", "NativeGroupNorm", "NativeDropout"),
}
