"""Names and signatures read from source text say what the real thing says."""

import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pegboard import source
from pegboard.plugins import installed_plugins
from pegboard.registry import BOARDS

NAMED = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def names(target: str) -> list[str]:
    found = source.signature(target)
    assert found is not None
    return list(found.parameters)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``package(**{"module": "source"})`` writes a package that can be found and must not be run; gives its name."""

    def write(**modules: str) -> str:
        number = len(list(tmp_path.iterdir()))
        folder = tmp_path / f"{tmp_path.name.replace('-', '_')}_{number}"
        folder.mkdir()
        for name, text in {"__init__": "", **modules}.items():
            (folder / f"{name}.py").write_text(f"raise RuntimeError('was run')\n{text}")
        return folder.name

    monkeypatch.syspath_prepend(tmp_path)
    return write


# -- what **kwargs can carry ---------------------------------------------------------------------------------------


def test_a_builder_takes_what_it_hands_on_to_the_class_but_not_what_it_sets_itself() -> None:
    found = names("torchvision.models:resnet18")
    assert {"weights", "progress", "num_classes", "zero_init_residual", "norm_layer"} <= {*found}
    assert not {"block", "layers", "kwargs"} & {*found}


def test_arguments_that_a_class_pops_from_its_kwargs_are_known() -> None:
    found = names("torchmetrics.classification:MulticlassAccuracy")
    assert {"num_classes", "top_k", "compute_on_cpu", "dist_sync_on_step"} <= {*found}
    assert "kwargs" not in found


def test_kwargs_that_nobody_reads_carry_nothing(package: Callable[..., str]) -> None:
    name = package(part="class Part:\n    def __init__(self, size, **kwargs): self.size = size")
    assert names(f"{name}.part:Part") == ["size"]


def test_kwargs_that_cannot_be_followed_stay(package: Callable[..., str]) -> None:
    name = package(
        kept="class Part:\n    def __init__(self, **kwargs): self.kwargs = kwargs",
        popped_then_kept="class Part:\n    def __init__(self, **kwargs):\n"
        "        self.size = kwargs.pop('size', 1)\n        self.kwargs = kwargs",
        onward="def build(size, **kwargs): return unknown(size, **kwargs)",
    )
    assert names(f"{name}.kept:Part") == ["kwargs"]
    assert "kwargs" in names(f"{name}.popped_then_kept:Part")
    assert names(f"{name}.onward:build") == ["size", "kwargs"]


def test_super_is_followed_through_modules(package: Callable[..., str]) -> None:
    name = package(
        base="class Base:\n    def __init__(self, width, bias=True): ...",
        child="from .base import Base\nclass Child(Base):\n"
        "    def __init__(self, depth, **kwargs):\n        super().__init__(**kwargs)",
        fixed="from . import base\nclass Fixed(base.Base):\n"
        "    def __init__(self, **kwargs):\n        super().__init__(3, **kwargs)",
    )
    assert names(f"{name}.child:Child") == ["depth", "width", "bias"]
    assert names(f"{name}.fixed:Fixed") == ["bias"]


# -- where a definition stands -------------------------------------------------------------------------------------


def test_the_constructor_may_be_inherited(package: Callable[..., str]) -> None:
    name = package(part="class A:\n    def __init__(self, width): ...\nclass B(A): ...\nclass C(B): ...")
    assert names(f"{name}.part:C") == ["width"]


def test_who_defines_a_method_is_told_of_all_that_a_class_derives_from(package: Callable[..., str]) -> None:
    text = "class A:\n    def f(self): ...\nclass B(A): ...\nclass C(B):\n    f = None\nclass D(B, C): ...\n"
    name = package(part=f"import gone\n{text}class E(A, gone.X): ...")
    found = [{home.rpartition(":")[2] for home in source.homes(f"{name}.part:{one}", "f")} for one in "ABCDEF"]
    assert found == [{"A"}, {"A"}, {"A", "C"}, {"A", "C"}, {"A", "?"}, {"?"}]


def test_a_class_without_constructor_takes_nothing(package: Callable[..., str]) -> None:
    name = package(part="class Part: ...")
    assert names(f"{name}.part:Part") == []


def test_names_are_followed_through_re_exports(package: Callable[..., str]) -> None:
    name = package(
        __init__="from .inner import Part as Renamed\nfrom .stars import *",
        inner="from ._deep import Part",
        _deep="class Part:\n    def __init__(self, width): ...",
        stars="class Starred:\n    def __init__(self, height): ...",
    )
    assert names(f"{name}:Renamed") == ["width"]
    assert names(f"{name}:Starred") == ["height"]


def test_a_definition_inside_if_and_try_is_found(package: Callable[..., str]) -> None:
    name = package(
        part="try:\n    import nothing\nexcept ImportError:\n    if True:\n        def build(width=1): ...\n",
    )
    assert names(f"{name}.part:build") == ["width"]


def test_a_dataclass_takes_its_fields_and_those_that_it_inherits(package: Callable[..., str]) -> None:
    name = package(
        part="from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "@dataclass\nclass Base:\n    width: int\n"
        "@dataclass(frozen=True)\nclass Part(Base):\n    kind: ClassVar[str] = 'x'\n    depth: int = 2\n",
    )
    assert names(f"{name}.part:Base") == ["width"]
    assert names(f"{name}.part:Part") == ["width", "depth"]


def test_imports_in_a_circle_end(package: Callable[..., str]) -> None:
    name = package(one="from .two import Part", two="from .one import Part")
    assert source.signature(f"{name}.one:Part") is None


@pytest.mark.parametrize(
    "target", ["no_such_library:Part", "torch.optim:NoSuchOptimizer", "torch.no_such_module:Part", "math:sqrt", ":"]
)
def test_what_is_not_there_or_has_no_source_is_none(target: str) -> None:
    assert source.signature(target) is None
    assert source.summary(target) == ""


def test_defaults_and_annotations_are_source_text() -> None:
    found = source.signature("torch.optim:SGD")
    assert found is not None
    assert found.parameters["nesterov"].annotation == "bool"
    assert found.parameters["momentum"].default == "0"
    assert found.parameters["params"].default is inspect.Parameter.empty


@pytest.mark.parametrize(
    ("target", "begin"),
    [
        ("torch.nn:Linear", "Applies an affine linear transformation"),
        ("torch.optim:SGD", "Implements stochastic gradient descent"),
        ("torchvision.models:resnet18", "ResNet-18 from"),
    ],
)
def test_the_summary_is_the_first_sentence_of_the_docstring(target: str, begin: str) -> None:
    assert source.summary(target).startswith(begin)
    assert "\n" not in source.summary(target)


# -- contract: every bridged class, compared with the real one -----------------------------------------------------

# torch.nn.Module itself says (*args, **kwargs) and refuses all of them; a class that inherits its constructor does too.
INHERITS_MODULE = ("LogSigmoid", "Sigmoid", "Softmax2d", "Softsign", "Tanh", "Tanhshrink")
# Their *args and **kwargs go to RNNBase, whose arguments we name; Container and Identity have unused ones, and
# NLLLoss2d is a deprecated name that hands all on to NLLLoss.
HANDS_ON = {
    "GRU": "torch.nn.modules.rnn:RNNBase",
    "LSTM": "torch.nn.modules.rnn:RNNBase",
    "RNN": "torch.nn.modules.rnn:RNNBase",
    "Container": "",
    "Identity": "",
    "NLLLoss2d": "torch.nn:NLLLoss",
}


def bridged(board: str, bridge: str) -> list[str]:
    installed_plugins()
    found = [b for b in BOARDS[board].bridges if b.name == bridge]
    return [target for one in found for target in one.targets.values()]


def real(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def in_torch() -> list[str]:
    return [target for board in ("optimizers", "schedulers", "losses", "models") for target in bridged(board, "torch")]


def test_the_contract_runs_over_something() -> None:
    """Each family, and no name in the exceptions that is none."""
    counts = {board: len(bridged(board, "torch")) for board in ("optimizers", "schedulers", "losses", "models")}
    assert counts["optimizers"] >= 13 and counts["schedulers"] >= 15 and counts["losses"] >= 20
    assert counts["models"] >= 100
    assert len(bridged("models", "torchvision")) >= 60 and len(bridged("transforms", "torchvision")) >= 50
    assert {*INHERITS_MODULE, *HANDS_ON} <= {target.rpartition(":")[2] for target in in_torch()}


@pytest.mark.parametrize("target", in_torch())
def test_a_class_of_torch_takes_what_its_real_constructor_takes(target: str) -> None:
    name = target.rpartition(":")[2]
    actual = list(inspect.signature(real(target)).parameters)
    if name in INHERITS_MODULE:
        assert actual == ["args", "kwargs"] and names(target) == []
    elif name in HANDS_ON:
        onward = inspect.signature(real(HANDS_ON[name])).parameters if HANDS_ON[name] else {}
        assert {*names(target)} - {"args", "kwargs"} <= {*onward, *actual, "nonlinearity"}
        assert {n for n, p in onward.items() if p.kind in NAMED} - {"mode"} <= {*names(target)}
    else:
        assert names(target) == actual


@pytest.mark.parametrize("target", bridged("transforms", "torchvision"))
def test_a_transform_of_torchvision_takes_what_its_real_constructor_takes(target: str) -> None:
    assert names(target) == list(inspect.signature(real(target)).parameters)


@pytest.mark.parametrize("target", bridged("datasets", "torchvision"))
def test_a_dataset_of_torchvision_takes_what_its_real_constructor_takes(target: str) -> None:
    actual = list(inspect.signature(real(target)).parameters)
    if "kwargs" in actual:  # EMNIST, QMNIST, ImageNet hand them on
        assert {*actual} - {"kwargs"} < {*names(target)}
        assert {"transform", "target_transform"} <= {*names(target)}
    else:
        assert names(target) == actual


# Set by the builder itself: it takes them with its own value only, and says so.
PINNED = {"resnext": ("groups", "width_per_group"), "wide_resnet": ("width_per_group",)}


@pytest.mark.filterwarnings("ignore:The default weight initialization:FutureWarning")  # googlenet and inception
@pytest.mark.parametrize("target", bridged("models", "torchvision"))
def test_a_model_of_torchvision_takes_the_arguments_that_it_is_said_to_take(target: str) -> None:
    """Its builder is called with all of them, on the meta device, which allots no memory."""
    import torch

    builder, said = real(target), names(target)
    own = inspect.signature(builder).parameters
    accepted = inspect.signature(own_class(builder)).parameters
    assert {"num_classes", "weights", "progress"} <= {*said}
    pinned = [name for family, fixed in PINNED.items() if builder.__name__.startswith(family) for name in fixed]
    given = {name: accepted[name].default for name in said if name in accepted and name not in (*own, *pinned)}
    given = {name: value for name, value in given.items() if value is not inspect.Parameter.empty}
    is_regnet = builder.__name__.startswith("regnet")
    if is_regnet:  # needs real numbers to be built: the smallest stands for all of its kind
        builder = real(f"torchvision.models:{builder.__name__[:8]}_400mf")
        assert said == names(f"torchvision.models:{builder.__name__}")
    with torch.device("cpu" if is_regnet else "meta"):
        assert type(builder(**given)) is own_class(builder)
        for name in accepted.keys() - {*said, "args", "kwargs"}:  # the builder sets these itself
            with pytest.raises(TypeError, match="multiple values"):
                builder(**{name: None})


def own_class(builder: Any) -> Any:
    """The class that a builder of torchvision says it returns."""
    return inspect.signature(inspect.unwrap(builder), eval_str=True).return_annotation


@pytest.mark.parametrize("target", bridged("metrics", "torchmetrics"))
def test_a_metric_of_torchmetrics_takes_at_least_what_its_real_constructor_names(target: str) -> None:
    factory = real(target)
    actual = inspect.signature(factory.__new__ if "__new__" in vars(factory) else factory)
    assert {name for name, p in actual.parameters.items() if p.kind in NAMED} - {"cls"} <= {*names(target)}
