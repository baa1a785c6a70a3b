"""Losses: a bridge to every loss of torch.nn."""

from pegboard import Boards, Bridge, hookimpl, source


def torch_losses() -> dict[str, str]:
    """Every public class of ``torch.nn.modules.loss``."""
    module = source.read("torch.nn.modules.loss")
    return {name: f"torch.nn:{name}" for name in module.exported} if module else {}


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.losses.add_bridge(Bridge("torch", "torch", "losses", torch_losses))
