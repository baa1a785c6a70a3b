"""How little areas are met, as a loss.

Dimension letters: B batch, K classes, H height, W width.
"""

import torch
from torch import Tensor, nn


class EntropyAndDice(nn.Module):
    """Cross entropy pixel by pixel, and the share of the classes' areas that is missed: small ones count like large.

    Args:
        ignore_index: targets that count for no class; the dataset's own unless given.
        dice: factor of the second; 0 is cross entropy alone.

    Shapes: logits (B, K, H, W), targets (B, H, W) int64 -> ``{"entropy": ..., "dice": ...}``, a number each.
    Source: Milletari et al. 2016, arXiv:1606.04797; the sum of both: Isensee et al. 2018, arXiv:1809.10486.
    """

    def __init__(self, ignore_index: int = 255, dice: float = 0.5) -> None:
        super().__init__()
        self.ignore_index, self.dice = ignore_index, dice

    def forward(self, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        known = (targets != self.ignore_index)[:, None]  # (B, 1, H, W)
        true = targets[:, None].where(known, 0)
        log_p = logits.float().log_softmax(1)
        entropy = -(log_p.gather(1, true) * known).sum() / known.sum().clamp(min=1)
        share = log_p.exp() * known
        is_true = torch.zeros_like(share).scatter(1, true, 1.0) * known
        met, both = (share * is_true).sum((0, 2, 3)), (share + is_true).sum((0, 2, 3))  # (K,)
        missed = 1 - ((2 * met + 1) / (both + 1)).mean()
        return {"entropy": entropy, "dice": self.dice * missed}
