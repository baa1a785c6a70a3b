"""The blocks of code on a page, in their order."""

import re
from pathlib import Path
from typing import NamedTuple

from tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"
_BLOCK = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class Block(NamedTuple):
    """``language``, the file that it is to be written to (empty if none is named), and the text."""

    language: str
    file: str
    text: str

    @property
    def commands(self) -> list[str]:
        """The lines after ``$`` of a console."""
        return [line[2:] for line in self.text.splitlines() if self.language == "console" and line.startswith("$ ")]


def blocks(page: Path) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def prose(text: str) -> str:
    """The text without its blocks."""
    return re.sub(r"^```\n.*?^```$", "", _BLOCK.sub("", text), flags=re.MULTILINE | re.DOTALL)


def tables(page: Path) -> list[list[list[str]]]:
    """The rows of each table, without its head, as lists of cells."""
    found = re.findall(r"(?:^\|.*\|\n)+", prose(page.read_text(encoding="utf-8")), re.MULTILINE)
    split = [[[cell.strip() for cell in line[1:-1].split(" | ")] for line in table.splitlines()] for table in found]
    return [rows[2:] for rows in split]


def left_behind() -> set[str]:
    """What the README says that a run leaves in its folder."""
    [rows] = [rows for rows in tables(REPOSITORY / "README.md") if "report.html" in rows[0][0]]
    return {name.rstrip("/") for row in rows for name in re.findall(r"`([\w./]+)`", row[0])}
