"""The pages build into a site, where the extra [docs] is installed."""

import re
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY, Command

pytest.importorskip("mkdocs", reason="no mkdocs; it comes with the extra [docs]")
pytest.importorskip("material", reason="no mkdocs-material; it comes with the extra [docs]")


def build(config: Path, site: Path, python: Command) -> tuple[int, str]:
    done = python("-m", "mkdocs", "build", "-f", config, "-d", site, NO_MKDOCS_2_WARNING="1")
    return done.returncode, done.stderr


def test_it_builds_without_a_warning_and_fetches_nothing(tmp_path: Path, python: Command) -> None:
    status, said = build(REPOSITORY / "mkdocs.yml", tmp_path / "site", python)
    assert status == 0 and "WARNING" not in said, said
    for page in ("index.html", "tutorial/index.html", "zh/tutorial/index.html", "reference/hooks/index.html"):
        text = (tmp_path / "site" / page).read_text(encoding="utf-8")
        assert not re.findall(r'<(?:script|img|iframe)[^>]*src="https?:|<link rel="stylesheet" href="https?:', text)
        assert "pegboard" in text


def test_a_link_that_leads_nowhere_ends_it(tmp_path: Path, python: Command) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "index.md").write_text("[gone](gone.md)\n")
    (tmp_path / "mkdocs.yml").write_text("site_name: broken\nstrict: true\n")
    status, said = build(tmp_path / "mkdocs.yml", tmp_path / "site", python)
    assert status == 1 and "gone.md" in said
