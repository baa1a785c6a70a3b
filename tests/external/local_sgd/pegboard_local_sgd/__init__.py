"""Local SGD; nothing here imports torch until a run of several ranks uses it."""

from pegboard import Boards, hookimpl


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.strategies.add_lazy("LocalSGD", "pegboard_local_sgd.strategy:LocalSGD")
