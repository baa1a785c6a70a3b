"""A stranger's parts: nothing here imports torch until a part is built."""

from pegboard import Boards, hookimpl


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.models.add_lazy("SmallNet", "small_pegs.parts:SmallNet", supplied=("num_classes",))
    boards.transforms.add_lazy("Darken", "small_pegs.parts:Darken")
    boards.hooks.add_lazy("CountSteps", "small_pegs.parts:CountSteps")
