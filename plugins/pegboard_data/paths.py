"""Many paths in little memory."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray


class Paths(Sequence[str]):
    """A sequence of paths in one buffer of bytes: 8 bytes more than its text a path, and nothing for a fork to copy.

    A list of a million strings takes 100 bytes a path above the text, and every worker process that merely looks at
    one copies the memory page that it lies on, since looking changes a string's reference count.

    Args:
        paths: what it holds at first.

    Attributes:
        text: all of them, one after the other, in UTF-8.
        ends: where each of them ends in ``text``, int64.
    """

    text: bytearray | memoryview
    ends: "array[int] | memoryview[int]"

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self.text = bytearray()
        self.ends = array("q")
        for path in paths:
            self.append(path)

    @classmethod
    def over(cls, text: memoryview, ends: "memoryview[int]") -> "Paths":
        """Paths that lie in memory already, of which no copy is made; none can be added."""
        paths = cls()
        paths.text, paths.ends = text, ends
        return paths

    def append(self, path: str) -> None:
        """Add one at the end."""
        text, ends = self._own()
        text += path.encode("utf-8", "surrogateescape")  # a file name that is no UTF-8 comes back as it was
        ends.append(len(text))

    def extend(self, text: bytes, lengths: NDArray[np.int64]) -> None:
        """Add many at the end: their UTF-8 text, one after the other, and how many bytes each has, (N,)."""
        own, ends = self._own()
        ends.frombytes((np.cumsum(lengths) + len(own)).tobytes())
        own += text

    def _own(self) -> "tuple[bytearray, array[int]]":
        if not isinstance(self.text, bytearray) or not isinstance(self.ends, array):
            raise TypeError("these paths lie in memory that is not theirs; none can be added")
        return self.text, self.ends

    def __len__(self) -> int:
        return len(self.ends)

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
        start = self.ends[place - 1] if place else 0
        return str(self.text[start : self.ends[place]], "utf-8", "surrogateescape")

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def __getstate__(self) -> dict[str, Any]:
        """As a process holds them that shares its memory with no other."""
        return {"text": bytearray(self.text), "ends": array("q", self.ends.tobytes())}

    def __repr__(self) -> str:
        return f"Paths({self[:3]!r}{', ...' if len(self) > 3 else ''})"
