"""The page of one part: how a config names it, its arguments, its docstring, and where it comes from."""

import inspect
import re
from collections.abc import Mapping, Sequence
from typing import Any

from pegboard import source
from pegboard.registry import Entry, Registry

# Sections of a docstring as this project writes them: a heading, and lines below it that are set in.
_SECTION = re.compile(r"^([A-Z][A-Za-z]*):[ \t]*(.*)$")


def part_page(board: Registry, entry: Entry, level: int = 1) -> str:
    """All that is to be said of a part, in Markdown; torch is imported only where the source does not tell.

    Args:
        level: of its heading.
    """
    lines = [f"{'#' * level} {entry.name}", "", f"`{_example(entry)}`", ""]
    lines += [f"In `{board.name.upper()}`, from {_origin(entry)}.", ""]
    text = _docstring(entry)
    if entry.is_bridge:
        return "\n".join([*lines, *_arguments(entry, {}), text.strip()]).rstrip() + "\n"
    before, explained, after = _sections(text)
    return "\n".join([*lines, before, "", *_arguments(entry, explained), after]).rstrip() + "\n"


def _example(entry: Entry) -> str:
    """``dict(type="SGD", lr=...)``, with the arguments that a config must give."""
    needed = [p.name for p in _parameters(entry) if p.default is p.empty and p.name not in entry.supplied]
    return "dict(" + ", ".join([f'type="{entry.name}"', *(f"{name}=..." for name in needed)]) + ")"


def _parameters(entry: Entry) -> list[inspect.Parameter]:
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [parameter for parameter in entry.signature().parameters.values() if parameter.kind in named]


def _origin(entry: Entry) -> str:
    """``the plugin `acme` (acme-pegs 0.3.0), acme_pegs.parts:Net``; a version only of what is not pegboard's own."""
    from pegboard.plugins import installed_plugins

    if entry.is_bridge:
        return f"`{entry.plugin}` {_version(entry.plugin)}: `{entry.address}`"
    plugin = next((plugin for plugin in installed_plugins() if plugin.name == entry.plugin), None)
    release = ""
    if plugin is not None and plugin.distribution not in ("", "pegboard"):
        release = f" ({plugin.distribution} {plugin.version})"
    return f"the plugin `{entry.plugin}`{release}: `{defined_at(entry)}`"


def defined_at(entry: Entry) -> str:
    """``"package.module:name"`` where it is defined, whether or not it is loaded, or registered by another address."""
    found = source.find(entry.address)
    return f"{found[0].name}:{found[1].name}" if found else entry.address


def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return ""


def _docstring(entry: Entry) -> str:
    text = source.docstring(entry.address)
    if not text and not isinstance(entry.target, str):
        text = inspect.getdoc(entry.target) or ""
    text = text or entry.summary or "It has no docstring."
    return re.sub(
        r":(?:class|func|meth|mod|attr):`~?([^`]+)`", r"``\1``", text
    )  # Sphinx's way to name what is elsewhere


def _sections(text: str) -> tuple[str, dict[str, str], str]:
    """What stands before ``Args:``, what that says of each argument, and the sections after it."""
    before: list[str] = []
    after: list[str] = []
    explained: dict[str, str] = {}
    heading = ""
    names: list[str] = []
    for line in text.splitlines():
        found = _SECTION.match(line)
        if found and not line.startswith(" "):
            heading = found[1]
            if heading != "Args":
                after += ["", f"**{heading}.** {found[2]}".rstrip(), *([""] if heading.startswith("Example") else [])]
        elif heading == "Args" and line.startswith("    "):
            names = _explain(line[4:], names, explained)
        elif heading == "Attributes" and (named := re.match(r"^    (\w+(?:, \w+)*): (.*)$", line)):
            after += [""] if after[-1].startswith("**") else []
            after.append(f"- `{named[1].replace(', ', '`, `')}`: {named[2]}")
        elif heading and heading != "Args" and (not line or line.startswith(" ")):
            # lines that are set in are code in Markdown, and in a list go on with its item
            kept = 0 if heading.startswith("Example") else 6 if heading == "Attributes" else 4
            after.append(line[kept:])
        else:
            heading = ""
            (after if explained or after else before).append(line)
    told = re.sub(r"\n{3,}", "\n\n", "\n".join(after)).strip()
    return "\n".join(before).strip(), explained, re.sub(r"(?m)^(\*\*\w+\.\*\*)\n(?=\S)", r"\1 ", told)


def _explain(line: str, names: list[str], explained: dict[str, str]) -> list[str]:
    """Take in a line below ``Args:``; the arguments that the next line may go on with."""
    found = re.match(r"^(\w+(?:, \w+)*): (.*)$", line)
    if found and not line.startswith(" "):
        names = found[1].split(", ")
        explained |= dict.fromkeys(names, found[2])
    else:
        for name in names:
            explained[name] += " " + line.strip()
    return names


def _arguments(entry: Entry, explained: Mapping[str, str]) -> list[str]:
    rows = []
    for parameter in _parameters(entry):
        notes = [explained.get(parameter.name, "")]
        if parameter.name in entry.supplied and "the run fills in" not in notes[0]:
            notes.append("The run fills it in.")
        if parameter.name in entry.parts:
            notes.append(f"Parts of `{entry.parts[parameter.name].name.upper()}`.")
        if parameter.name in entry.metrics:
            notes.append("A metric of the run.")
        kind = "" if parameter.annotation is parameter.empty else f"`{in_words(_type(entry, parameter))}`"
        default = "" if parameter.default is parameter.empty else f"`{_written(parameter.default)}`"
        rows.append((f"`{parameter.name}`", kind, default, " ".join(filter(None, notes))))
    return table(("argument", "type", "default", ""), rows) if rows else []


def _type(entry: Entry, parameter: inspect.Parameter) -> str:
    """The annotation; the name of a type of the part's own that stands for some words tells a reader nothing."""
    text = _written(parameter.annotation)
    found = source.find(entry.address) if text.isidentifier() else None
    return (found and source.choices(f"{found[0].name}:{text}")) or text


def _written(value: Any) -> str:
    """An annotation or default: source text where it was read from there, else as Python writes it."""
    if isinstance(value, str):
        return " ".join((value[1:-1] if "|" in value and value[0] == value[-1] == "'" else value).split())
    return value.__name__ if isinstance(value, type) else repr(value)


def in_words(annotation: str) -> str:
    """``int | None`` as ``int or None``: a bar ends a cell of a table."""
    return annotation.replace(" | ", " or ")


def table(header: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> list[str]:
    """A table in Markdown, with an empty line after it; empty columns are left out."""
    kept = [column for column in range(len(header)) if any(row[column] for row in rows)]
    lines = [[header[column] for column in kept], ["---"] * len(kept)]
    lines += [[row[column].replace("|", "\\|").replace("\n", " ") for column in kept] for row in rows]
    return [*("| " + " | ".join(line) + " |" for line in lines), ""]
