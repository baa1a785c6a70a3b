"""What the tests of configs share."""

import pytest

from pegboard.config.load import Config


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write files into an empty working directory and load ``c.py`` with overrides."""
    monkeypatch.chdir(tmp_path)

    def load(text, *overrides, **bases):
        for name, content in {"c": text, **bases}.items():
            (tmp_path / f"{name}.py").write_text(content, encoding="utf-8")
        return Config.load("c.py", overrides)

    return load
