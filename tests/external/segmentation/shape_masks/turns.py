"""Quarter turns.

Dimension letters: B batch, C channels, H height, W width.
"""

from torch import Tensor

from pegboard import Mask, Transform


class QuarterTurn(Transform):
    """Turn each image by 0, 90, 180 or 270 degrees, and its mask with it: no pixel is lost, and none is made up.

    Images that are not square are turned by 0 or 180 degrees.

    Shapes: images (B, C, H, W), any dtype -> the same.
    """

    uniforms = 1

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        """How many quarters anticlockwise, (B, 1) int64."""
        is_square = sizes[:, :1] == sizes[:, 1:]
        return (4 * u).long().where(is_square, 2 * (2 * u).long())

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        turned = images.clone()
        for quarters in rows.unique().tolist():
            chosen = (rows[:, 0] == quarters).to(images.device)
            turned[chosen] = images[chosen].rot90(quarters, (2, 3))
        return turned

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: self.apply(pixels, rows))
