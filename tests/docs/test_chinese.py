"""What is written in Chinese says what the English says: neither goes ahead of the other."""

import re
from collections import Counter
from itertools import zip_longest
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY
from tests.docs.blocks import DOCS, blocks, prose

PAGES = [(DOCS / page.relative_to(DOCS / "zh"), page) for page in sorted((DOCS / "zh").glob("*.md"))]
PAGES += [(REPOSITORY / "README.md", REPOSITORY / "README.zh.md")]


def facts(text: str) -> list[Counter[str]]:
    """Of each section: its level, how many items, rows and pictures it has, its code, and its figures."""
    found = []
    for section in re.split(r"^(?=#+ )", prose(text), flags=re.MULTILINE):
        code = Counter(f"`{' '.join(words.split())}`" for words in re.findall(r"`([^`]+)`", section))
        words = re.sub(r"`[^`]+`|\]\([^)]*\)", " ", section)
        numbers = Counter(re.findall(r"\d+(?:[.,]\d+)*", words))
        shape = {"level": len(section) - len(section.lstrip("#"))}
        shape |= {"items": len(re.findall(r"^- ", section, re.MULTILINE))}
        shape |= {"rows": len(re.findall(r"^\|", section, re.MULTILINE)), "pictures": section.count("![")}
        found.append(Counter(set(code)) + Counter(set(numbers)) + Counter(shape))
    return found


def differences(english: str, chinese: str) -> list[str]:
    found = []
    for number, (one, other) in enumerate(zip_longest(facts(english), facts(chinese), fillvalue=Counter[str]())):
        if missing := one - other:
            found.append(f"section {number}: the Chinese lacks {dict(missing)}")
        if more := other - one:
            found.append(f"section {number}: the English lacks {dict(more)}")
    return found


def without_comments(code: str) -> str:
    """A comment may be in the reader's language."""
    return re.sub(r"  # .*", "", code)


@pytest.mark.parametrize(("english", "chinese"), PAGES, ids=[one.name for one, _ in PAGES])
def test_both_say_the_same(english: Path, chinese: Path) -> None:
    assert not (found := differences(english.read_text(encoding="utf-8"), chinese.read_text(encoding="utf-8"))), found


def test_the_readme_has_the_same_code() -> None:
    one, other = ([without_comments(block.text) for block in blocks(page)] for page in PAGES[-1])
    assert one == other


def test_every_page_of_the_guide_is_there() -> None:
    assert {page.name for page in DOCS.glob("*.md")} == {page.name for page in (DOCS / "zh").glob("*.md")}


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("## 6. ", "### 6. ", "level"),
        ("`--stratify`", "分层", "`--stratify`"),
        ("2.30", "2.03", "2.03"),
        ("- **测试集", "**测试集", "items"),
        ("![噪声", "[噪声", "pictures"),
        ("## 8. 学习率调度", "", "section"),
    ],
)
def test_a_page_that_has_fallen_behind_is_found(old: str, new: str, words: str) -> None:
    english, chinese = ((DOCS / part / "tutorial.md").read_text(encoding="utf-8") for part in (".", "zh"))
    assert old in chinese
    assert any(words in found for found in differences(english, chinese.replace(old, new)))
