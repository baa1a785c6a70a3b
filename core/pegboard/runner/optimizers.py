"""Several optimizers that step as one, each over parameters of its own."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Optimizers(Optimizer):
    """One optimizer to schedulers, the scaler and hooks; inside, several, such as Muon for matrices and AdamW else.

    ``param_groups`` are those of all, in order, and the very dicts: a rate that a scheduler sets is the member's. A
    group that is added in mid-run goes to the last, which takes what no other does.

    Args:
        members: by name, each over parameters that no other has.
    """

    def __init__(self, members: Mapping[str, Optimizer]) -> None:
        every = [
            parameter for member in members.values() for group in member.param_groups for parameter in group["params"]
        ]
        super().__init__([{"params": every}], {})  # what torch keeps for its hooks; the group itself is replaced below
        self.members = dict(members)
        first, *others = (member.defaults for member in self.members.values())
        shared = (key for key in first if all(key in other for other in others))
        self.defaults = {key: first[key] for key in shared}  # schedulers ask them what every group has
        self._join()

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {member}" for name, member in self.members.items())

    def _join(self) -> None:
        self.param_groups[:] = [group for member in self.members.values() for group in member.param_groups]

    @property
    def state(self) -> defaultdict[Tensor, Any]:  # torch has an attribute here
        """What the members keep for each parameter."""
        both = {key: value for member in self.members.values() for key, value in member.state.items()}
        return defaultdict(dict, both)

    @state.setter
    def state(self, value: Any) -> None:
        """torch's constructor sets an empty one; the members have theirs."""

    @torch.no_grad()
    def step(self, closure: Callable[[], Tensor] | None = None) -> Tensor | None:  # type: ignore[override]
        """Let each member step; ``closure`` is called once, before."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for member in self.members.values():
            member.step()
        return loss

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if not self.param_groups:  # torch's constructor
            super().add_param_group(param_group)
            return
        held = {id(parameter) for group in self.param_groups for parameter in group["params"]}
        wanted = param_group["params"]
        parameters = [wanted] if isinstance(wanted, Tensor) else list(wanted)
        if any(id(parameter) in held for parameter in parameters):
            raise ValueError("some parameters appear in more than one parameter group")
        next(reversed(self.members.values())).add_param_group({**param_group, "params": parameters})
        self._join()

    def state_dict(self) -> dict[str, Any]:
        return {"members": {name: member.state_dict() for name, member in self.members.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give each member back what ``state_dict`` took of it.

        Raises:
            ValueError: it is that of other optimizers.
        """
        saved = state_dict.get("members", {})
        if list(saved) != list(self.members):
            raise ValueError(f"it is of {', '.join(saved) or 'one optimizer'}, not of {', '.join(self.members)}")
        for name, member in self.members.items():
            member.load_state_dict(saved[name])
        self._join()
