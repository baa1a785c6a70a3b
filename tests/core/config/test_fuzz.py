"""Whatever stands in a config or an override, the answer is a list of problems: never a traceback, never a hang."""

import copy
import enum
import sys
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pegboard import Config, ConfigError
from pegboard.config import check, to_json, to_python
from pegboard.config.dump import from_python
from pegboard.config.keys import RUN_KEYS
from pegboard.errors import Problem


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    __slots__ = ()


SOUND: dict[str, Any] = {
    "train": {
        "dataset": {"type": "CIFAR10", "root": "data", "split": "train"},
        "transforms": [{"type": "RandomCrop", "size": 32, "padding": 4}, {"type": "ToFloat"}, {"type": "Normalize"}],
        "batch_size": 8,
        "shuffle": True,
        "target_transform": [0, 1],
    },
    "val": {"dataset": {"type": "Subset", "dataset": {"type": "DrawnShapes", "count": 9}}, "transforms": []},
    "model": {"type": "torchvision:resnet18", "weights": None},
    "init": [{"type": "xavier_normal", "layer": "Conv2d"}],
    "pretrained": {"path": "w.pt", "rename": {"^a": "b"}, "skip": ["fc*"], "min_match": 0.5},
    "freeze": ["conv*"],
    "loss": {"ce": {"type": "CrossEntropyLoss", "loss_weight": 1.0}, "kl": {"type": "KLDivLoss"}},
    "metrics": {"top1": {"type": "Accuracy"}, "f1": {"type": "MulticlassF1Score"}},
    "optimizer": {"type": "SGD", "lr": 0.1, "groups": [{"match": "fc*", "lr_mult": 10}]},
    "scheduler": [{"type": "StepLR", "unit": "epoch", "step_size": 3}],
    "phases": [{"train_for": "1 epoch", "freeze": ["a"]}, {"train_for": "2 epochs", "lr": 0.1}],
    "val_every": "1 epoch",
    "checkpoint": {"every": "5 iters", "keep": 2},
    "clip_grad": {"norm": 1.0},
    "hooks": {"progress": None, "stop": {"type": "EarlyStop", "metric": "val/top1", "better": "higher"}},
    "compile": {"mode": "default"},
    "device": "cpu",
    "seed": 3,
}

awkward = st.sampled_from(
    [
        10**4000,
        -(10**400),
        2**63,
        1e308,
        float("nan"),
        float("inf"),
        -0.0,
        "\ud800",
        "\x00",
        "\x1b[31m",
        "\u202e",
        "",
        ".",
        ":",
        "a:b",
        "torch:SGD",
        ":SGD",
        "SGD:",
        "os:system",
        "a.b.c:d",
        "../x:y",
        "x" * 5000,
        "type",
        "1 epoch",
        "0 epochs",
        "99999999999999999999 iters",
        "{",
        "%s",
        "cuda:99999",
        "*",
        "[",
        "(?P<a",
        b"bytes",
        {1},
        object(),
        print,
        int,
        lambda: 0,
        1j,
        Fraction(1, 3),
        Colour.RED,
        Text("SGD"),
        np.float64(0.5),
        np.zeros(2),
        Path("a/b"),
        range(3),
        {1: 2},
        {"type": None},
        {"type": {"type": "SGD"}},
        {"type": ""},
        {"type": "\ud800"},
        ...,
        NotImplemented,
        Problem("x"),
        {"_delete_": True},
        {"": ""},
        {"a.b": 1},
        {"type": "SGD", "params": 1},
        {"type": "Concat", "datasets": [[]]},
    ]
)
names = st.sampled_from(
    [*RUN_KEYS, "type", "dataset", "transforms", "unit", "monitor", "match", "schedulers", "metric", "lr"]
)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=12) | awkward
data = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(names | st.text(st.characters(), max_size=6), inner, max_size=4)
    ),
    max_leaves=8,
)


def circle(value: Any) -> Any:
    """The value in a list and a dict that hold each other."""
    outer: dict[str, Any] = {"type": "SGD", "value": value}
    outer["self"] = [outer]
    return outer


def deep(value: Any) -> Any:
    for _ in range(150):
        value = [value]
    return value


def shared(value: Any) -> Any:
    """2**40 values, as seen from above."""
    for _ in range(40):
        value = [value, value]
    return value


odd = data | data.map(circle) | data.map(deep)  # what hypothesis itself could not show stands further below


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inside for place in places(part, (*path, key)))]


PLACES = places(SOUND)[1:]


@st.composite
def configs(draw: st.DrawFn) -> dict[str, Any]:
    """A sound config with some values replaced, added or taken away; or nothing but odd values."""
    if draw(st.integers(0, 4)) == 0:
        return draw(st.dictionaries(names | st.text(st.characters(), max_size=8), odd, max_size=5))
    values = copy.deepcopy(SOUND)
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(PLACES))
        here: Any = values
        for key in path[:-1]:
            try:
                here = here[key]
            except (LookupError, TypeError):
                here = None
        kind = draw(st.integers(0, 5))
        if isinstance(here, dict) and kind == 0:
            here.pop(path[-1], None)
        elif isinstance(here, dict) and kind == 1:
            here[draw(names | st.text(st.characters(), max_size=6))] = draw(odd)
        elif isinstance(here, dict) or (isinstance(here, list) and isinstance(path[-1], int) and path[-1] < len(here)):
            here[path[-1]] = draw(odd)
    return values


def check_it(values: dict[str, Any]) -> None:
    config = Config.from_values(values)
    for purpose in ("train", "model"):
        problems = check(config, purpose)  # type: ignore[arg-type]
        assert isinstance(problems, list) and all(isinstance(problem, Problem) for problem in problems)
        for problem in problems:
            assert str(problem) and len(str(problem)) < 100_000
    known = {name: value for name, value in config.values.items() if name in RUN_KEYS}  # a run with others never begins
    assert repr(from_python(to_python(known))) == repr(known)
    to_json(config.values)


texts = st.text(st.characters(), max_size=30)
tricky = st.sampled_from(["(" * 300, "[" * 5000, "9" * 5000, "dict(a=dict(b=1))", "dict(**1)", "{**a}"])
options = st.one_of(
    texts,
    st.builds(
        lambda path, value: f"{path}={value}",
        st.sampled_from([".".join(map(str, place)) for place in PLACES]) | texts,
        data.map(repr) | texts | tricky,
    ),
)


def override_it(given_options: list[str]) -> None:
    config = Config.from_values(copy.deepcopy(SOUND))
    try:
        config.override(given_options)
    except ConfigError as error:
        assert error.problems and all(map(str, error.problems))
        return
    assert isinstance(check(config), list)


SOURCE = to_python(SOUND)
lines = st.integers(0, len(SOURCE))


def load_it(begin: int, end: int, between: str, given_options: list[str]) -> None:
    """A file, a piece of which is replaced; and options on the command line."""
    text = SOURCE[: min(begin, end)] + between + SOURCE[max(begin, end) :]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "config.py")
        path.write_bytes(text.encode("utf-8", "surrogatepass"))
        try:
            config = Config.load(path, given_options)
        except ConfigError as error:
            assert error.problems
            return
        assert isinstance(check(config), list)


pieces = st.sampled_from(
    [
        "",
        "\n",
        ",",
        "(",
        ")",
        "=",
        "dict(",
        "'",
        "\\",
        "\x00",
        "\ud800",
        "_base_ = 3\n",
        "del train\n",
        "train = train\n",
        "for i in (1,): pass\n",
        "a = []\na.append(a)\nmodel = a\n",
        "raise X\n",
        "1/0\n",
        "seed = 10**5000\n",
        "import os as train\n",
        "def model(): pass\n",
        "model = lambda: 0\n",
    ]
)
calm = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.large_base_example]
few = settings(max_examples=50, deadline=None, suppress_health_check=calm)
many = settings(max_examples=4000, deadline=None, suppress_health_check=calm)


@few
@given(configs())
def test_any_values_give_a_list_of_problems(values: dict[str, Any]) -> None:
    check_it(values)


@few
@given(st.lists(options, min_size=1, max_size=3))
def test_any_override_gives_a_list_of_problems(given_options: list[str]) -> None:
    override_it(given_options)


@few
@given(lines, lines, pieces, st.lists(options, max_size=1))
def test_any_text_in_a_file_gives_a_list_of_problems(begin: int, end: int, between: str, more: list[str]) -> None:
    load_it(begin, end, between, more)


@pytest.mark.slow
@many
@given(configs())
def test_thousands_of_values_give_lists_of_problems(values: dict[str, Any]) -> None:
    check_it(values)


@pytest.mark.slow
@many
@given(st.lists(options, min_size=1, max_size=3))
def test_thousands_of_overrides_give_lists_of_problems(given_options: list[str]) -> None:
    override_it(given_options)


@pytest.mark.slow
@many
@given(lines, lines, pieces, st.lists(options, max_size=1))
def test_thousands_of_files_give_lists_of_problems(begin: int, end: int, between: str, more: list[str]) -> None:
    load_it(begin, end, between, more)


@pytest.mark.parametrize("value", [circle(1), deep(1), shared(1), 10**5000, object()], ids=range(5))
def test_the_worst_are_each_one_problem(value: Any) -> None:
    config = Config.from_values({**SOUND, "model": value})
    assert [problem.path.split(".")[0] for problem in config.problems] == ["model"]


def test_a_check_that_raises_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """The specimen: what this file is for."""
    checker = sys.modules["pegboard.config.check"]._Checker  # the package has a function of that name
    monkeypatch.setattr(checker, "device", lambda self, value, path: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        check_it(copy.deepcopy(SOUND))
