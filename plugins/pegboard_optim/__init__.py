"""Optimizers and schedulers: bridges to every class of torch.optim and torch.optim.lr_scheduler."""

from pegboard import Boards, Bridge, Config, Problem, hookimpl, source
from pegboard_optim import rules

# What a scheduler takes from the run where the config leaves it out.
SUPPLIED_TO_SCHEDULERS = ("optimizer", "max_lr", "total_steps", "T_max")

# What a config says where a scheduler takes a function.
FUNCTIONS = {"lr_lambda": "str | dict | list", "scale_fn": "str | None"}


def torch_optimizers() -> dict[str, str]:
    """Every public class of ``torch.optim`` but its abstract base."""
    module = source.read("torch.optim")
    names = module.exported if module else []
    return {name: f"torch.optim:{name}" for name in names if name[0].isupper() and name != "Optimizer"}


def torch_schedulers() -> dict[str, str]:
    """Every public class of ``torch.optim.lr_scheduler`` but its abstract base, and SWALR, which lies elsewhere."""
    module, averaging = source.read("torch.optim.lr_scheduler"), source.read("torch.optim.swa_utils")
    names = module.exported if module else []
    schedulers = {name: f"torch.optim.lr_scheduler:{name}" for name in names if name != "LRScheduler"}
    if averaging and "SWALR" in averaging.exported:
        schedulers["SWALR"] = "torch.optim.swa_utils:SWALR"
    return schedulers


@hookimpl
def pegboard_register(boards: Boards) -> None:
    boards.optimizers.add_bridge(
        Bridge(
            "torch",
            "torch",
            "optimizers",
            torch_optimizers,
            supplied=("params",),
            via="pegboard_optim.kernels:build",
        )
    )
    boards.schedulers.add_bridge(
        Bridge(
            "torch",
            "torch",
            "schedulers",
            torch_schedulers,
            supplied=SUPPLIED_TO_SCHEDULERS,
            parts={"schedulers": boards.schedulers},
            takes=FUNCTIONS,
            via="pegboard_optim.functions:build",
        )
    )
    # Its total_iters is the length of the whole schedule; that of LinearLR and ConstantLR is the length of a warm-up.
    address = "torch.optim.lr_scheduler:PolynomialLR"
    boards.schedulers.add_lazy("PolynomialLR", address, supplied=("optimizer", "total_iters"))


@hookimpl
def pegboard_check(config: Config) -> list[Problem]:
    return list(rules.problems(config))
