"""A picture with all that goes with it, as functions of this package give it to hooks and commands."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from pegboard import Runner
    from pegboard_visual.drawing.picture import Picture


class Drawn(NamedTuple):
    """A picture.

    Args:
        name, picture, caption, data, frames: as ``run.show`` takes them; the picture is (H, W, 3) uint8.
        table: a CSV file that is to lie beside it; empty for none.
    """

    name: str
    picture: "Picture"
    caption: str
    data: Mapping[str, Any]
    table: str = ""
    frames: "Sequence[Picture]" = ()

    def show(self, run: "Runner") -> None:
        """Hand it to a run that trains, and put the table beside it."""
        self.put_table(run.show(self.name, self.picture, self.caption, self.data, self.frames).path)

    def put_table(self, path: Path) -> None:
        """Write the table, if there is one, beside the PNG."""
        if self.table:
            path.with_suffix(".csv").write_text(self.table, encoding="utf-8")


def moment(epoch: int, iteration: int) -> str:
    """When a picture was drawn, for its caption."""
    return f"epoch {epoch}, iteration {iteration:,}"


def now(run: "Runner") -> str:
    """The moment at which a run that trains stands."""
    return moment(run.epoch_in_progress, run.iteration)
