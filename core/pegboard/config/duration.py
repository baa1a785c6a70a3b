"""How long, or how often: an integer and a unit."""

import re
from dataclasses import dataclass
from typing import Literal

from pegboard.errors import did_you_mean

_UNITS: dict[str, Literal["epochs", "iters"]] = {
    "epoch": "epochs",
    "epochs": "epochs",
    "iter": "iters",
    "iters": "iters",
}
_OTHER_WORDS = {"iteration": "iters", "iterations": "iters", "step": "iters", "steps": "iters", "batches": "iters"}


@dataclass(frozen=True)
class Duration:
    """``"60 epochs"`` or ``"500 iters"``; an iteration is one optimizer step."""

    count: int
    unit: Literal["epochs", "iters"]

    @classmethod
    def parse(cls, value: object) -> "Duration":
        """Read ``"60 epochs"``, ``"1 epoch"``, ``"500 iters"`` or ``"1 iter"``; a Duration stays as it is.

        Raises:
            ValueError: anything else; one sentence that says what was expected.
        """
        if isinstance(value, Duration):
            return value
        if isinstance(value, int) and not isinstance(value, bool):
            raise ValueError(f"{value} is not a duration; write '{value} epochs' or '{value} iters'")
        if not isinstance(value, str):
            raise ValueError(f"{value!r} is not a duration; expected a string like '20 epochs' or '500 iters'")
        found = re.fullmatch(r"\s*([0-9]{1,18})\s*([A-Za-z]+)\s*", value)
        if found is None:
            raise ValueError(
                f"{value!r} is not a duration; expected an integer and a unit, like '20 epochs' or '500 iters'"
            )
        count, unit = int(found[1]), found[2]
        if unit not in _UNITS:
            right = _OTHER_WORDS.get(unit.lower())
            nearest = (
                f"; did you mean {right!r}?"
                if right
                else did_you_mean(unit, ("epochs", "iters"), otherwise="; there are epochs and iters")
            )
            raise ValueError(f"{value!r} is not a duration: no unit is called {unit!r}{nearest}")
        if count < 1:
            raise ValueError(f"{value!r} is not a duration: it must be at least 1")
        return cls(count, _UNITS[unit])

    def __str__(self) -> str:
        return f"{self.count} {self.unit if self.count > 1 else self.unit[:-1]}"

    def iterations(self, per_epoch: int) -> int:
        """The same in iterations, where an epoch has ``per_epoch``."""
        return self.count * (per_epoch if self.unit == "epochs" else 1)
