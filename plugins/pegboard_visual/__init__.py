"""Seeing what a run does: TensorBoard."""

from pegboard import Boards, hookimpl


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("TensorBoard", "pegboard_visual.tensorboard:TensorBoard")
