"""Many paths in little memory."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import overload


class Paths(Sequence[str]):
    """A sequence of paths in one buffer of bytes: 8 bytes more than its text a path, and nothing for a fork to copy.

    A list of a million strings takes 100 bytes a path above the text, and every worker process that merely looks at
    one copies the memory page that it lies on, since looking changes a string's reference count.

    Args:
        paths: what it holds at first.
    """

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._text = bytearray()
        self._ends = array("q")
        for path in paths:
            self.append(path)

    def append(self, path: str) -> None:
        """Add one at the end."""
        self._text += path.encode("utf-8", "surrogateescape")  # a file name that is no UTF-8 comes back as it was
        self._ends.append(len(self._text))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self[place] for place in range(*index.indices(len(self)))]
        place = index + len(self) if index < 0 else index
        if not 0 <= place < len(self):
            raise IndexError(f"there are {len(self)} paths, and none at {index}")
        start = self._ends[place - 1] if place else 0
        return self._text[start : self._ends[place]].decode("utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def __repr__(self) -> str:
        return f"Paths({self[:3]!r}{', ...' if len(self) > 3 else ''})"
