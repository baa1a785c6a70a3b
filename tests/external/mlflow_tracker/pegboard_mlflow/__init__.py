"""MLflow for pegboard; it is imported when a run begins."""

from pegboard import Boards, hookimpl


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.hooks.add_lazy("MLflow", "pegboard_mlflow.tracker:MLflow")
