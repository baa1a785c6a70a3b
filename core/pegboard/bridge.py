"""A bridge makes every class of an installed library known by its own name, without importing the library."""

import json
import os
import zlib
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any


@dataclass
class Bridge:
    """The parts of one library on one board.

    Args:
        name: the prefix that reaches its parts past a registered one of the same name, e.g. ``"torchvision"``.
        library: the distribution that brings them; where it is not installed, the bridge has no parts.
        family: names this list in the cache, e.g. ``"optimizers"``.
        names: reads the library's source (``pegboard.source``): part name -> ``"module:attribute"``.
        supplied: arguments that the run fills in, where a part has them.
        parts: arguments that are themselves parts, with their board, where a part has them.
        takes: what a config gives as an argument where the class takes something that no config can hold, as an
            annotation: ``{"weight": "list[float] | None"}`` for a tensor.
        words: what the run knows and a config may write by name as the value of any argument, e.g.
            ``out_features="num_classes"``.
        via: address of ``function(factory, arguments, supply)``, which builds a part in place of
            ``factory(**arguments)``; ``supply["fresh"]`` is False where its weights are about to be loaded.
        error: why its names cannot be read, once that was tried; it then has no parts.
    """

    name: str
    library: str
    family: str
    names: Callable[[], Mapping[str, str]]
    supplied: Sequence[str] = ()
    parts: Mapping[str, Any] = field(default_factory=dict)
    takes: Mapping[str, str] = field(default_factory=dict)
    words: Sequence[str] = ()
    via: str = ""
    error: str = field(default="", compare=False)

    @cached_property
    def targets(self) -> Mapping[str, str]:
        """Part name -> address; read from the source once a version, then from a cache file."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            release = version(self.library)
        except PackageNotFoundError:
            return {}
        file = cache_folder() / f"{self.library}-{release}-{self.family}-{self._reader()}.json"
        try:
            cached = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            cached = None
        if isinstance(cached, dict) and all(isinstance(target, str) for target in cached.values()):
            return cached
        try:
            names = dict(self.names())
        except Exception as error:  # noqa: BLE001  # a stranger's bridge must not take the board down with it
            self.error = f"{type(error).__name__}: {error}"
            return {}
        _write(file, names)
        return names

    def _reader(self) -> str:
        """Which code read the names: another version of it may find others in the same library."""
        code = getattr(self.names, "__code__", None)
        file = Path(code.co_filename) if code else Path()
        stamp = f"{file.stat().st_mtime_ns:x}" if file.is_file() else ""
        return f"{zlib.crc32(f'{file}{stamp}'.encode()):08x}"


def cache_folder() -> Path:
    """Where names are kept between processes: ``$PEGBOARD_CACHE``, else ``pegboard`` in the user's cache folder."""
    own = os.environ.get("PEGBOARD_CACHE")
    base = os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else (Path(base) if base else Path("~/.cache").expanduser()) / "pegboard"


def _write(file: Path, names: Mapping[str, str]) -> None:
    """Keep the names for the next process; a cache that cannot be written costs a tenth of a second, nothing else."""
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(names), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
