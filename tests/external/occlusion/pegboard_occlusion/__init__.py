"""Occlusion sensitivity; nothing here imports torch until a run uses it."""

from pegboard import Boards, hookimpl


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("Occlusion", "pegboard_occlusion.hook:Occlusion")
