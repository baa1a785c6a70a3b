"""The pages of ``docs/reference/``: whatever can be read off the code, so that no page can fall behind it."""

import argparse
import re
from collections.abc import Iterator, Mapping
from functools import partial

from pegboard import source
from pegboard.cli.added import Command
from pegboard.config import keys
from pegboard.documents.boards import USE
from pegboard.documents.classes import class_page, classes, classes_page
from pegboard.documents.part import defined_at, in_words, part_page, table
from pegboard.hooks.hook import POINTS, WHEN
from pegboard.registry import BOARDS, Entry, Registry

MADE = "<!-- Made by `pegboard docs --write docs`; change the code, not this page. -->\n\n"
PLUGIN_HOOKS = ("pegboard_register", "pegboard_check", "pegboard_commands", "pegboard_examples")


def reference_pages() -> Iterator[tuple[str, str]]:
    """File name and text of each page; of the parts, those that pegboard itself brings."""
    pages = {board.name: board_page(board) for board in BOARDS.values()}
    pages["run_keys"] = run_keys_page()
    pages["hook_points"] = hook_points_page()
    pages["plugin_hooks"] = plugin_hooks_page()
    pages["classes"] = classes_page()
    pages["commands"] = commands_page()
    for name, text in pages.items():
        yield f"{name}.md", MADE + _without_tags(text)


def _without_tags(text: str) -> str:
    """``runs/<name>`` is no HTML; what is code is left as it is."""
    return re.sub(r"(```.*?```|``.*?``|`[^`]*`)|<", lambda found: found[1] or "&lt;", text, flags=re.DOTALL)


# -- boards ------------------------------------------------------------------------------------------------------------


def board_page(board: Registry) -> str:
    """What a part of the board must be, and the page of each that pegboard brings; bridges are named."""
    lines = [f"# {board.name.upper()}", "", USE[board.name], ""]
    registered = [entry for entry in board.list() if not entry.is_bridge and _is_own(entry)]
    own = [entry for entry in registered if entry.package.startswith("pegboard")]  # others' words change with versions
    if own:
        lines += ["Pegboard's own: " + ", ".join(f"[{e.name}](#{e.name.lower()})" for e in own) + ".", ""]
    for entry in registered:
        if entry not in own:
            lines += [f"`{entry.name}` is `{defined_at(entry)}`; the run fills in `{'`, `'.join(entry.supplied)}`.", ""]
    for bridge in board.bridges:
        shown = f"`pegboard plugins {board.name.upper()} '{bridge.name}:*'` lists those of your version"
        lines += [f"Of {bridge.library}, where it is installed: each by its own name; {shown}.", ""]
    return "\n".join([*lines, *(part_page(board, entry, level=2) for entry in own)]).rstrip() + "\n"


def _is_own(entry: Entry) -> bool:
    from pegboard.plugins import installed_plugins

    return any(plugin.name == entry.plugin and plugin.distribution == "pegboard" for plugin in installed_plugins())


# -- run keys ----------------------------------------------------------------------------------------------------------

_KEY_TABLES: Mapping[str, tuple[str, Mapping[str, keys.Key]]] = {
    "Keys of a loader": ("`train`, `val` and `test` take these.", keys.LOADER_KEYS),
    "Keys of pretrained": ("", keys.PRETRAINED_KEYS),
    "Keys of a phase": ("`phases` is a list of dicts of these.", keys.PHASE_KEYS),
    "Keys of checkpoint": ("", keys.CHECKPOINT_KEYS),
    "Keys of clip_grad": ("", keys.CLIP_KEYS),
    "Keys of non_finite": ("", keys.NON_FINITE_KEYS),
    "Keys of any optimizer": ("Beside its own arguments; they say how its parameters are grouped.", keys.GROUPING_KEYS),
    "Keys of one optimizer among several": ("They say which parameters are its own.", keys.OPTIMIZER_KEYS),
    "Keys of a group": ("A rule of `groups` also takes the optimizer's own options.", keys.GROUP_KEYS),
    "Keys of a scheduler": ("Beside its own arguments.", keys.SCHEDULER_KEYS),
    "Keys of a loss among several": ("", keys.LOSS_KEYS),
}


def run_keys_page() -> str:
    """Every key that a config may have."""
    lines = ["# Run keys", "", "Every name that a config may set. `pegboard check CONFIG` knows them all.", ""]
    lines += _key_table(keys.RUN_KEYS)
    for title, (words, table_of) in _KEY_TABLES.items():
        lines += [f"## {title}", "", *([words, ""] if words else []), *_key_table(table_of)]
    lines += ["## Hooks that every run has", "", "`hooks=dict(NAME=None)` switches one off.", ""]
    defaults = [(f"`{name}`", f"`{part['type']}`" if part else "") for name, part in keys.DEFAULT_HOOKS.items()]
    return "\n".join([*lines, *table(("name", "type"), defaults)])


def _key_table(keys_of: Mapping[str, keys.Key]) -> list[str]:
    return table(("key", "holds", "default", "what it is"), [_key_row(name, key) for name, key in keys_of.items()])


def _key_row(name: str, key: keys.Key) -> tuple[str, str, str, str]:
    kind = in_words(key.kind)
    holds = f"{kind} of `{key.board.upper()}`" if key.board else kind
    holds += f", at least {key.at_least:g}" if key.at_least is not None else ""
    return f"`{name}`", holds, "" if key.default is None else f"`{key.default!r}`", key.help


def key_page(name: str) -> str:
    """One run key."""
    key = keys.RUN_KEYS[name]
    lines = [
        f"# {name}",
        "",
        f"A run key: {key.help}.",
        "",
        *table(("key", "holds", "default"), [_key_row(name, key)[:3]]),
    ]
    inside = keys.LOADER_KEYS if key.kind == "loader" else key.options
    return "\n".join([*lines, *(_key_table(inside) if inside else [])])


def inner_key_page(name: str) -> str:
    """A key that stands inside others, as ``batch_size`` does: what it is in each of them."""
    lines: list[str] = []
    for title, (_, table_of) in _KEY_TABLES.items():
        if key := table_of.get(name):
            lines += [f"# {name}", "", f"{title.replace('Keys', 'A key')}: {key.help}.", ""]
            lines += table(("key", "holds", "default"), [_key_row(name, key)[:3]])
    return "\n".join(lines)


# -- hook points -------------------------------------------------------------------------------------------------------


def signature_of(point: str) -> str:
    """``after_val(self, run, metrics)``."""
    return f"{point}({', '.join(['self', 'run', *POINTS[point]])})"


def hook_points_page() -> str:
    """Every point at which a hook is called, in the order in which a run passes them."""
    words = "In the order in which a run passes them. A method called `before_*`, `after_*` or `on_*` that is none of "
    lines = [
        "# Hook points",
        "",
        words + "these is refused when the class is defined: [writing a hook](../writing_a_hook.md).",
        "",
    ]
    lines += table(("method", "when"), [(f"`{signature_of(point)}`", WHEN[point]) for point in POINTS])
    return "\n".join(lines)


def point_page(point: str) -> str:
    """One hook point."""
    return f"# {point}\n\nA hook point: `def {signature_of(point)}`\n\n{WHEN[point]}\n"


# -- plugin hooks ------------------------------------------------------------------------------------------------------


def plugin_hooks_page() -> str:
    """What a plugin package may define."""
    head = source.read("pegboard.hookspecs")
    words = source.docstring_of(head) if head else ""
    return "\n".join(["# Plugin hooks", "", words, "", *(plugin_hook_page(name, level=2) for name in PLUGIN_HOOKS)])


def plugin_hook_page(name: str, level: int = 1) -> str:
    """One function that a plugin may define, as ``hookspecs.py`` describes it."""
    found = source.signature(f"pegboard.hookspecs:{name}")
    arguments = ", ".join(found.parameters) if found else ""
    text = source.docstring(f"pegboard.hookspecs:{name}")
    return f"{'#' * level} {name}\n\n`def {name}({arguments})`\n\n```text\n{text}\n```\n"


# -- commands ----------------------------------------------------------------------------------------------------------


def commands_page() -> str:
    """Every command of pegboard and its own plugins, with all arguments."""
    from pegboard.cli import own_commands

    lines = ["# Commands", "", "`pegboard COMMAND --help` says the same. A user's mistake exits with status 2.", ""]
    lines += [command_page(name, command, level=2) for name, command in own_commands().items()]
    return "\n".join(lines)


def command_page(name: str, command: Command, level: int = 1) -> str:
    """One command, with all arguments."""
    help_line, add_arguments, _ = command
    parser = argparse.ArgumentParser(add_help=False)
    add_arguments(parser)
    rows = [(_written(action), (action.help or "").replace("%%", "%")) for action in parser._actions]
    lines = [f"{'#' * level} pegboard {name}", "", help_line[0].upper() + help_line[1:] + ".", ""]
    return "\n".join([*lines, *table(("argument", ""), rows)])


def _written(action: argparse.Action) -> str:
    """``--out DIR``, ``IMAGE...`` or ``[PATTERN]``: an argument as a line of usage has it."""
    value = action.metavar or (f"{{{','.join(map(str, action.choices))}}}" if action.choices else action.dest.upper())
    value = value if isinstance(value, str) else " ".join(value)
    words = {0: "", "?": f"[{value}]", "*": f"[{value}...]", "+": f"{value}..."}.get(action.nargs or "", value)
    if action.nargs == 0:
        words = ""
    names = ", ".join(action.option_strings)
    return f"`{' '.join(filter(None, [names, words]))}`"


def topics() -> Mapping[str, "list[partial[str]]"]:
    """Every page besides those of parts and commands that ``pegboard docs NAME`` prints, by name."""
    pages: dict[str, list[partial[str]]] = {name: [partial(key_page, name)] for name in keys.RUN_KEYS}
    for name in {name for _, table_of in _KEY_TABLES.values() for name in table_of}:
        pages.setdefault(name, []).append(partial(inner_key_page, name))
    pages |= {point: [partial(point_page, point)] for point in POINTS}
    pages |= {name: [partial(plugin_hook_page, name)] for name in PLUGIN_HOOKS}
    pages |= {name: [partial(class_page, name)] for name in classes()}
    return pages | {board.name.upper(): [partial(board_page, board)] for board in BOARDS.values()}
