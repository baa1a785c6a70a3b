"""Occlusion sensitivity; nothing here imports torch until a run uses it."""

from pegboard import Boards, hookimpl

pegboard_interface = 1  # the version of pegboard's plugin hooks that this is written for


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("Occlusion", "pegboard_occlusion.hook:Occlusion")
