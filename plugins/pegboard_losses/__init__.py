"""Losses: a bridge to every loss of torch.nn."""

from pegboard import Boards, Bridge, Config, Problem, hookimpl, source
from pegboard_losses import rules

# What a config says where a loss takes a tensor.
TENSORS = {"weight": "list[float] | Literal['balanced'] | None", "pos_weight": "list[float] | None"}


def torch_losses() -> dict[str, str]:
    """Every public class of ``torch.nn.modules.loss``."""
    module = source.read("torch.nn.modules.loss")
    return {name: f"torch.nn:{name}" for name in module.exported} if module else {}


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.losses.add_bridge(
        Bridge(
            "torch",
            "torch",
            "losses",
            torch_losses,
            supplied=("ignore_index",),
            takes=TENSORS,
            via="pegboard_losses.building:build",
        )
    )


@hookimpl
def pegboard_check(config: Config) -> list[Problem]:
    return list(rules.problems(config))
