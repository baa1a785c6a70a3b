"""The pictures of a run: ``figures/`` in its folder, written by ``run.show`` and read by whoever shows them again."""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from pegboard.errors import PegboardError

Pixels = NDArray[np.uint8]  # (H, W, 3) RGB


@dataclass(frozen=True)
class Shown:
    """One picture of a run.

    Args:
        name: what it is, the same each time it is drawn, e.g. ``"Confusion_Matrix_valid"``.
        caption: a sentence for whoever looks at it.
        epoch: epochs completed, or the one that goes on. iteration: all iterations so far.
        path: the PNG; a JSON file of the same name beside it holds all the rest.
        data: the numbers behind the picture, as JSON has them; ``data["kind"]`` says what they are, for those who
            draw them anew, as the report does.
        frames: its parts one by one, each (H, W, 3) uint8, for those who can show them under a slider, as TensorBoard
            does; no file holds them.
    """

    name: str
    caption: str
    epoch: int
    iteration: int
    path: Path
    data: Mapping[str, Any] = field(default_factory=dict)
    frames: Sequence[Pixels] = ()

    def pixels(self) -> Pixels:
        """What the file holds, (H, W, 3) uint8."""
        from PIL import Image

        with Image.open(self.path) as image:
            return np.asarray(image.convert("RGB"))


class Pictures:
    """A folder of pictures, ``iteration_<number>/<name>.png``, each with a JSON file that says what it is.

    A picture counts once its JSON file is there, which is written last, and in one step. A table may lie beside it,
    ``<name>.csv``, which goes with it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def add(
        self,
        name: str,
        picture: Any,
        caption: str = "",
        *,
        epoch: int = 0,
        iteration: int = 0,
        data: Mapping[str, Any] | None = None,
        frames: Sequence[Any] = (),
    ) -> Shown:
        """Write a picture; one of the same name and iteration is replaced.

        Args:
            picture, frames: as ``run.show`` takes them.

        Raises:
            PegboardError: it is no picture.
        """
        parts = tuple(as_pixels(frame, f"a frame of {name}") for frame in frames)
        path = self.path_of(name, iteration)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}-{os.getpid()}")
        _write_png(picture, temporary, name)
        temporary.replace(path)
        shown = Shown(name, caption, epoch, iteration, path, dict(data or {}), parts)
        record = {"name": name, "caption": caption, "epoch": epoch, "iteration": iteration, "data": shown.data}
        temporary.write_text(json.dumps(record), encoding="utf-8")
        temporary.replace(path.with_suffix(".json"))
        return shown

    def path_of(self, name: str, iteration: int) -> Path:
        """Where a picture of an iteration lies, or will."""
        return self.folder / f"iteration_{iteration:08}" / f"{file_name(name)}.png"

    def all(self) -> list[Shown]:
        """Every picture, in the order of iterations, then of names."""
        found = []
        for record in sorted(self.folder.glob("iteration_*/*.json")):
            values = json.loads(record.read_text(encoding="utf-8"))
            found.append(Shown(**values, path=record.with_suffix(".png")))
        return sorted(found, key=lambda shown: (shown.iteration, shown.name))

    def forget_after(self, iteration: int) -> None:
        """Remove what a run drew after ``iteration``, from which it goes on."""
        for shown in self.all():
            if shown.iteration > iteration:
                shown.path.with_suffix(".json").unlink()
                for beside in (shown.path, shown.path.with_suffix(".csv")):
                    beside.unlink(missing_ok=True)


def file_name(name: str) -> str:
    """A name that every file system takes; two names never share one."""
    safe = re.sub(r"[^\w.+-]", "_", name).lstrip(".")[:100]
    return safe if safe == name else f"{safe or 'picture'}_{crc32(name.encode('utf-8', 'surrogatepass')):08x}"


def as_pixels(picture: Any, name: str = "the picture") -> Pixels:
    """An array, a tensor or a Pillow image as (H, W, 3) uint8.

    Args:
        picture: an array (H, W) or (H, W, 3), a tensor (H, W), (1, H, W) or (3, H, W), each uint8 from 0 to 255 or
            float from 0 to 1; or a ``PIL.Image.Image``.

    Raises:
        PegboardError: it is none of these; ``name`` says which picture it was.
    """
    from PIL import Image

    if isinstance(picture, Image.Image):
        return np.asarray(picture.convert("RGB"))
    if hasattr(picture, "detach"):  # a tensor, without importing torch
        picture = picture.detach().cpu()
        picture = (picture.float() if picture.is_floating_point() else picture).numpy()
        picture = picture.transpose(1, 2, 0) if picture.ndim == 3 else picture
    if not isinstance(picture, np.ndarray):
        raise PegboardError(
            f"{name}: a {type(picture).__name__} is no picture; expected a matplotlib figure, a Pillow image, "
            "an array (H, W, 3) or a tensor (3, H, W)"
        )
    flat = picture[..., 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    colours = np.repeat(flat[..., None], 3, axis=2) if flat.ndim == 2 else flat
    if colours.ndim != 3 or colours.shape[2] != 3 or not colours.size:
        raise PegboardError(f"{name}: a picture is (H, W), (H, W, 3), or as a tensor (3, H, W), not {picture.shape}")
    if colours.dtype.kind == "f":
        if not np.isfinite(colours).all() or colours.min() < -1e-6 or colours.max() > 1 + 1e-6:
            raise PegboardError(
                f"{name}: float pixels go from 0 to 1, these from {colours.min():g} to {colours.max():g}; "
                "scale them, or denormalise the images"
            )
        colours = np.rint(colours.clip(0, 1) * 255)
    elif colours.dtype != np.uint8:
        raise PegboardError(f"{name}: pixels are uint8 from 0 to 255 or float from 0 to 1, not {colours.dtype}")
    return np.ascontiguousarray(colours, dtype=np.uint8)


def _write_png(picture: Any, path: Path, name: str) -> None:
    if callable(getattr(picture, "savefig", None)):  # a matplotlib figure, without importing matplotlib
        picture.savefig(path, format="png", dpi=picture.get_dpi())
    else:
        from PIL import Image

        Image.fromarray(as_pixels(picture, name)).save(path, format="PNG")
