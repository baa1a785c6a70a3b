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
