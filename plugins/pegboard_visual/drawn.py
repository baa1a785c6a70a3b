"""A picture with all that goes with it, as functions of this package give it to hooks and commands."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pegboard import Runner


class Drawn(NamedTuple):
    """A picture.

    Args:
        name, picture, caption, data: as ``run.show`` takes them; the picture is (H, W, 3) uint8.
        table: a CSV file that is to lie beside it; empty for none.
    """

    name: str
    picture: "NDArray[np.uint8]"
    caption: str
    data: Mapping[str, Any]
    table: str = ""

    def show(self, run: "Runner") -> None:
        """Hand it to a run that trains, and put the table beside it."""
        self.put_table(run.show(self.name, self.picture, self.caption, self.data).path)

    def put_table(self, path: Path) -> None:
        """Write the table, if there is one, beside the PNG."""
        if self.table:
            path.with_suffix(".csv").write_text(self.table, encoding="utf-8")
