"""When a figure is better than the best so far."""

from typing import Literal

from pegboard import PegboardError

Better = Literal["higher", "lower"]


def worst(better: Better) -> float:
    """What every finite figure improves on.

    Raises:
        PegboardError: ``better`` is neither ``"higher"`` nor ``"lower"``.
    """
    if better not in ("higher", "lower"):
        raise PegboardError(f"better must be 'higher' or 'lower', got {better!r}")
    return float("-inf") if better == "higher" else float("inf")


def improved(value: float, best: float, better: Better, min_delta: float = 0.0) -> bool:
    """``value > best + min_delta``, or ``value < best - min_delta`` where lower is better; nan never is."""
    return value > best + min_delta if better == "higher" else value < best - min_delta
