"""Which line set which value."""

from pegboard.config.load import Config


def test_each_key_and_item_has_its_own_line(load):
    config = load(
        "train = dict(\n    batch_size=4,\n    transforms=[\n        dict(type='A',\n            size=3),\n    ],\n)\n"
    )
    places = {
        "train": 1,
        "train.batch_size": 2,
        "train.transforms": 3,
        "train.transforms.0": 4,
        "train.transforms.0.size": 5,
        "train.transforms.0.absent": 4,
    }
    assert {path: config.place(path) for path in places} == {path: f"c.py:{line}" for path, line in places.items()}


def test_braces_tell_lines_too(load):
    assert (
        load("optimizer = {\n    'lr': 1,\n    'groups': {\n        'a': 2},\n}\n").place("optimizer.groups.a")
        == "c.py:4"
    )


def test_a_referenced_name_keeps_the_lines_where_it_was_written(load):
    config = load("_common = [\n    dict(type='A'),\n]\ntrain = dict(\n    transforms=_common)\n")
    assert config.place("train.transforms.0.type") == "c.py:2"


def test_a_spread_dict_keeps_the_lines_where_it_was_written(load):
    config = load(
        "_common = dict(\n    a=1)\noptimizer = dict(\n    **_common,\n    b=2)\nmodel = {**_common,\n 'b': 2}\n"
    )
    assert config.place("optimizer.a") == config.place("model.a") == "c.py:2"
    assert config.place("optimizer.b") == "c.py:5"


def test_an_item_assigned_in_a_child_has_its_own_line(load):
    config = load("_base_ = 'base.py'\ntrain['batch_size'] = 64\n", base="train = dict(batch_size=4, shuffle=True)\n")
    assert config.values["train"] == {"batch_size": 64, "shuffle": True}
    assert (config.place("train.batch_size"), config.place("train.shuffle")) == ("c.py:2", "base.py:1")


def test_what_is_computed_has_the_line_of_its_expression(load):
    config = load("threads, seed = 1, 2\nplugins = [\n    str(i) for i in range(2)]\nif seed:\n    name = 'a' * 3\n")
    assert config.place("seed") == "c.py:1"
    assert config.place("plugins.1") == "c.py:2"
    assert config.place("name") == "c.py:5"


def test_a_merged_dict_has_the_lines_of_both_files(load):
    config = load(
        "_base_ = 'base.py'\n\nmodel = dict(size=2)\n", base="model = dict(type='A',\n    head=dict(\n        a=1))\n"
    )
    assert config.place("model.size") == "c.py:3"
    assert config.place("model.type") == "base.py:1"
    assert config.place("model.head.a") == "base.py:3"


def test_a_key_inherited_from_another_type_says_so(load):
    config = load(
        "_base_ = 'base.py'\noptimizer = dict(type='Adam', lr=1)\n",
        base="optimizer = dict(\n    type='SGD',\n    momentum=0.9)\n",
    )
    assert config.inherited_note("optimizer.momentum").startswith(" (inherited from base.py:")
    assert "where type was 'SGD'; _delete_=True drops what was inherited)" in config.inherited_note(
        "optimizer.momentum"
    )
    assert config.inherited_note("optimizer.lr") == config.inherited_note("optimizer.type") == ""


def test_a_problem_carries_the_place(load):
    assert str(load("seed = -1\n").problem("seed", "must be at least 0")) == "c.py:1: seed: must be at least 0"


def test_values_from_elsewhere_have_one_place():
    assert Config.from_values({"train": {"batch_size": 4}}, "last.pt").place("train.batch_size") == "last.pt"


def test_a_branch_that_does_not_run_sets_nothing(load):
    assert load("seed = 1\nif False:\n    seed = 2\n").place("seed") == "c.py:1"


def test_an_item_set_in_a_branch_that_does_not_run_keeps_its_line(load):
    text = "train = dict(batch_size=1)\nif False:\n    train['batch_size'] = 2\n"
    assert load(text).place("train.batch_size") == "c.py:1"


def test_inserted_items_have_the_line_that_inserted_them(load):
    config = load("_t = [\n    dict(type='A')]\n_t.insert(0,\n    dict(type='B'))\ntrain = dict(transforms=_t)\n")
    assert config.place("train.transforms.0.type") == "c.py:3"
    assert config.place("train.transforms.1.type") == "c.py:2"


def test_items_after_a_starred_one_have_their_own_line(load):
    assert load("_a = ['x']\nplugins = [*_a,\n    'y']\n").place("plugins.1") == "c.py:3"


def test_a_key_with_dots_has_its_own_line(load):
    assert load("optimizer = dict(groups={\n    'features.0': 1})\n").place("optimizer.groups.features.0") == "c.py:2"


def test_each_statement_of_a_branch_and_a_loop_has_its_own_line(load):
    config = load(
        "_t = []\n"
        "train = dict(batch_size=1, shuffle=False)\n"
        "for _size in (3, 5):\n"
        "    if _size > 3:\n"
        "        _t.append(dict(type='B', size=_size))\n"
        "        train['batch_size'] = _size\n"
        "    else:\n"
        "        _t.append(dict(type='A'))\n"
        "        train['shuffle'] = True\n"
        "train['transforms'] = _t\n"
    )
    assert [part["type"] for part in config.values["train"]["transforms"]] == ["A", "B"]
    places = {"batch_size": 6, "shuffle": 9, "transforms": 10, "transforms.0": 8, "transforms.1": 5}
    assert {path: config.place(f"train.{path}") for path in places} == {p: f"c.py:{n}" for p, n in places.items()}


def test_what_a_function_changes_came_from_its_call(load):
    config = load(
        "def _smaller(part):\n    part['lr'] /= 10\n\noptimizer = dict(type='A', lr=1)\n_smaller(optimizer)\n"
    )
    assert (config.place("optimizer.lr"), config.place("optimizer.type")) == ("c.py:5", "c.py:4")


def test_what_is_taken_out_or_changes_its_place_keeps_its_line(load):
    config = load("plugins = ['a',\n    'b',\n    'c']\ndel plugins[0]\nplugins.reverse()\n")
    assert config.values["plugins"] == ["c", "b"]
    assert (config.place("plugins.0"), config.place("plugins.1")) == ("c.py:3", "c.py:2")


def test_a_name_that_is_changed_after_it_was_used_counts_where_it_lies(load):
    config = load("_t = [dict(type='A')]\ntrain = dict(\n    transforms=_t)\n_t.append(dict(type='B'))\n")
    assert config.place("train.transforms.1.type") == "c.py:4"


def test_several_starred_lists(load):
    config = load("_a = ['x',\n    'y']\nplugins = [*_a,\n    *['p',\n    'q'],\n    'z']\n")
    assert [config.place(f"plugins.{i}") for i in range(5)] == [f"c.py:{line}" for line in (1, 2, 4, 5, 6)]


def test_an_item_of_a_base_that_a_branch_of_the_child_sets(load):
    text = "_base_ = 'base.py'\nif True:\n    train['batch_size'] = 2\nelse:\n    train['batch_size'] = 3\n"
    assert load(text, base="train = dict(batch_size=1)\n").place("train.batch_size") == "c.py:3"


def test_a_loop_of_many_rounds_takes_no_time(load):
    config = load("_n = []\nfor _i in range(100_000):\n    _n.append(_i)\nseed = len(_n)\n")
    assert config.values["seed"] == 100_000
