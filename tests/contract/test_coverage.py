"""Every public optimizer, scheduler, loss, layer, transform, model, dataset and metric of the installed libraries can
be built from a config by its own name.

The names are asked of the libraries themselves, not of the bridges. What a new release brings is tested here as soon as
it is installed; a part whose arguments nobody knows fails until they are in ``BY_ARGUMENT`` or ``BY_PART``. What need
not be built stands in ``EXCEPTIONS``, under the rule that excuses it.
"""

import inspect
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import torchmetrics
import torchvision
from torch import nn, optim
from torch.optim import lr_scheduler, swa_utils
from torch.overrides import TorchFunctionMode
from torchvision.models import get_model_builder, list_models, quantization
from torchvision.transforms import v2

from pegboard import Config
from pegboard.config import check
from pegboard.registry import BOARDS
from tests import runs

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::FutureWarning")  # of memory, of old names

# -- what is excused, each by a rule -----------------------------------------------------------------------------------

EXCEPTIONS: dict[str, set[str]] = {
    "abstract": {"Optimizer", "LRScheduler", "Module", "Transform", "VisionDataset"},
    "needs a package that is absent": {"LSUN"},
    "not about the class of an image": {
        "CREStereo", "CarlaStereo", "Cityscapes", "CocoCaptions", "CocoDetection", "ETH3DStereo", "FallingThingsStereo",
        "Flickr30k", "Flickr8k", "FlyingChairs", "FlyingThings3D", "HD1K", "HMDB51", "InStereo2k", "Kinetics", "Kitti",
        "Kitti2012Stereo", "Kitti2015Stereo", "KittiFlow", "LFWPairs", "LSUNClass", "Middlebury2014Stereo",
        "MovingMNIST", "PhotoTour", "SBDataset", "SBU", "SceneFlowStereo", "Sintel", "SintelStereo", "UCF101",
        "VOCDetection", "VOCSegmentation", "WIDERFace",
    },
}  # fmt: skip
EXCUSED = set().union(*EXCEPTIONS.values())
PACKAGES = {"LSUN": "lmdb"}

# Losses that the default step cannot feed, for it calls loss(outputs, targets): they are built as any other, and
# `pegboard check` says that they need a training_step.
NEED_A_TRAINING_STEP = {
    "CTCLoss", "CosineEmbeddingLoss", "GaussianNLLLoss", "LinearCrossEntropyLoss", "MarginRankingLoss",
    "TripletMarginLoss", "TripletMarginWithDistanceLoss",
}  # fmt: skip

# -- what a part is given where it has no default of its own -----------------------------------------------------------

BY_ARGUMENT: dict[str, Any] = {
    # layers and losses
    "bias": True, "cutoffs": [1], "d_model": 4, "dim": 1, "downscale_factor": 2, "embed_dim": 4, "embedding_dim": 4,
    "groups": 2, "hidden_size": 4, "in1_features": 4, "in2_features": 4, "in_channels": 4, "in_features": 4,
    "input_size": 4, "kernel_size": 2, "mode": "LSTM", "n_classes": 3, "nhead": 2, "norm_type": 2,
    "normalized_shape": 4, "num_channels": 4, "num_chunks": 4,
    "num_classes": 3, "num_embeddings": 5, "num_features": 4, "num_groups": 2,
    "num_heads": 2, "num_layers": 1, "out_channels": 4, "out_features": 4, "output_size": 2, "padding": 1, "size": 4,
    "threshold": 0.5, "unflattened_size": [2, 2], "upscale_factor": 2, "value": 1.0,
    "encoder_layer": {"type": "TransformerEncoderLayer", "d_model": 4, "nhead": 2},
    "decoder_layer": {"type": "TransformerDecoderLayer", "d_model": 4, "nhead": 2},
    # schedulers
    "T_0": 2, "base_lr": 0.01, "gamma": 0.5, "lr_lambda": {"type": "constant", "value": 0.5}, "milestones": [1],
    "schedulers": [{"type": "ConstantLR"}, {"type": "ExponentialLR", "gamma": 0.5}], "step_size": 2, "swa_lr": 0.05,
    # transforms
    "bits": 3, "clamping_mode": "soft", "degrees": 20, "dtype": "float32", "format": "XYXY", "lambd": "math:sqrt",
    "max_size": 8, "mean": [0.5], "mean_vector": [0.0, 0.0], "min_size": 4, "num_samples": 2, "quality": 50,
    "sharpness_factor": 2, "std": [0.5], "target_size": [8, 8], "transformation_matrix": [[1.0, 0.0], [0.0, 1.0]],
    "transforms": [{"type": "torchvision:RandomInvert"}],
    # datasets
    "loader": "PIL.Image:open", "root": "nowhere", "split": "letters",
    # metrics
    "beta": 0.5, "min_precision": 0.5, "min_recall": 0.5, "min_sensitivity": 0.5, "min_specificity": 0.5,
    "num_labels": 3, "p": 3,
}  # fmt: skip
BY_PART: dict[str, dict[str, Any]] = {
    "GaussianBlur": {"kernel_size": 3},  # an odd one
    "ReduceLROnPlateau": {"monitor": "val/loss"},
    "CyclicLR": {"max_lr": 0.1},  # the optimizer's rate cannot be both of its ends
    "CriticalSuccessIndex": {"threshold": 0.5},
    # those whose signature is (*args, **kwargs)
    "GRU": {"input_size": 4, "hidden_size": 4},
    "LSTM": {"input_size": 4, "hidden_size": 4},
    "RNN": {"input_size": 4, "hidden_size": 4},
    "FractionalMaxPool2d": {"output_size": 2},
    "FractionalMaxPool3d": {"output_size": 2},
    "DatasetFolder": {"extensions": [".jpg"]},
}


@dataclass(frozen=True)
class Family:
    """The public parts of one kind.

    Args:
        board, bridge: where a config finds them.
        public: name -> class or function, as the libraries export it.
        place: key of a config that holds one, as a path.
    """

    board: str
    bridge: str
    public: Callable[[], Mapping[str, Any]]
    place: str


def classes(base: type, *modules: Any) -> dict[str, Any]:
    """The classes among what modules export that are a ``base``, or inherit from it."""
    parts = {name: getattr(module, name) for module in modules for name in getattr(module, "__all__", dir(module))}
    return {name: part for name, part in parts.items() if inspect.isclass(part) and issubclass(part, base)}


def losses() -> dict[str, Any]:
    return classes(nn.modules.loss._Loss, nn.modules) | classes(nn.Module, nn.modules.loss)


def models() -> dict[str, Any]:
    names = [*list_models(module=torchvision.models), *list_models(module=quantization)]
    return {name: get_model_builder(name) for name in names}


FAMILIES = {
    "optimizers": Family("optimizers", "torch", lambda: classes(optim.Optimizer, optim), "optimizer"),
    "schedulers": Family(
        "schedulers", "torch", lambda: classes(lr_scheduler.LRScheduler, lr_scheduler, swa_utils), "scheduler"
    ),
    "losses": Family("losses", "torch", losses, "loss"),
    "layers": Family(
        "models",
        "torch",
        lambda: {name: part for name, part in classes(nn.Module, nn.modules).items() if name not in losses()},
        "model",
    ),
    "transforms": Family("transforms", "torchvision", lambda: classes(v2.Transform, v2), "train.transforms"),
    "models": Family("models", "torchvision", models, "model"),
    "datasets": Family(
        "datasets",
        "torchvision",
        lambda: classes(torchvision.datasets.VisionDataset, torchvision.datasets),
        "train.dataset",
    ),
    "metrics": Family(
        "metrics",
        "torchmetrics",
        lambda: classes(torchmetrics.Metric, torchmetrics.classification, torchmetrics.regression),
        "metrics.one",
    ),
}


def part_of(family: Family, name: str, factory: Any) -> dict[str, Any]:
    """A part as a config would name it, with the fewest arguments."""
    new = vars(factory).get("__new__")  # torchmetrics' classes for several tasks say what they take there
    takes = inspect.signature(new or factory).parameters
    needed = [
        parameter.name
        for parameter in takes.values()
        if parameter.default is parameter.empty
        and parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    ]
    supplied = BOARDS[family.board].find(f"{family.bridge}:{name}").supplied
    given = {key: BY_ARGUMENT[key] for key in needed if key in BY_ARGUMENT and key not in supplied}
    offline = {"download": False} if "download" in takes else {}
    return {"type": f"{family.bridge}:{name}", **given, **offline, **BY_PART.get(name, {})}


class WeightlessLayers(TorchFunctionMode):
    """Layers are made on the meta device; what models compute of their sizes, as RegNet does, is not."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return function(*args, **{**(kwargs or {}), **({"device": "meta"} if function is torch.empty else {})})


def build(family: Family, part: dict[str, Any]) -> Any:
    """What the board makes of a part; models and layers on the meta device, where they weigh nothing."""
    supply: dict[str, Any] = {
        "num_classes": 3,
        "task": "multiclass",
        "mean": [0.5],
        "std": [0.5],
        "data_source": range(4),
    }
    given: dict[str, Any] = {}
    if family.board == "optimizers":
        given["params"] = [nn.Parameter(torch.zeros(2, 2))]
    elif family.board == "schedulers":
        given["optimizer"] = optim.SGD([nn.Parameter(torch.zeros(2))], lr=0.1, momentum=0.9)
        supply |= {"T_max": 4, "total_steps": 4, "total_iters": 4, "max_lr": [0.1], **given}
        part = {key: value for key, value in part.items() if key != "monitor"}
    with WeightlessLayers() if family.board == "models" else nullcontext():
        return BOARDS[family.board].build(part, family.place, supply, **given)


def config_with(family: Family, part: dict[str, Any]) -> Config:
    values = runs.values(model={"type": "LeNet"})
    values["train"]["transforms"] = []
    for split in ("train", "val"):
        values[split]["dataset"] = {"type": "DrawnShapes", "count": 4}
    holder: Any = values
    *way, last = family.place.split(".")
    for step in way:
        holder = holder[step]
    if family.board == "schedulers":
        part = {**part, "unit": "epoch"}
    holder[last] = [{"type": "ToFloat"}, part] if part["type"] == "torchvision:Normalize" else part
    return Config.from_values(values)


def wants_its_data(family: Family, error: Exception) -> bool:
    """Whether a dataset was made, and only its files are not there."""
    words = (
        "not found",
        "no such file",
        "download",
        "urlopen",
        "not present",
        "does not exist",
        "couldn't find",
        "corrupted",
    )
    return family.board == "datasets" and any(word in str(error).lower() for word in words)


def failure(family: Family, name: str, factory: Any) -> str:
    """Why a public part cannot be had from a config; empty if it can."""
    if f"{family.bridge}:{name}" not in BOARDS[family.board]:
        return "no part of that name"
    part = part_of(family, name, factory)
    problems = [str(problem.message) for problem in check(config_with(family, part))]
    told = [message for message in problems if "training_step" in message]
    if bool(told) != (family.board == "losses" and name in NEED_A_TRAINING_STEP) or problems != told:
        return f"check says {problems}"
    try:
        built = build(family, part)
    except Exception as error:  # noqa: BLE001  # whatever it is, the part could not be built
        return "" if wants_its_data(family, error) else f"{type(error).__name__}: {error}"
    several_tasks = family.board == "metrics"  # a class that gives that of its task instead of itself
    right = not inspect.isclass(factory) or isinstance(built, torchmetrics.Metric if several_tasks else factory)
    return "" if right else f"became a {type(built).__name__}"


def coverage(family: Family) -> tuple[int, dict[str, str]]:
    """How many public parts there are but for those that are excused, and why some cannot be built."""
    public = {name: factory for name, factory in family.public().items() if name not in EXCUSED}
    failures = {name: failure(family, name, factory) for name, factory in public.items()}
    return len(public), {name: why for name, why in failures.items() if why}


LEAST = {
    "optimizers": 12, "schedulers": 15, "losses": 20, "layers": 120, "transforms": 55, "models": 80, "datasets": 30,
    "metrics": 100,
}  # fmt: skip


def assert_covered(family: Family) -> int:
    count, failures = coverage(family)
    print(f"{count - len(failures)} of {count}")
    assert not failures, "\n".join(f"{name}: {why}" for name, why in failures.items())
    return count


@pytest.mark.parametrize("family", FAMILIES)
def test_every_public_part_can_be_built_from_a_config(
    family: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    """``pytest -rP`` prints the figures; they stand in a JUnit report too."""
    monkeypatch.chdir(tmp_path)
    count = assert_covered(FAMILIES[family])
    record_property(family, f"{count} of {count}")
    assert count >= LEAST[family]


# -- the table is no place to hide -----------------------------------------------------------------------------------

EVERYTHING = {name: part for family in FAMILIES.values() for name, part in family.public().items()}


def test_what_is_excused_is_public_and_under_one_rule() -> None:
    assert sorted(EXCUSED) == sorted(name for names in EXCEPTIONS.values() for name in names)
    assert EVERYTHING.keys() >= EXCUSED | NEED_A_TRAINING_STEP


def test_what_is_abstract_is_the_base_of_the_others() -> None:
    for name in EXCEPTIONS["abstract"]:
        assert sum(issubclass(part, EVERYTHING[name]) for part in EVERYTHING.values() if inspect.isclass(part)) > 10


def test_what_lacks_a_package_lacks_it() -> None:
    assert PACKAGES.keys() == EXCEPTIONS["needs a package that is absent"]
    present = [name for name, package in PACKAGES.items() if find_spec(package)]
    assert not present, f"{present} can be built here: their packages are installed"


def test_what_is_not_about_classes_is_in_no_other_family() -> None:
    datasets = FAMILIES["datasets"].public()
    assert EXCEPTIONS["not about the class of an image"] <= datasets.keys()


def test_a_loss_that_the_default_step_cannot_feed_takes_more_or_has_weights() -> None:
    for name, loss in losses().items():
        inputs = inspect.signature(loss.forward).parameters.values()
        needed = [argument for argument in inputs if argument.default is argument.empty][1:]
        has_weights = "in_features" in inspect.signature(loss).parameters
        assert (len(needed) > 2 or has_weights) == (name in NEED_A_TRAINING_STEP), name


# -- the test can fail -----------------------------------------------------------------------------------------------


class OfTomorrow(optim.SGD):
    """The broken specimen: a class of a release to come, of which no bridge knows."""


class Lion(optim.SGD):
    """Another: the bridge knows its name, and leads to another class."""


def test_a_public_part_that_no_config_reaches_is_caught(boards: None) -> None:
    specimen = Family("optimizers", "torch", lambda: {"OfTomorrow": OfTomorrow, "SGD": optim.SGD}, "optimizer")
    with pytest.raises(AssertionError, match="OfTomorrow: no part of that name"):
        assert_covered(specimen)


def test_a_name_that_leads_elsewhere_is_caught() -> None:
    with pytest.raises(AssertionError, match="Adam: became a Adam"):
        assert_covered(Family("optimizers", "torch", lambda: {"Adam": Lion, "SGD": optim.SGD}, "optimizer"))


def test_a_needed_argument_that_nobody_knows_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(BY_ARGUMENT, "in_channels")
    with pytest.raises(AssertionError, match="Conv2d: check says .*Conv2d needs 'in_channels'"):
        assert_covered(Family("models", "torch", lambda: {"Conv2d": nn.Conv2d, "ReLU": nn.ReLU}, "model"))


def test_a_dataset_that_fails_for_another_reason_than_its_files_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torchvision.datasets.MNIST, "_check_exists")
    with pytest.raises(AssertionError, match="MNIST: AttributeError"):
        assert_covered(
            Family("datasets", "torchvision", lambda: {"MNIST": torchvision.datasets.MNIST}, "train.dataset")
        )
