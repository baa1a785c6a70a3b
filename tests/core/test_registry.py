"""The boards: hang a part up, find it by name, build it from a dict."""

import sys
from collections.abc import Callable
from typing import Any

import pytest

from pegboard import MODELS, TRANSFORMS, ConfigError, Registry
from pegboard.registry import registering

pytestmark = pytest.mark.usefixtures("boards")


class Net:
    """A net for the tests. It does nothing."""

    def __init__(self, width: int, depth: int = 2, num_classes: int | None = None) -> None:
        self.width, self.depth, self.num_classes = width, depth, num_classes


class Group:
    """Holds other parts."""

    def __init__(self, members: Any, first: Any = None) -> None:
        self.members, self.first = members, first


def test_a_decorated_class_is_found_by_its_name_and_stays_what_it_is() -> None:
    assert MODELS.register(Net) is Net
    assert MODELS.find("Net").factory is Net
    assert "Net" in MODELS


def test_a_name_may_be_given() -> None:
    @MODELS.register(name="narrow")
    def narrow_net(depth: int = 1) -> Net:
        return Net(1, depth)

    assert MODELS.build(dict(type="narrow")).width == 1
    assert "narrow_net" not in MODELS


@pytest.mark.parametrize("name", ["", "a:b"])
def test_a_name_with_a_colon_or_without_letters_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="cannot name one of the models"):
        MODELS.add_lazy(name, "some.module:Thing")


def test_a_misspelt_name_is_answered_with_the_nearest() -> None:
    MODELS.register(Net, name="WonderfulNet")
    with pytest.raises(LookupError, match=r"no 'WonderfullNet' in models; did you mean 'WonderfulNet'\?"):
        MODELS.find("WonderfullNet")


def test_a_name_of_another_board_is_said_to_be_there() -> None:
    TRANSFORMS.register(Net, name="OnTheOtherBoard")
    with pytest.raises(LookupError, match="there is one in transforms"):
        MODELS.find("OnTheOtherBoard")


def test_an_unknown_plugin_is_answered_with_the_nearest() -> None:
    with pytest.raises(LookupError, match=r"no plugin 'torchvison' adds to models; did you mean 'torchvision'\?"):
        MODELS.find("torchvison:resnet18")


def test_a_misspelt_name_behind_a_plugin_is_answered_with_the_nearest_of_that_plugin() -> None:
    with pytest.raises(LookupError, match=r"no 'RandomCorp' in transforms of 'torchvision'; did you mean"):
        TRANSFORMS.find("torchvision:RandomCorp")


# -- registering again ---------------------------------------------------------------------------------------------


def test_the_same_class_registered_again_is_one_part() -> None:
    MODELS.register(Net)
    MODELS.register(Net)
    assert len(MODELS.list("Net")) == 1


def test_a_class_defined_again_in_its_module_takes_the_place_of_the_old_one() -> None:
    """What a notebook cell does that is run twice."""

    def run_cell(answer: int) -> None:
        cell = f"@MODELS.register\nclass FromACell:\n    answer = {answer}\n"
        exec(cell, {"MODELS": MODELS, "__name__": "notebook"})

    run_cell(1)
    run_cell(2)
    assert [entry.factory.answer for entry in MODELS.list("FromACell")] == [2]  # type: ignore[attr-defined]


def test_two_different_classes_of_one_name_are_two_parts() -> None:
    MODELS.register(Net)
    other = type("Net", (), {"__module__": "elsewhere"})
    MODELS.register(other)
    assert len(MODELS.list("Net")) == 2


def test_a_lazy_entry_whose_module_decorates_the_class_is_one_part(tmp_path: Any, monkeypatch: Any) -> None:
    source = "from pegboard import MODELS\n\n@MODELS.register\nclass LazyNet:\n    pass\n"
    (tmp_path / "lazy_part.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    MODELS.add_lazy("LazyNet", "lazy_part:LazyNet")
    assert "lazy_part" not in sys.modules
    try:
        built = MODELS.build(dict(type="LazyNet"))
        assert type(built) is sys.modules["lazy_part"].LazyNet
        assert len(MODELS.list("LazyNet")) == 1
    finally:
        sys.modules.pop("lazy_part", None)


# -- two who claim one name ----------------------------------------------------------------------------------------


def test_a_registered_part_wins_over_the_bridge_and_the_prefix_reaches_the_other() -> None:
    assert TRANSFORMS.find("RandomCrop").package == "pegboard_data"
    assert TRANSFORMS.find("torchvision:RandomCrop").address == "torchvision.transforms.v2:RandomCrop"


@pytest.fixture
def two_claims(boards: None) -> None:
    for plugin in ("acme", "zenith"):
        with registering(plugin):
            MODELS.add_lazy("Twin", f"{plugin}_parts.net:Twin", summary=f"of {plugin}")


@pytest.mark.usefixtures("two_claims")
def test_a_name_claimed_by_two_plugins_is_an_error_that_names_both_only_where_it_is_used() -> None:
    assert len(MODELS.list("Twin")) == 2  # listing is no use
    with pytest.raises(LookupError) as error:
        MODELS.find("Twin")
    for part in ("'acme' (acme_parts.net:Twin)", "'zenith' (zenith_parts.net:Twin)", "'acme:Twin' or 'zenith:Twin'"):
        assert part in str(error.value)


@pytest.mark.usefixtures("two_claims")
@pytest.mark.parametrize("prefix", ["zenith", "zenith_parts"])
def test_the_plugin_or_its_package_before_the_name_picks_one(prefix: str) -> None:
    assert MODELS.find(f"{prefix}:Twin").plugin == "zenith"


# -- building ------------------------------------------------------------------------------------------------------


def test_build_calls_the_factory_with_the_other_keys_and_leaves_the_config_alone() -> None:
    MODELS.register(Net)
    cfg = dict(type="Net", width=3)
    net = MODELS.build(cfg, "model", depth=5)
    assert (net.width, net.depth, cfg) == (3, 5, dict(type="Net", width=3))


@pytest.mark.parametrize(
    ("cfg", "words"),
    [
        (dict(type="Net", width=1, dept=4), ["Net: ", "'dept'", "did you mean 'depth'?"]),
        (dict(type="Net"), ["Net: ", "missing", "'width'"]),
        (dict(type="Nett"), ["no 'Nett' in models"]),
        (dict(width=1), ["a model needs a type", "None"]),
        (dict(type=Net, width=1), ["a model needs a type", "Net"]),
    ],
)
def test_a_wrong_config_is_an_error_with_path_and_nearest_answer(cfg: dict[str, Any], words: list[str]) -> None:
    MODELS.register(Net)
    with pytest.raises(ConfigError) as error:
        MODELS.build(cfg, "model")
    [problem] = error.value.problems
    assert problem.path.startswith("model")
    for word in words:
        assert word in problem.message


def test_arguments_are_bound_before_anything_runs() -> None:
    ran = []

    @MODELS.register
    class Eager:
        def __init__(self, width: int) -> None:
            ran.append(width)

    with pytest.raises(ConfigError):
        MODELS.build(dict(type="Eager", width=1, height=2))
    assert ran == []


@pytest.mark.parametrize("kind", [TypeError, ValueError])
def test_an_error_raised_inside_a_constructor_keeps_its_traceback_and_says_which_part(kind: type[Exception]) -> None:
    class Broken:
        def __init__(self) -> None:
            self.measure()

        def measure(self) -> None:
            raise kind("of its own")

    MODELS.register(Broken)
    with pytest.raises(kind, match="of its own") as caught:
        MODELS.build(dict(type="Broken"), "model")
    assert caught.traceback[-1].name == "measure"
    [note] = caught.value.__notes__
    assert "model" in note and "Broken" in note


def test_nested_parts_are_built_alone_in_a_list_and_by_name() -> None:
    MODELS.register(Net)
    MODELS.register(parts={"members": MODELS, "first": MODELS})(Group)
    net = dict(type="Net", width=1)

    assert isinstance(MODELS.build(dict(type="Group", members=net)).members, Net)
    in_list = MODELS.build(dict(type="Group", members=[net, dict(type="Group", members=[net])]))
    assert [type(member) for member in in_list.members] == [Net, Group]
    by_name = MODELS.build(dict(type="Group", members=dict(left=net, right=net), first=net))
    assert {name: type(member) for name, member in by_name.members.items()} == {"left": Net, "right": Net}
    assert isinstance(by_name.first, Net)


def test_a_dict_with_a_type_stays_data_where_no_part_was_declared() -> None:
    MODELS.register(Group)
    assert MODELS.build(dict(type="Group", members=dict(type="Net"))).members == dict(type="Net")


def test_a_nested_mistake_is_reported_at_its_own_path() -> None:
    MODELS.register(Net)
    MODELS.register(parts={"members": MODELS})(Group)
    with pytest.raises(ConfigError) as error:
        MODELS.build(dict(type="Group", members=[dict(type="Net", width=1), dict(type="Net", wide=1)]), "model")
    assert [problem.path for problem in error.value.problems] == ["model.members.1"]


def test_supplied_arguments_fill_in_what_the_config_leaves_out_in_nested_parts_too() -> None:
    MODELS.register(supplied=("num_classes",))(Net)
    MODELS.register(parts={"members": MODELS})(Group)
    cfg = dict(type="Group", members=[dict(type="Net", width=1), dict(type="Net", width=1, num_classes=4)])
    built = MODELS.build(cfg, supply={"num_classes": 10})
    assert [member.num_classes for member in built.members] == [10, 4]


def test_an_argument_that_is_not_declared_as_supplied_is_not_filled_in() -> None:
    MODELS.register(Net)
    assert MODELS.build(dict(type="Net", width=1), supply={"num_classes": 10}).num_classes is None


# -- listing -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "among", "not_among"),
    [
        ("res*18", "resnet18", "resnet34"),
        ("torch:Conv2?", "Conv2d", "Conv3d"),
        ("LENET", "LeNet", "Linear"),
        ("torchvision:*", "vgg11", "Linear"),
    ],
)
def test_list_takes_wildcards(pattern: str, among: str, not_among: str) -> None:
    names = [entry.name for entry in MODELS.list(pattern)]
    assert among in names
    assert not_among not in names


def test_list_is_sorted_and_holds_every_part_once() -> None:
    listed = [(entry.name.lower(), entry.plugin) for entry in MODELS.list()]
    assert [name for name, _ in listed] == sorted(name for name, _ in listed)
    assert len(listed) == len(set(listed))


def test_every_listed_name_can_be_found() -> None:
    """Written with its plugin, so that a name which two libraries share is reached in both."""
    for entry in MODELS.list("*"):
        assert MODELS.find(f"{entry.plugin}:{entry.name}").address == entry.address


def test_a_registry_of_ones_own_works_alike() -> None:
    greetings: Registry = Registry("greetings", "a greeting")
    say: Callable[[str], str] = greetings.register(name="hello")(lambda name: f"hello {name}")
    assert say("you") == greetings.build(dict(type="hello", name="you")) == "hello you"


def test_what_the_run_would_supply_but_cannot_is_said(boards: None) -> None:
    with pytest.raises(ConfigError, match="Normalize: needs .mean., which the data does not tell; give it"):
        TRANSFORMS.build({"type": "Normalize"}, "train.transforms.0", {"num_classes": 3})
