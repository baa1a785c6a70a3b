"""Rules for fresh weights."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from pegboard import ConfigError
from pegboard.config import init_rules
from pegboard.weights.initialise import initialise


def net() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(16, 10))


CLASSIC = [
    {"type": "xavier_normal", "layer": "Conv2d"},
    {"type": "constant", "layer": "BatchNorm2d", "weight": 2},
    {"type": "normal", "layer": "Linear", "std": 0.01},
]


def test_the_classic_rules_give_what_torch_gives() -> None:
    model = net()
    nn.init.constant_(model[3].bias, 7)
    torch.manual_seed(0)
    filled = initialise(model, CLASSIC)
    torch.manual_seed(0)
    expected = torch.empty(4, 3, 3, 3)
    nn.init.xavier_normal_(expected)
    assert torch.equal(model[0].weight, expected)
    assert torch.equal(model[1].weight, torch.full((4,), 2.0))
    assert model[3].weight.std() < 0.02
    assert not any(layer.bias.any() for layer in (model[0], model[1], model[3])), (
        "biases are 0 unless the rule says more"
    )
    assert filled["0.weight"] == "init.0 (xavier_normal)" and filled["3.bias"] == "init.2 (constant 0)"


def test_biases_are_left_alone_or_set_as_stated() -> None:
    model = net()
    before = model[0].bias.clone()
    initialise(
        model, [{"type": "ones", "layer": "Conv2d", "bias": None}, {"type": "ones", "layer": "Linear", "bias": 3}]
    )
    assert torch.equal(model[0].bias, before)
    assert (model[3].bias == 3).all()


def test_a_later_rule_overwrites_and_a_name_may_mean_a_bias_alone() -> None:
    model = net()
    initialise(
        model,
        [
            {"type": "zeros", "name": "*"},
            {"type": "ones", "name": "3"},
            {"type": "constant", "name": "3.bias", "val": 5},
        ],
    )
    assert not model[0].weight.any()
    assert (model[3].weight == 1).all() and (model[3].bias == 5).all()


def test_a_base_class_matches_too() -> None:
    model = net()
    initialise(model, [{"type": "zeros", "layer": ["_ConvNd", "Linear"]}])
    assert not model[0].weight.any() and not model[3].weight.any() and model[1].weight.all()


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            {"type": "zeros", "layer": "Conv3d"},
            "init.0: no parameter of the model matches layer='Conv3d'; its layers are",
        ),
        (
            {"type": "zeros", "name": "fc*"},
            r"init.0: no parameter of the model matches name='fc\*'; its names begin with",
        ),
        ({"type": "kaiming_normal", "layer": "BatchNorm2d"}, "init.0: kaiming_normal cannot fill 1.weight"),
    ],
)
def test_a_rule_that_cannot_be_followed_is_an_error(rule: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        initialise(net(), [rule])


def test_initialize_weights_is_called_where_no_rule_is_given() -> None:
    class Classic(nn.Linear):
        def initialize_weights(self) -> None:
            nn.init.constant_(self.weight, 4)

    model = Classic(2, 2)
    assert initialise(model, [{"type": "ones", "layer": "Linear"}]) and (model.weight == 1).all()
    assert initialise(model, [])["weight"] == "initialize_weights()" and (model.weight == 4).all()
    assert initialise(nn.Linear(2, 2), []) == {}


@pytest.mark.parametrize("name", init_rules.functions())
def test_every_function_of_torch_passes_the_check_with_what_it_needs(name: str) -> None:
    needs = {"constant": {"val": 1.0}, "sparse": {"sparsity": 0.5}}.get(name, {})
    assert list(init_rules.problems({"type": name, "layer": "Linear", **needs}, "init.0")) == []
    model = nn.Sequential(nn.Conv2d(2, 2, 3)) if name == "dirac" else nn.Sequential(nn.Linear(4, 4))
    initialise(model, [{"type": name, "name": "0", **needs}])


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (
            {"type": "xavier_norml", "layer": "Conv2d"},
            "torch.nn.init has no 'xavier_norml'; did you mean 'xavier_normal'?",
        ),
        ({"type": "normal", "layer": "Conv2d", "sdt": 1}, "normal takes no 'sdt'; did you mean 'std'?"),
        ({"type": "normal", "layer": "Conv2d", "std": "x"}, "must be float, got 'x'"),
        ({"type": "normal"}, "needs layer= (a class such as 'Conv2d') or name= (a pattern such as 'fc*')"),
        ({"type": "normal", "layer": "Conv2d", "weight": 1}, "only type='constant' takes a value; normal draws them"),
        ({"type": "constant", "layer": "Conv2d"}, "constant needs 'val'"),
        ("normal", "must be a rule like dict(type='xavier_normal', layer='Conv2d'), got 'normal'"),
    ],
)
def test_a_wrong_rule_is_a_problem(rule: object, expected: str) -> None:
    assert [message for _, message in init_rules.problems(rule, "init.0")] == [expected]


@given(st.dictionaries(st.sampled_from(["type", "layer", "name", "std", "x"]), st.none() | st.text() | st.integers()))
def test_checking_a_rule_never_raises(rule: dict[str, object]) -> None:
    for path, message in init_rules.problems(rule, "init.0"):
        assert path.startswith("init.0") and message
