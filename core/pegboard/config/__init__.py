"""Configs: load them, find what is wrong with them, write them down."""

from pegboard.config.check import check
from pegboard.config.dump import to_json, to_python, with_origins
from pegboard.config.duration import Duration
from pegboard.config.load import Config

__all__ = ["Config", "Duration", "check", "to_json", "to_python", "with_origins"]
