"""Whether what a page says of a config in passing, between backticks, is so."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from pegboard import Config
from pegboard.cli import own_commands
from pegboard.config import keys
from pegboard.config.check import check
from pegboard.documents.reference import topics
from pegboard.registry import BOARDS

SOUND = """
train = dict(dataset=dict(type="DrawnShapes", count=64), transforms=[dict(type="ToFloat")], batch_size=32)
val = dict(dataset=dict(type="DrawnShapes", count=64, split="val"), transforms=[dict(type="ToFloat")])
model = dict(type="LeNet")
loss = dict(type="CrossEntropyLoss")
metrics = dict(top1=dict(type="Accuracy"))
optimizer = dict(type="SGD", lr=0.05)
scheduler = dict(type="LinearLR", unit="iter")
train_for = "10 epochs"
"""
# Where a key stands that is no run key.
PLACES = {"train": keys.LOADER_KEYS, "optimizer": keys.GROUPING_KEYS, "scheduler": keys.SCHEDULER_KEYS}


def settings(text: str) -> Iterator[tuple[str, str]]:
    """``key`` and ``value`` of each `` `key=value` ``; three dots stand for more of the same."""
    for code in re.findall(r"`([a-z_]+=[^`]+)`", text):
        call = ast.parse(f"dict({re.sub(r',? *[.]{3},? *', '', code)})", mode="eval").body
        assert isinstance(call, ast.Call)
        for keyword in call.keywords:
            yield str(keyword.arg), ast.unparse(keyword.value)


def wrong_in(texts: Iterable[str], folder: Path) -> list[str]:
    """What `pegboard check` says of the settings, and every name that nothing has."""
    parts = {entry.name for board in BOARDS.values() for entry in board.list()}
    known = {*topics(), *parts, *own_commands(), *(key for table in PLACES.values() for key in table)}
    known |= {"_base_", "_delete_", "training_step"}
    wrong: list[str] = []
    for text in texts:
        for key, value in settings(text):
            wrong += _wrong_setting(key, value, folder)
        wrong += [f"{name}: nobody has it" for name in re.findall(r"`@?([A-Za-z_]+)`", text) if name not in known]
    return wrong


def _wrong_setting(key: str, value: str, folder: Path) -> list[str]:
    """What is wrong with a config that adds the setting to a sound one."""
    line = f"{key} = {value}\n"
    if key not in keys.RUN_KEYS:
        place = next((place for place, known in PLACES.items() if key in known), None)
        if place is None:
            return [f"{key}={value}: there is no such key"]
        line = f"{place} = dict({key}={value})\n"
    given_up = {"phases": ("train_for =", "scheduler ="), "optimizer": ("scheduler =",)}.get(key)  # they'd have to fit
    base = "".join(f"{row}\n" for row in SOUND.splitlines() if not (given_up and row.startswith(given_up)))
    (folder / "base.py").write_text(base, encoding="utf-8")
    (folder / "config.py").write_text(f'_base_ = ["base.py"]\n{line}', encoding="utf-8")
    return [f"{key}={value}: {problem}" for problem in check(Config.load(folder / "config.py"))]
