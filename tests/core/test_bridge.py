"""The names of a library: read once a version, then from a cache that may be damaged or absent."""

import importlib.metadata
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from pegboard import Bridge, ConfigError, Registry

VERSION = importlib.metadata.version("pluggy")  # some library that is installed


class Reader:
    """Counts how often the source is read."""

    def __init__(self, **names: str) -> None:
        self.names, self.calls = names, 0

    def bridge(self, library: str = "pluggy", family: str = "things") -> Bridge:
        def read() -> dict[str, str]:
            self.calls += 1
            return self.names

        return Bridge("p", library, family, read)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("PEGBOARD_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


def test_names_are_read_once_and_then_come_from_the_cache(cache: Path) -> None:
    reader = Reader(Thing="pluggy:Thing")
    bridge = reader.bridge()
    assert reader.calls == 0  # nothing is read before somebody asks
    assert [bridge.targets, bridge.targets, reader.bridge().targets] == [{"Thing": "pluggy:Thing"}] * 3
    assert reader.calls == 1
    [file] = cache.iterdir()
    assert file.name.startswith(f"pluggy-{VERSION}-things-")


def test_a_library_that_is_not_installed_has_no_parts_and_leaves_no_cache(cache: Path) -> None:
    reader = Reader(Thing="x:Thing")
    assert reader.bridge("no-such-library").targets == {}
    assert (reader.calls, cache.exists()) == (0, False)


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", '{"Thing": 1}', "\x00"])
def test_a_damaged_cache_is_read_anew(cache: Path, text: str) -> None:
    reader = Reader(Thing="pluggy:Thing")
    assert reader.bridge().targets
    [file] = cache.iterdir()
    file.write_text(text)
    assert reader.bridge().targets == {"Thing": "pluggy:Thing"}
    assert reader.calls == 2
    assert json.loads(file.read_text()) == {"Thing": "pluggy:Thing"}


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    cache.write_text("a file where the folder should be")
    reader = Reader(Thing="pluggy:Thing")
    assert reader.bridge().targets == reader.bridge().targets == {"Thing": "pluggy:Thing"}
    assert reader.calls == 2


def test_families_of_one_library_do_not_share_a_file() -> None:
    assert Reader(A="pluggy:A").bridge(family="one").targets == {"A": "pluggy:A"}
    assert Reader(B="pluggy:B").bridge(family="two").targets == {"B": "pluggy:B"}


def test_another_version_of_the_code_that_reads_does_not_find_the_old_names(tmp_path: Path) -> None:
    """An update of a plugin that finds more of the same library's classes."""

    def read_by(text: str) -> dict[str, str]:
        module = tmp_path / "families.py"
        module.write_text(text)
        scope: dict[str, object] = {}
        exec(compile(text, str(module), "exec"), scope)
        return dict(Bridge("p", "pluggy", "things", scope["names"]).targets)  # type: ignore[arg-type]

    assert read_by("def names(): return {'A': 'pluggy:A'}") == {"A": "pluggy:A"}
    assert read_by("def names(): return {'A': 'pluggy:A', 'B': 'pluggy:B'}") == {"A": "pluggy:A", "B": "pluggy:B"}


def test_a_reader_that_raises_leaves_its_bridge_empty_and_says_why(cache: Path) -> None:
    def read() -> dict[str, str]:
        raise KeyError("moved")

    bridge = Bridge("p", "pluggy", "things", read)
    assert bridge.targets == {}
    assert bridge.error == "KeyError: 'moved'"
    assert not cache.exists()


class Scaled:
    """What the bridge below brings."""

    def __init__(self, scale: tuple[float, ...], name: str = "") -> None:
        self.scale, self.name = scale, name


def make(factory: type[Scaled], arguments: dict[str, Any], supply: Mapping[str, Any]) -> Scaled:
    arguments["scale"] = tuple(arguments["scale"]) if arguments["scale"] != "known" else supply["known"]
    return factory(**arguments)


def test_a_bridge_says_what_a_config_gives_and_makes_of_it_what_the_class_takes() -> None:
    board = Registry("things", "a thing")
    names = Reader(Scaled=f"{__name__}:Scaled")
    bridge = names.bridge()
    bridge.takes, bridge.via = {"scale": "list[float] | Literal['known']"}, f"{__name__}:make"
    board.add_bridge(bridge)
    assert board.find("Scaled").signature().parameters["scale"].annotation == "list[float] | Literal['known']"
    assert board.build({"type": "Scaled", "scale": [1.0, 2.0], "name": "a"}).scale == (1.0, 2.0)
    assert board.build({"type": "Scaled", "scale": "known"}, supply={"known": (3.0,)}).scale == (3.0,)
    with pytest.raises(
        ConfigError, match="here: Scaled: got an unexpected keyword argument 'nam'; did you mean 'name'"
    ):
        board.build({"type": "Scaled", "scale": [1.0], "nam": "a"}, "here")
