"""From a config to a trained model: build the parts, loop, keep the state."""

from pegboard.runner.loop import Runner

__all__ = ["Runner"]
