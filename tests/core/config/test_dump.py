"""Configs written down: Python that loads to equal values, strict JSON, and rows with origins."""

import json
import math
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pegboard.config.dump import from_python, to_data, to_json, to_python, with_origins
from pegboard.config.keys import RUN_KEYS
from pegboard.config.load import Config

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
ascii_keys = st.text(st.characters(max_codepoint=127), max_size=8).filter(
    lambda key: key not in ("__debug__", "_delete_")
)
data = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(ascii_keys, inner, max_size=4)
    ),
    max_leaves=12,
)
configs = st.dictionaries(st.sampled_from(sorted(RUN_KEYS)), data, max_size=4)


@given(configs)
@example({"name": "a\"b'c\\d\n\ud800é\u2028", "optimizer": {"class": 1, "a b": 2, "": 3, "self": 4}})
@example({"train": {"x": math.inf, "y": -math.inf, "z": math.nan, "e": ((), [], {}, (1,))}})
def test_what_is_written_runs_to_the_same_values(values):
    namespace = {}
    exec(to_python(values), namespace)
    del namespace["__builtins__"]
    assert repr(namespace) == repr(values)  # repr: nan is not equal to itself


@given(configs)
@example({"train": {"x": math.inf, "y": -math.inf, "z": math.nan, "e": ((), [], {}, (1,)), "a b": {"class": -1}}})
def test_what_is_written_is_read_back_without_running_it(values):
    assert repr(from_python(to_python(values))) == repr(values)


@pytest.mark.parametrize(
    "text",
    ["import os", "x = open('y', 'w')", "x = [i for i in (1,)]", "x = dict(**{})", "x = float('y')", "x =", "x = y",
     "x.y = 1", "print()", "x = " + "(" * 500, "x = {**{}}", "x = float(*[1])", "x = 1 if 1 else 2"],
)  # fmt: skip
def test_what_was_not_written_so_is_refused(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError):
        from_python(text)
    assert not list(tmp_path.iterdir())


@given(configs)
def test_what_is_written_loads_to_the_same_config(values):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "c.py")
        path.write_text(to_python(values), encoding="utf-8")
        config = Config.load(path)
    assert repr(config.values) == repr(values)
    assert config.problems == []


def test_a_long_value_is_broken_and_a_short_one_is_not():
    values = {
        "seed": 3,
        "train": {"dataset": {"type": "CIFAR10", "root": "data/" + "x" * 40}, "transforms": [{"type": "ToFloat"}]},
        "optimizer": {"type": "SGD", "a-b": 1},
    }
    assert to_python(values) == (
        "seed = 3\n"
        "train = dict(\n"
        f'    dataset=dict(type="CIFAR10", root="data/{"x" * 40}"),\n'
        '    transforms=[dict(type="ToFloat")],\n'
        ")\n"
        "optimizer = {'type': \"SGD\", 'a-b': 1}\n"
    )


@given(configs)
def test_json_is_strict(values):
    def refuse(constant):
        raise ValueError(constant)

    assert json.loads(to_json(values), parse_constant=refuse).keys() == values.keys()


def test_json_writes_tuples_as_lists_and_what_is_not_finite_as_text():
    assert json.loads(to_json({"a": (1, math.inf, -math.inf, math.nan)})) == {"a": [1, "inf", "-inf", "nan"]}


def test_data_is_a_copy():
    values = {"a": [{"b": (1, 2)}]}
    copied = to_data(values)
    assert copied == values and copied["a"] is not values["a"] and copied["a"][0] is not values["a"][0]


def test_every_leaf_has_a_row_with_its_place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("c.py").write_text(
        "seed = 3\ntrain = dict(\n    root='a',\n    transforms=[dict(type='A')])\n", encoding="utf-8"
    )
    assert list(with_origins(Config.load("c.py", ["train.root=b"]))) == [
        ("seed", "3", "c.py:1"),
        ("train.root", '"b"', "--cfg-options"),
        ("train.transforms.0.type", '"A"', "c.py:4"),
    ]


def test_a_key_that_python_would_normalise_is_quoted():
    namespace = {}
    exec(to_python({"model": {"\ufb01": 1}}), namespace)
    assert namespace["model"] == {"\ufb01": 1}


def test_a_key_that_cannot_be_assigned_is_quoted():
    compile(to_python({"model": {"__debug__": 1}}), "config", "exec")


def test_a_number_of_numpy_is_written_as_a_number(tmp_path):
    path = tmp_path / "c.py"
    path.write_text("import numpy\nseed = numpy.float64(0.5)\n", encoding="utf-8")
    assert to_python(Config.load(path).values) == "seed = 0.5\n"


def test_an_enum_of_integers_is_written_as_a_number(tmp_path):
    path = tmp_path / "c.py"
    path.write_text("import enum\nclass Level(enum.IntEnum):\n    A = 1\nseed = Level.A\n", encoding="utf-8")
    assert to_python(Config.load(path).values) == "seed = 1\n"
