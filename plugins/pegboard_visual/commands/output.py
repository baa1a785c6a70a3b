"""Where the pictures of a command go."""

import json
from pathlib import Path

from pegboard import PegboardError
from pegboard.console import say
from pegboard_visual.drawn import Drawn, moment


class Output:
    """Collects pictures in ``figures/`` of a run, where its report finds them, or in a folder of one's own.

    Args:
        run: its folder; None where there is none: then they go to ``./figures``.
        out: the folder of one's own, which then holds all of them side by side.
        epoch, iteration: after which the model was saved.

    Raises:
        PegboardError: ``out`` is a file.
    """

    def __init__(self, run: Path | None, out: str | None, epoch: int = 0, iteration: int = 0) -> None:
        self.in_run = run is not None and out is None
        self.folder = run / "figures" if run is not None and out is None else Path(out or "figures")
        self.epoch, self.iteration = epoch, iteration
        if self.folder.exists() and not self.folder.is_dir():
            raise PegboardError(f"--out {self.folder} is a file; expected a folder, which need not exist")

    @property
    def when(self) -> str:
        """The moment of the checkpoint, for captions."""
        return moment(self.epoch, self.iteration)

    def add(self, drawn: Drawn) -> None:
        """Write a PNG, its numbers as JSON and its table; print where.

        Raises:
            PegboardError: the folder cannot be written.
        """
        try:
            path = self._write(drawn)
            drawn.put_table(path)
        except OSError as error:
            raise PegboardError(f"{self.folder} cannot be written: {error.strerror or error}") from error
        say(f"{path}, and {'.csv and ' if drawn.table else ''}.json beside it")

    def _write(self, drawn: Drawn) -> Path:
        from pegboard.pictures import Pictures, file_name
        from pegboard_visual.drawing.picture import save

        name, picture, caption, data = drawn[:4]
        epoch, iteration = self.epoch, self.iteration
        if self.in_run:
            pictures = Pictures(self.folder)
            return pictures.add(name, picture, caption, epoch=epoch, iteration=iteration, data=data).path
        path = self.folder / f"{file_name(name)}.png"
        save(picture, path)
        record = {"name": name, "caption": caption, "epoch": epoch, "iteration": iteration, "data": data}
        path.with_suffix(".json").write_text(json.dumps(record), encoding="utf-8")
        return path
