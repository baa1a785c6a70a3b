"""``--cfg-options KEY=VALUE``: how values are read, where they go, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.config.load import Config
from pegboard.config.overrides import parse
from pegboard.errors import ConfigError


def refused(load, *arguments, **bases):
    with pytest.raises(ConfigError) as error:
        load(*arguments, **bases)
    return error.value.problems


# -- values ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0.1", 0.1),
        ("-3", -3),
        ("None", None),
        ("True", True),
        ("'none'", "none"),
        ("[1, (2, 'a')]", [1, (2, "a")]),
        ("{'a': 1}", {"a": 1}),
        ("dict(type='SGD', groups=[dict(lr=.1)])", {"type": "SGD", "groups": [{"lr": 0.1}]}),
        ("Adam", "Adam"),
        ("/data/x", "/data/x"),
        ("2 epochs", "2 epochs"),
        ("a=b", "a=b"),
        ("", ""),
        ("__import__('os').getcwd()", "__import__('os').getcwd()"),  # read, never run
    ],
)
def test_a_value_is_a_literal_or_a_string(text, value):
    (override,) = parse([f"name={text}"])
    assert override.value == value and type(override.value) is type(value)


@pytest.mark.parametrize(("text", "right"), [("none", "None"), ("null", "None"), ("true", "True"), ("false", "False")])
def test_an_almost_python_constant_is_refused(text, right):
    with pytest.raises(ConfigError, match=f"write {right}"):
        parse([f"seed={text}"])


def test_all_malformed_options_are_said_at_once():
    with pytest.raises(ConfigError) as error:
        parse(["seed", "=3", "a..b=1", ".a=1", "a.=1", "seed=none", "fine=1"])
    assert len(error.value.problems) == 6
    assert {problem.place for problem in error.value.problems} == {"--cfg-options"}


# -- top-level names ---------------------------------------------------------------------------------------------


def test_what_is_computed_from_a_name_follows_its_override(load):
    config = load("root = 'a'\ntrain = dict(dataset=dict(root=root + '/x'))\n", "root=b")
    assert config.values["train"]["dataset"]["root"] == "b/x"


def test_a_name_of_a_base_is_replaced_in_the_base(load):
    config = load("_base_ = 'base.py'\n", "root=b", base="root = 'a'\nname = root\n")
    assert config.values["name"] == "b"


def test_a_dict_is_replaced_in_base_and_child(load):
    config = load(
        "_base_ = 'base.py'\noptimizer = dict(lr=1)\n", "optimizer=dict(type='Adam')", base="optimizer = dict(eps=1)\n"
    )
    assert config.values["optimizer"] == {"type": "Adam"}
    assert config.place("optimizer") == "--cfg-options"


def test_a_run_key_that_no_file_sets_is_set(load):
    config = load("threads = 1\n", "seed=3")
    assert config.values == {"threads": 1, "seed": 3}
    assert config.place("seed") == "--cfg-options"


def test_a_name_that_matches_nothing_is_refused_with_the_nearest(load):
    problems = refused(load, "seed = 1\n", "sed=3", "optimzer.lr=1")
    assert [problem.path for problem in problems] == ["sed", "optimzer.lr"]
    assert "did you mean 'seed'?" in problems[0].message and "did you mean 'optimizer'?" in problems[1].message


def test_an_override_leaves_no_name_unused(load):
    assert load("lr = 0.1\noptimizer = dict(lr=lr)\n", "optimizer=dict(type='Adam')").problems == []


def test_an_override_of_one_name_of_a_chain_leaves_the_other(load):
    assert load("a = b = 1\nseed = a\nthreads = b\n", "a=7").values == {"seed": 7, "threads": 1}


def test_a_name_assigned_by_unpacking_can_be_overridden(load):
    assert load("a, b = 1, 2\nseed = a\nthreads = b\n", "a=7").values == {"seed": 7, "threads": 2}


# -- dotted paths ------------------------------------------------------------------------------------------------


def test_dotted_paths_reach_dicts_and_lists_in_order(load):
    config = load(
        "train = dict(transforms=[dict(type='A', size=1)])\n",
        "train.transforms.0.size=28",
        "train.transforms.0.size=32",
    )
    assert config.values["train"]["transforms"] == [{"type": "A", "size": 32}]
    assert config.place("train.transforms.0.size") == "--cfg-options"
    assert config.place("train.transforms.0.type") == "c.py:1"


def test_the_last_key_may_be_new_and_an_absent_run_key_is_made(load):
    config = load("optimizer = dict(type='SGD')\n", "optimizer.lr=0.1", "hooks.report=None")
    assert config.values == {"optimizer": {"type": "SGD", "lr": 0.1}, "hooks": {"report": None}}


def test_overriding_a_shared_list_leaves_the_other_loader(load):
    config = load(
        "_t = [dict(a=1)]\ntrain = dict(transforms=_t)\nval = dict(transforms=_t)\n", "train.transforms.0.a=5"
    )
    assert config.values["train"] != config.values["val"]


@pytest.mark.parametrize(
    ("override", "said"),
    [
        ("train.datset.root=1", "did you mean 'dataset'?"),
        ("train.transforms.3=1", "a list of 1"),
        ("train.transforms.-1=1", "a list of 1"),
        ("train.batch_size.x=1", "'train.batch_size' is 4"),
        ("model.head.size=1", "the config has no 'model'"),
    ],
)
def test_a_path_that_leads_nowhere_is_refused(load, override, said):
    text = "train = dict(dataset=dict(root='a'), transforms=[dict(type='A')], batch_size=4)\n"
    (problem,) = refused(load, text, override)
    assert said in problem.message and problem.place == "--cfg-options"


def test_a_tuple_stays_a_tuple(load):
    assert load("optimizer = dict(betas=(0.9, 0.99))\n", "optimizer.betas.0=0.5").values["optimizer"]["betas"] == (
        0.5,
        0.99,
    )


@pytest.mark.parametrize("text", ["{1, 2}", "b'x'", "1j"])
def test_an_override_holds_data_only(load, text):
    with pytest.raises(ConfigError, match="cannot be stored in a config"):
        load("optimizer = dict(type='SGD')\n", f"optimizer.x={text}")


def test_a_key_with_dots_can_be_overridden(load):
    config = load("optimizer = dict(groups={'features.0': dict(lr=1)})\n", "optimizer.groups.features.0.lr=2")
    assert config.values["optimizer"]["groups"]["features.0"] == {"lr": 2}


def test_an_empty_list_has_no_index_to_expect(load):
    (problem,) = refused(load, "plugins = []\n", "plugins.0=a")
    assert "-1" not in problem.message


def test_an_endless_index_is_refused(load):
    refused(load, "plugins = [[1]]\n", f"plugins.{'9' * 5000}.x=1")


# -- anything at all ---------------------------------------------------------------------------------------------

keys = st.sampled_from(["seed", "train", "train.transforms.0.type", "optimizer.lr", "hooks.x", "nonsense"]) | st.text()


@given(keys, st.text())
def test_any_option_is_taken_or_a_config_error(key, text):
    config = Config.from_values({"train": {"transforms": [{"type": "A"}]}, "seed": 1})
    try:
        config.override([f"{key}={text}"])
    except ConfigError as error:
        assert error.problems
