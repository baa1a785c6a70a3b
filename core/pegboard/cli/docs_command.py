"""``pegboard docs NAME`` prints a page; ``pegboard docs --write docs`` writes the reference."""

import argparse
from pathlib import Path

from pegboard.cli.added import Command, added_commands
from pegboard.console import say
from pegboard.errors import PegboardError, did_you_mean
from pegboard.plugins import load_plugin
from pegboard.registry import BOARDS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "name",
        nargs="?",
        metavar="NAME",
        help="a part such as SGD or acme:Net, a key such as train_for or batch_size, a command, a hook point, a plugin "
        "hook, a registry such as HOOKS, or a class such as Tracker",
    )
    parser.add_argument(
        "--plugins", nargs="+", default=[], metavar="PLUGIN", help="run these files or modules first: their parts too"
    )
    parser.add_argument("--write", metavar="DIR", help="write every page of pegboard's own to DIR/reference/")


def run(arguments: argparse.Namespace) -> int:
    """Print what there is of that name, on every board that has it; torch is not imported."""
    if (arguments.name is None) == (arguments.write is None):
        raise PegboardError("`pegboard docs` needs a name to print, or --write DIR; e.g. `pegboard docs SGD`")
    for plugin in arguments.plugins:
        load_plugin(plugin, Path.cwd())
    if arguments.write is not None:
        return _write(Path(arguments.write) / "reference")
    for line in "\n".join(_pages(arguments.name)).rstrip().splitlines():
        say(line)
    return 0


def _pages(name: str) -> list[str]:
    from pegboard.documents.part import part_page
    from pegboard.documents.reference import topics

    found = [part_page(board, entry) for board in BOARDS.values() for entry in board.list(_literally(name))]
    pages = topics()
    topic = name if name in pages else name.upper()
    found += [*(page() for page in pages.get(topic, [])), *_command_pages(name)]
    if not found:
        known = [entry.name for board in BOARDS.values() for entry in board.list()]
        known += [one.name for one in added_commands()[0]] + [*_commands()]
        otherwise = "; `pegboard plugins BOARD` lists the parts of a board"
        nearest = did_you_mean(name, [*known, *pages], otherwise=otherwise)
        raise PegboardError(f"there is no part, key, command, hook point, plugin hook or class {name!r}{nearest}")
    return found


def _commands() -> dict[str, Command]:
    """pegboard's own by their names, and every one that plugins add by ``plugin:name``."""
    from pegboard.cli import own_commands

    return own_commands() | {one.full_name: one.command for one in added_commands()[0]}


def _command_pages(name: str) -> list[str]:
    """The command of that name; where only plugins have it, that of each."""
    from pegboard.documents.reference import command_page

    known = _commands()
    names = [name] if name in known else [full for full in known if full.endswith(f":{name}")]
    return [command_page(full, known[full]) for full in names]


def _literally(name: str) -> str:
    """A pattern that only this name matches, whatever it holds."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)


def _write(folder: Path) -> int:
    from pegboard.documents import reference_pages

    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / name for name, text in reference_pages() if _changed(folder / name, text)]
    for path in written:
        say(path)
    say(f"{len(written)} pages written; the others in {folder} are as they should be")
    return 0


def _changed(path: Path, text: str) -> bool:
    """Write the page unless the file says just that."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        return False
    path.write_text(text, encoding="utf-8")
    return True
