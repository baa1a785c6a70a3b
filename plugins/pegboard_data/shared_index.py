"""A large index once a machine: a file in the cache folder that every process maps, so that none holds it for itself.

The file is named by the bytes that it was made of, so that it is never out of date; it may be deleted at any time, and
is then made anew. After a header it holds: where each path ends in the text of all, (N,) int64; the targets, (N,)
int32; the names of the classes, as JSON; the text of all paths, in UTF-8.
"""

import ctypes
import hashlib
import json
import logging
import mmap
import os
import secrets
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np

from pegboard.bridge import cache_folder
from pegboard.errors import DataError
from pegboard_data.index_files import CLASSES_FILE, Index, read_index
from pegboard_data.paths import Paths

try:
    import fcntl
except ImportError:  # Windows: several processes may read an index file at once, to the same end
    fcntl = None  # type: ignore[assignment]

logger = logging.getLogger("pegboard")

SMALL = 4 * 2**20  # bytes of text, some 50,000 lines: less is read in a tenth of a second, and worth no file
UNUSED = 30 * 24 * 3600.0  # seconds after which a file that nobody has opened is removed

_MAGIC = b"pegboard index, form 1\n"  # another number whenever the same text is read, or kept, otherwise
_HEADER = struct.Struct("=24sQQQQ")  # magic; samples; bytes of classes, and of text; CRC-32 of these and what follows
_AT_ONCE = 2**20  # bytes that are read together


@dataclass
class SharedIndex(Index):
    """An index that lies in a file; its copy in another process maps that file too.

    Args:
        file: which one.
        identity: device and inode of the file, which tell whether another one has taken its place.
    """

    file: Path
    identity: tuple[int, int]

    def __reduce__(self) -> tuple[Any, ...]:
        if _identity(self.file) == self.identity:
            return _mapped_again, (self.file, self.identity)
        return Index, (self.paths, self.targets, self.classes)  # the file is gone, its bytes are here still


def shared_index(path: str | Path) -> Index:
    """What ``read_index`` reads; if it is large, in memory that all processes of the machine share.

    One process reads the text and the others wait for it. Later runs need not read it either, until it changes.

    Raises:
        DataError: as ``read_index`` does; or the file was changed while it was read.
    """
    path = Path(path)
    try:
        digest = _digest_of_text(path) if path.stat().st_size >= SMALL else ""
    except OSError:
        digest = ""
    if not digest:
        return read_index(path)  # which says what is wrong, where it cannot be read
    file = _file(digest)
    if (found := _opened(file)) is not None:
        return found
    with _one_at_a_time(path):
        if (found := _opened(file, tell=False)) is not None:  # another process has made it meanwhile
            return found
        index = read_index(path)
        if _digest_of_text(path) != digest:
            raise DataError(f"{path}: it was changed while it was read; start again once it is complete")
        index = _kept(index, file)
    _give_back()
    return index


def shared(gather: Callable[[], Index]) -> Index:
    """An index that is gathered otherwise; if it is large, in memory that all processes share."""
    index = gather()
    if len(index.paths.text) < SMALL:
        return index
    file = _file(_digest_of_parts(index))
    index = _opened(file) or _kept(index, file)
    _give_back()
    return index


def _give_back() -> None:
    """Return free memory to the system: what an index took while it was read, nobody may need again."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None  # glibc has it
    if trim is not None:
        trim(0)


def _digest_of_text(path: Path) -> str:
    """Of all that ``read_index`` reads: the file, and the names of the classes beside it."""
    beside = path.with_name(CLASSES_FILE)
    classes = beside.read_bytes() if beside.is_file() else None
    digest = _new_digest()
    digest.update(f"{'no' if classes is None else len(classes)} bytes of classes\n".encode() + (classes or b""))
    with path.open("rb") as file:
        while text := file.read(_AT_ONCE):
            digest.update(text)
    return digest.hexdigest()


def _digest_of_parts(index: Index) -> str:
    digest = _new_digest()
    for part in _parts(index):
        digest.update(f"{len(part)} bytes\n".encode())
        digest.update(part)
    return digest.hexdigest()


def _new_digest() -> "hashlib._Hash":
    return hashlib.sha256(_MAGIC + sys.byteorder.encode())


def _file(digest: str) -> Path:
    return cache_folder().absolute() / f"index-{digest[:32]}.bin"


@contextmanager
def _one_at_a_time(place: Path) -> Iterator[None]:
    """Wait until no other process is inside with the same file or folder; some network file systems let several in."""
    if fcntl is None:
        yield
        return
    number = os.open(place, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(number, fcntl.LOCK_EX)
        yield
    finally:
        os.close(number)


# -- the file ---------------------------------------------------------------------------------------------------------


def _parts(index: Index) -> list[Any]:
    """What the file holds after its header, as bytes."""
    classes = json.dumps(index.classes).encode()
    return [index.paths.ends.tobytes(), index.targets.tobytes(), classes, index.paths.text]


def _kept(index: Index, file: Path) -> Index:
    """The index as it lies in a file that is written for it; as it is, where none can be."""
    temporary = file.with_suffix(f".{secrets.token_hex(4)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(file.parent):
            if (found := _opened(file, tell=False)) is not None:  # another process has gathered the same
                return found
            _remove_unused(file.parent)
            _write(index, temporary)
            temporary.replace(file)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        logger.warning(
            "the index of %d images cannot be kept in %s (%s); every process reads it and holds it for itself",
            *(len(index.paths), file.parent, error.strerror or error),
        )
        return index
    logger.info("the index of %d images is kept in %s", len(index.paths), file)
    return _opened(file) or index


def _write(index: Index, file: Path) -> None:
    parts = _parts(index)
    sizes = len(index.paths), len(parts[2]), len(parts[3])
    check = _check_of(sizes)
    for part in parts:
        check = zlib.crc32(part, check)
    with file.open("xb") as opened:
        opened.write(_HEADER.pack(_MAGIC, *sizes, check))
        opened.writelines(parts)


def _opened(file: Path, tell: bool = True) -> SharedIndex | None:
    """What a file holds; None where there is none, or a damaged one, of which it can ``tell``."""
    try:
        with file.open("rb") as opened:
            if not _is_whole(opened):
                if tell:
                    logger.warning("%s is damaged; it is made anew", file)
                return None
            index = _mapped(opened, file)
        with suppress(OSError):
            os.utime(file)  # it is in use
    except OSError:
        return None
    return index


def _is_whole(opened: IO[bytes]) -> bool:
    """Whether all that was written is there; leaves no page of it mapped."""
    header = opened.read(_HEADER.size)
    if len(header) < _HEADER.size:
        return False
    magic, samples, classes, text, expected = _HEADER.unpack(header)
    size = _HEADER.size + 12 * samples + classes + text
    if magic.rstrip(b"\0") != _MAGIC or os.fstat(opened.fileno()).st_size != size:
        return False
    check = _check_of((samples, classes, text))
    while part := opened.read(_AT_ONCE):
        check = zlib.crc32(part, check)
    return bool(check == expected)


def _check_of(sizes: tuple[int, int, int]) -> int:
    return zlib.crc32(repr(sizes).encode())


def _mapped(opened: IO[bytes], file: Path) -> SharedIndex:
    """What an open file holds that is whole."""
    whole = memoryview(mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ))
    _, samples, classes, text, _ = _HEADER.unpack(whole[: _HEADER.size])
    ends = np.cumsum([_HEADER.size, 8 * samples, 4 * samples, classes, text]).tolist()
    path_ends, targets, names, paths = (whole[begin:end] for begin, end in pairwise(ends))
    status = os.fstat(opened.fileno())
    return SharedIndex(
        Paths.over(paths, path_ends.cast("q")),
        np.frombuffer(targets, dtype=np.int32),
        json.loads(bytes(names)),
        file,
        (status.st_dev, status.st_ino),
    )


def _mapped_again(file: Path, identity: tuple[int, int]) -> SharedIndex:
    """The file that another process has mapped, and found to be whole.

    Raises:
        DataError: it is there no more.
    """
    try:
        with file.open("rb") as opened:
            index = _mapped(opened, file)
    except OSError as error:
        raise DataError(
            f"{file}: the index, kept there, cannot be read by a worker process: {error.strerror}"
        ) from None
    if index.identity != identity:
        raise DataError(f"{file}: the index, kept there, was replaced while a worker process started; start again")
    return index


def _identity(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _remove_unused(folder: Path) -> None:
    """Remove what nobody has opened for long; who has it mapped keeps it."""
    for file in folder.glob("index-*"):
        with suppress(OSError):
            if time.time() - file.stat().st_mtime > UNUSED:
                file.unlink()
