"""Pictures as text inside the page, within a number of bytes."""

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from PIL import Image

from pegboard import Shown

WIDE, TALL = 1500, 3600  # largest picture in the page, pixels
SMALLER = 800  # the same where pictures are too many; both sides
SMALL_FILE = 30_000  # bytes of a PNG that is taken as it is
MOST_STEPS = 8  # pictures of one name


@dataclass(frozen=True)
class Embedded:
    """A picture in the page.

    Args:
        shown: where it comes from.
        address: ``data:image/webp;base64,...``.
        width, height: in pixels, as embedded.
        is_reduced: the file has more.
    """

    shown: Shown
    address: str
    width: int
    height: int
    is_reduced: bool = False


@dataclass
class Strip:
    """The pictures of one name, the newest last; ``of`` is how many there are in the run folder."""

    name: str
    steps: list[Embedded]
    of: int


@dataclass
class Embedder:
    """Turns pictures into addresses, each file once, so that a page that is written again costs little."""

    known: dict[tuple[Path, int, int], Embedded] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def strips(self, named: dict[str, list[Shown]], budget: int) -> list[Strip]:
        """The newest picture of each name; then earlier ones, spread evenly, as far as they fit.

        Args:
            named: pictures by name, the oldest first; names in the order in which they matter.
            budget: characters that all of them may take.
        """
        self.notes = []
        left, strips = budget, {name: Strip(name, [], len(found)) for name, found in named.items()}
        share = budget // max(1, len(named))  # so that a huge first picture does not push out all others
        for name, found in named.items():
            newest = self._fitting(found[-1], share) or self._fitting(found[-1], left, smaller=True)
            if newest is not None:
                strips[name].steps = [newest]
                left -= len(newest.address)
        for turn in range(MOST_STEPS - 1):  # one earlier picture of each name at a time
            for name, found in named.items():
                earlier = _spread(len(found) - 1)
                newest = strips[name].steps[0] if strips[name].steps else None
                if turn < len(earlier) and newest and len(newest.address) <= left:  # it would hardly fit otherwise
                    one = self._fitting(found[earlier[turn]], left)
                    if one is not None:
                        strips[name].steps.append(one)
                        left -= len(one.address)
        for strip in strips.values():
            strip.steps.sort(key=lambda one: one.shown.iteration)
        self._say_what_is_left_out(list(strips.values()))
        return [strip for strip in strips.values() if strip.steps]

    def _say_what_is_left_out(self, strips: Sequence[Strip]) -> None:
        if absent := [strip.name for strip in strips if not strip.steps]:
            self.notes.append(f"left out, to keep this page small or because the file is damaged: {', '.join(absent)}")
        if any(strip.steps and len(strip.steps) < strip.of for strip in strips):
            self.notes.append("of pictures that were drawn many times, some are shown, spread over the run")
        if any(one.is_reduced for strip in strips for one in strip.steps):
            self.notes.append("large pictures are made smaller")

    def _fitting(self, shown: Shown, most: int, smaller: bool = False) -> Embedded | None:
        """The picture, unless it cannot be read or takes more than ``most`` characters."""
        size = SMALLER if smaller else WIDE
        try:
            key = (shown.path, shown.path.stat().st_mtime_ns, size)
            if key not in self.known:
                self.known[key] = _embed(shown, (size, SMALLER * 2 if smaller else TALL), 60 if smaller else 84)
        except (OSError, Image.DecompressionBombError):
            return None
        found = self.known[key]
        return found if len(found.address) <= most else None


def _spread(count: int) -> list[int]:
    """Which of ``count`` earlier pictures are shown, those that matter most first: the first, the middle, ...

    Examples:
        >>> _spread(3)
        [0, 1, 2]
    """
    most = min(count, MOST_STEPS - 1)
    places = [round(i * count / most) for i in range(most)]
    return places[:1] + sorted(places[1:], key=lambda place: abs(place - count / 2))


def _embed(shown: Shown, largest: tuple[int, int], quality: int) -> Embedded:
    with Image.open(shown.path) as image:
        fits = image.width <= largest[0] and image.height <= largest[1]
        if fits and shown.path.stat().st_size <= SMALL_FILE:
            return Embedded(shown, _address("png", shown.path.read_bytes()), *image.size)
        picture = image.convert("RGB")
    picture.thumbnail(largest, Image.Resampling.LANCZOS)
    file = BytesIO()
    picture.save(file, "WEBP", quality=quality, method=0)  # slower methods save little
    return Embedded(shown, _address("webp", file.getvalue()), *picture.size, is_reduced=not fits)


def _address(kind: str, content: bytes) -> str:
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"
