"""Loading: bases, merging, what may stand in a config, and what every failure says."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pegboard.config.load import Config
from pegboard.errors import ConfigError

SEARCH_PATH = os.pathsep.join(sys.path)  # for a fresh interpreter that finds what this one finds


def refused(load, *arguments, **bases):
    with pytest.raises(ConfigError) as error:
        load(*arguments, **bases)
    (problem,) = error.value.problems
    return problem


# -- values ------------------------------------------------------------------------------------------------------


def test_values_are_the_run_keys_only(load):
    config = load(
        "import math\ndef half(n): return n // 2\n_n = 8\nsize = half(_n)\nmodel = dict(type='A', size=size)\n"
    )
    assert config.values == {"model": {"type": "A", "size": 4}}
    assert config.problems == [] and config.path == Path("c.py")


def test_loading_imports_no_torch(tmp_path):
    (tmp_path / "c.py").write_text("seed = 1\n", encoding="utf-8")
    code = "import sys; from pegboard.config.load import Config; Config.load('c.py'); sys.exit('torch' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, env={**os.environ, "PYTHONPATH": SEARCH_PATH}
        ).returncode
        == 0
    )


def test_the_folder_is_not_importable_and_the_file_knows_itself(load):
    config = load("import sys\nname = __name__\nwork_dir = __file__\nplugins = list(sys.path)\n")
    assert config.values["name"] == "config" and config.values["work_dir"] == "c.py"
    assert str(Path.cwd()) not in config.values["plugins"]


def test_tuples_stay_and_paths_become_text(load):
    assert load("from pathlib import Path\nplugins = (Path('a/b'),)\n").values == {"plugins": ("a/b",)}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("{1, 2}", "a set cannot be stored in a config"),
        ("b'x'", "a bytes cannot be stored in a config"),
        ("{1: 2}", "cannot be stored in a config"),
        ("print", "name it as 'builtins:print'"),
        ("dict", "name it as 'builtins:dict'"),
    ],
)
def test_what_is_no_data_is_a_problem_at_its_place(load, value, said):
    config = load(f"\nmodel = dict(type='A',\n    x={value})\n")
    (problem,) = config.problems
    assert said in problem.message and (problem.path, problem.place) == ("model.x", "c.py:3")
    assert config.values["model"]["x"] is None


def test_from_values_copies_and_runs_nothing():
    values = {"train": {"transforms": [1]}}
    config = Config.from_values(values, "last.pt")
    values["train"]["transforms"].append(2)
    assert config.values == {"train": {"transforms": [1]}} and config.path is None


def test_from_values_bounds_what_contains_itself():
    endless = []
    endless.append(endless)
    assert "contains itself" in Config.from_values({"plugins": endless}).problems[0].message


def test_nesting_is_bounded(load):
    (problem,) = load("plugins = []\nfor _ in range(150): plugins = [plugins]\n").problems
    assert "nested deeper than 100" in problem.message


@pytest.mark.parametrize("text", ["plugins = []\nplugins.append(plugins)\n", "train = {}\ntrain['x'] = train\n"])
def test_what_contains_itself_is_a_problem(load, text):
    assert load(text).problems


def test_very_deep_nesting_is_a_problem(load):
    assert load("plugins = []\nfor _ in range(5000): plugins = [plugins]\n").problems


# -- bases -------------------------------------------------------------------------------------------------------


def test_dicts_merge_and_the_rest_is_replaced(load):
    base = "model = dict(type='A', head=dict(a=1, b=2), sizes=[1, 2])\nseed = 1\nval = dict(batch_size=1)\n"
    config = load("_base_ = 'base.py'\nmodel = dict(head=dict(b=3), sizes=[4])\nval = None\n", base=base)
    assert config.values == {"model": {"type": "A", "head": {"a": 1, "b": 3}, "sizes": [4]}, "seed": 1, "val": None}


def test_delete_takes_nothing_from_the_base_and_leaves_no_mark(load):
    base = "model = dict(type='A', head=dict(a=1))\noptimizer = dict(type='SGD', momentum=1)\n"
    config = load(
        "_base_ = 'base.py'\nmodel = dict(head=dict(_delete_=True, b=2))\n"
        "optimizer = dict(_delete_=True, type='Adam')\nloss = dict(_delete_=True, parts=[dict(_delete_=True, a=1)])\n",
        base=base,
    )
    assert config.values == {
        "model": {"type": "A", "head": {"b": 2}},
        "optimizer": {"type": "Adam"},
        "loss": {"parts": [{"a": 1}]},
    }


def test_a_child_computes_with_its_base(load):
    config = load(
        "_base_ = ['base.py']\ntrain = dict(batch_size=2 * train['batch_size'] + _n)\n",
        base="_n = 1\ntrain = dict(batch_size=4)\n",
    )
    assert config.values["train"] == {"batch_size": 9}


def test_later_bases_merge_over_earlier_ones_and_see_nothing_of_them(load):
    one, two = "model = dict(a=1, b=1)\nseed = 1\n", "model = dict(b=2)\nname = str('seed' in globals())\n"
    assert load("_base_ = ['one.py', 'two.py']\n", one=one, two=two).values == {
        "model": {"a": 1, "b": 2},
        "seed": 1,
        "name": "False",
    }


def test_bases_of_bases_and_diamonds_run_afresh(load):
    top = "model = dict(n=[1])\n"
    left, right = "_base_ = 'top.py'\nmodel['n'].append(2)\n", "_base_ = 'top.py'\nmodel['m'] = len(model['n'])\n"
    assert load("_base_ = ('left.py', 'right.py')\n", top=top, left=left, right=right).values["model"]["m"] == 1


def test_bases_are_found_from_the_file_and_shown_from_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "configs/_base_").mkdir(parents=True)
    (tmp_path / "configs/c.py").write_text("_base_ = '_base_/b.py'\n", encoding="utf-8")
    (tmp_path / "configs/_base_/b.py").write_text("seed = 1\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert Config.load("configs/c.py").place("seed") == "configs/_base_/b.py:1"


def test_a_circle_names_its_files(load):
    problem = refused(load, "_base_ = 'b.py'\n", b="\n_base_ = 'c.py'\n")
    assert problem.place == "b.py:2" and "c.py -> b.py -> c.py" in problem.message


@pytest.mark.parametrize("names", [("loop.py", "loop.py"), ("one.py", "two.py")])
def test_a_circle_of_links_is_an_error_where_it_is_named(load, tmp_path, names):
    """A link to itself, and two that point to each other."""
    one, two = (tmp_path / name for name in names)
    one.symlink_to(two)
    if one != two:
        two.symlink_to(one)
    problem = refused(load, f"\n_base_ = '{one.name}'\n")
    assert problem.place == "c.py:2"
    assert one.name in str(problem) and "\n" not in str(problem)


def test_a_missing_base_is_an_error_where_it_is_named(load):
    problem = refused(load, "\n_base_ = 'cifra10.py'\n", cifar10="")
    assert problem.place == "c.py:2" and "did you mean 'cifar10.py'?" in problem.message


@pytest.mark.parametrize("base", ["3", "[1]", "'a' + 'b'", "name()"])
def test_a_base_is_written_out(load, base):
    assert refused(load, f"_base_ = {base}\n").place == "c.py:1"


@pytest.mark.parametrize("base", ["def two(): return 2\n", "from math import log2\ndef two(): return int(log2(4))\n"])
def test_a_function_of_a_base_is_in_scope(load, base):
    assert load("_base_ = 'base.py'\nseed = two()\n", base=base).values == {"seed": 2}


def test_a_helper_that_cannot_be_copied_harms_nobody(load):
    assert load("_base_ = 'base.py'\nseed = 1\n", base="_g = (i for i in [1])\n").values == {"seed": 1}


def test_an_array_as_helper_harms_nobody(load):
    assert load("_base_ = 'base.py'\nseed = 1\n", base="import numpy\n_x = numpy.zeros(2)\n").values == {"seed": 1}


def test_delete_leaves_no_mark_in_a_tuple(load):
    assert load("plugins = (dict(_delete_=True, a=1),)\n").values == {"plugins": ({"a": 1},)}


# -- names that nothing uses -------------------------------------------------------------------------------------


def test_a_typo_is_a_problem_at_its_place(load):
    (problem,) = load("\noptimzer = dict(type='SGD')\n").problems
    assert (problem.path, problem.place) == ("optimzer", "c.py:2")
    assert problem.message == "is no run key, and nothing uses it; did you mean 'optimizer'?"


def test_a_helper_that_the_file_or_a_child_uses_is_fine(load):
    assert load("_base_ = 'base.py'\nname = root\n", base="root = 'a'\nn = 3\nseed = n\n").problems == []


def test_a_childs_name_does_not_reach_back_into_its_base(load):
    config = load("_base_ = 'base.py'\nroot = 'b'\n", base="root = 'a'\nname = root\n")
    assert config.values == {"name": "a"}
    assert [problem.place for problem in config.problems] == ["c.py:2"]


def test_a_helper_of_a_diamond_is_used_if_one_side_uses_it(load):
    left, right = "_base_ = 'top.py'\nseed = n\n", "_base_ = 'top.py'\nthreads = 1\n"
    assert load("_base_ = ['left.py', 'right.py']\n", top="n = 3\n", left=left, right=right).problems == []


def test_a_loop_variable_is_no_typo(load):
    assert load("plugins = []\nfor i in range(2):\n    plugins.append('a')\n").problems == []


def test_an_item_assigned_to_a_typo_is_no_use_of_it(load):
    assert load("optimzer = dict()\noptimzer['lr'] = 1\n").problems


def test_an_assignment_in_a_match_counts(load):
    assert load("match 1:\n    case 1:\n        seed = 3\n").values == {"seed": 3}


# -- failures ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("seed = 1\nmodel = dict(\n", 2, "never closed"),
        ("seed = 1\nif seed:\n    seed = 1 / 0\n", 3, "ZeroDivisionError: division by zero"),
        ("def f():\n    raise KeyError('x')\n\nf()\n", 2, "KeyError: 'x'"),
        ("raise SystemExit(3)\n", 1, "SystemExit: 3"),
        ("def f(): f()\nf()\n", 1, "RecursionError"),
        ("\nimport json\njson.loads('{')\n", 3, "JSONDecodeError"),
        ("\nimport no_such_module\n", 2, "ModuleNotFoundError"),
        ("seed = 1\n\0", 1, "null bytes"),
    ],
)
def test_a_failure_is_one_problem_at_the_configs_own_line(load, text, line, said):
    problem = refused(load, text)
    assert problem.place == f"c.py:{line}" and said in problem.message


def test_a_failure_in_a_base_is_at_the_bases_line(load):
    assert refused(load, "_base_ = 'base.py'\n", base="\nseed = 1 / 0\n").place == "base.py:2"


def test_a_failure_keeps_its_cause(load):
    with pytest.raises(ConfigError) as error:
        load("seed = 1 / 0\n")
    assert isinstance(error.value.__cause__, ZeroDivisionError)


def test_an_interrupt_goes_through(load):
    with pytest.raises(KeyboardInterrupt):
        load("raise KeyboardInterrupt\n")


def test_what_only_compiling_refuses_is_a_problem(load):
    assert refused(load, "seed = 1\nreturn 3\n").place == "c.py:2"


def test_a_file_that_is_missing_a_folder_or_no_text_is_said(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("lenet.py").write_text("", encoding="utf-8")
    Path("latin.py").write_bytes(b"name = '\xff'\n")
    Path("folder.py").mkdir()
    said = {
        "lente.py": "did you mean 'lenet.py'?",
        "folder.py": "is a directory",
        "latin.py": "is not UTF-8",
        "a\0b.py": "cannot be read",
    }
    for name, message in said.items():
        with pytest.raises(ConfigError) as error:
            Config.load(name)
        assert message in str(error.value)
