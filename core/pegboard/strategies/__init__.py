"""How the processes of a run hold its model: each all of it, or each a part."""

from pegboard.strategies.strategy import Strategy

__all__ = ["Strategy"]
