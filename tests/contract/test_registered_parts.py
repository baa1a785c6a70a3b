"""What every registered part promises: a new one is tested here before its author writes a test.

A part that cannot be built without arguments gets its fewest in ``LEAST``. Each check comes with a broken specimen that
it must catch.
"""

import inspect
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from pegboard import Batch, Config, ConfigError, DataError, Hook, Mask, Runner, Transform
from pegboard.config import check
from pegboard.config.keys import DEFAULT_HOOKS
from pegboard.data.transform import Pipeline
from pegboard.registry import BOARDS, Entry
from tests import runs
from tests.conftest import REPOSITORY

# The fewest arguments from which a part can be built, beside those that the run supplies.
LEAST: dict[tuple[str, str], dict[str, Any]] = {
    ("datasets", "CIFAR10"): {"root": "none", "split": "test", "on_missing": "stand-in", "download": False},
    ("datasets", "ClassBalanced"): {"dataset": {"type": "DrawnShapes", "count": 11}},
    ("datasets", "Concat"): {"datasets": [{"type": "DrawnShapes", "count": 2}, {"type": "DrawnShapes", "count": 3}]},
    ("datasets", "DrawnShapes"): {"count": 2},  # to be quick; it needs none
    ("datasets", "ImageFolder"): {"root": str(REPOSITORY / "tests" / "small_images")},
    ("datasets", "IndexFile"): {"path": str(REPOSITORY / "tests" / "small_images" / "train.txt")},
    ("datasets", "Repeat"): {"dataset": {"type": "DrawnShapes", "count": 2}, "times": 2},
    ("datasets", "Subset"): {"dataset": {"type": "DrawnShapes", "count": 2}, "fraction": 0.5},
    ("transforms", "CenterCrop"): {"size": 4},
    ("transforms", "GaussianBlur"): {"kernel_size": 3},
    ("transforms", "Pad"): {"padding": 2},
    ("transforms", "RandomAffine"): {"degrees": 20},
    ("transforms", "RandomCrop"): {"size": 4},
    ("models", "Sequential"): {"layers": [{"type": "Flatten"}]},
    ("models", "Repeat"): {"block": {"type": "ReLU"}, "times": 2},
    ("hooks", "ConfusionMatrix"): {"pairs": 1},  # these four to be quick; they need none
    ("hooks", "Embedding"): {"samples": 8},
    ("hooks", "GradCAM"): {"images": 2},
    ("hooks", "Mistakes"): {"images": 2},
    ("hooks", "EarlyStop"): {"metric": "val/loss", "better": "lower"},
    ("hooks", "BestCheckpoint"): {"metric": "val/loss", "better": "lower"},
    ("transforms", "RandomResizedCrop"): {"size": 4},
    ("transforms", "RandomRotation"): {"degrees": 20},
    ("transforms", "Resize"): {"size": 4},
}
# What the run supplies.
SUPPLY: dict[str, Any] = {
    "num_classes": 3, "classes": ["a", "b", "c"], "mean": (0.5, 0.5, 0.5), "std": (0.25, 0.25, 0.25),
}  # fmt: skip
SURPLUS = "surplus_argument"


def own_parts(board: str) -> list[Entry]:
    """Everything that pegboard and its built-in plugins register by themselves, bridges left out."""
    return [e for e in BOARDS[board].list() if not e.is_bridge and e.package.startswith("pegboard")]


PARTS = [pytest.param(board, entry, id=f"{board}-{entry.name}") for board in BOARDS for entry in own_parts(board)]
BRIDGED = [
    pytest.param(board, entry.name, id=f"{board}-{entry.name}")
    for board in ("optimizers", "schedulers", "losses", "models")
    for entry in BOARDS[board].list("torch:*")
    if entry.is_bridge
]
TAKES_ANYTHING = {"Identity", "Container"}  # by their own documentation


def test_there_are_parts_to_test() -> None:
    assert {("models", "LeNet"), ("datasets", "CIFAR10"), ("hooks", "Checkpoint"), ("metrics", "Accuracy")} <= {
        (board, entry.name) for board in BOARDS for entry in own_parts(board)
    }
    assert len(BRIDGED) > 100


def test_the_table_names_parts_that_exist() -> None:
    for board, name in LEAST:
        assert name in [entry.name for entry in own_parts(board)]


def hang_specimen(board: str, factory: Any) -> Entry:
    BOARDS[board].register(factory)
    return BOARDS[board].find(factory.__name__)


# -- documented -----------------------------------------------------------------------------------------------------


def assert_documented(entry: Entry) -> None:
    own = vars(entry.factory).get("__doc__") if inspect.isclass(entry.factory) else entry.factory.__doc__
    assert own and own.strip(), f"{entry.name} has no docstring of its own"
    assert entry.describe().strip().endswith((".", ":")) or len(entry.describe()) > 10
    text = inspect.getdoc(entry.factory) or ""
    for name, parameter in inspect.signature(entry.factory).parameters.items():
        variadic = parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        assert variadic or "Args:" not in text or name in text, f"{entry.name} does not say what {name} is"


@pytest.mark.parametrize(("board", "entry"), PARTS)
def test_a_part_is_documented(board: str, entry: Entry) -> None:
    assert_documented(entry)


def test_a_part_that_is_not_documented_is_caught(boards: None) -> None:
    class Silent(Hook):
        pass

    class HalfSilent(Hook):
        """Does something.

        Args:
            first: what comes first.
        """

        def __init__(self, first: int = 1, other: int = 2) -> None: ...

    for specimen in (Silent, HalfSilent):
        with pytest.raises(AssertionError):
            assert_documented(hang_specimen("hooks", specimen))


# -- checked --------------------------------------------------------------------------------------------------------


def config_with(board: str, part: dict[str, Any]) -> tuple[Config, str]:
    """A config that is sound but for the part, and where the part stands."""
    values = runs.values()
    values["train"]["dataset"] = {"type": "DrawnShapes", "count": 4}
    values["val"]["dataset"] = {"type": "DrawnShapes", "count": 4, "split": "val"}
    values["model"] = {"type": "LeNet"}
    if board == "datasets":
        values["train"]["dataset"], where = part, "train.dataset"
    elif board == "transforms":
        values["train"]["transforms"], where = [part], "train.transforms.0"
    elif board in ("hooks", "metrics"):
        values[board]["part"], where = part, f"{board}.part"
    else:
        where = {"models": "model", "losses": "loss", "optimizers": "optimizer", "schedulers": "scheduler"}[board]
        values[where] = part
        if board == "schedulers":
            part["unit"] = "epoch"
    return Config.from_values(values), where


def assert_check_refuses_surplus(board: str, name: str, **arguments: Any) -> None:
    config, where = config_with(board, {"type": name, **arguments, SURPLUS: 1})
    found = [problem for problem in check(config) if problem.path == f"{where}.{SURPLUS}"]
    assert [f"takes no '{SURPLUS}'" in problem.message for problem in found] == [True], f"{name}: {check(config)}"


@pytest.mark.parametrize(("board", "entry"), PARTS)
def test_check_refuses_a_surplus_argument(board: str, entry: Entry) -> None:
    least = LEAST.get((board, entry.name), {})
    config, _ = config_with(board, {"type": entry.name, **least})
    assert check(config) == []  # with its fewest arguments it is sound
    assert_check_refuses_surplus(board, entry.name, **least)


@pytest.mark.parametrize(("board", "name"), BRIDGED)
def test_check_refuses_a_surplus_argument_of_a_bridged_part(board: str, name: str) -> None:
    if name in TAKES_ANYTHING:
        pytest.skip("takes any argument, and says so")
    assert_check_refuses_surplus(board, f"torch:{name}")


class TakesAll(Hook):
    """The broken specimen: it swallows a typo."""

    def __init__(self, **anything: Any) -> None: ...


def test_a_part_that_swallows_a_surplus_argument_is_caught(boards: None) -> None:
    entry = hang_specimen("hooks", TakesAll)
    with pytest.raises(AssertionError):
        assert_check_refuses_surplus("hooks", entry.name)
    with pytest.raises(AssertionError):
        assert_build_refuses_surplus("hooks", entry)


# -- built ----------------------------------------------------------------------------------------------------------


def build(board: str, entry: Entry, **more: Any) -> Any:
    part = {"type": f"{entry.plugin}:{entry.name}", **LEAST.get((board, entry.name), {}), **more}
    return BOARDS[board].build(part, "here", SUPPLY)


def assert_build_refuses_surplus(board: str, entry: Entry) -> None:
    try:
        build(board, entry, **{SURPLUS: 1})
    except ConfigError as error:
        assert SURPLUS in str(error) and entry.name in str(error) and str(error).startswith("here")
    else:
        raise AssertionError(f"{entry.name} swallowed {SURPLUS}")


@pytest.mark.parametrize(("board", "entry"), PARTS)
def test_a_part_is_built_from_its_fewest_arguments(
    board: str, entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    built = build(board, entry)
    if board == "hooks":
        assert isinstance(built, Hook)
    elif board == "transforms":
        assert isinstance(built, Transform)
    elif board == "datasets":
        image, target = built[len(built) - 1]
        assert isinstance(image, Tensor) or hasattr(image, "convert")
        assert 0 <= target < len(built.classes) == built.num_classes
        assert len(built.targets) == len(built) and built.targets[len(built) - 1] == target
        assert hasattr(built, "mean") == hasattr(built, "std")  # files have none; `pegboard stats` finds them
    elif board == "models":
        assert isinstance(built, torch.nn.Module)
    elif board == "metrics":
        assert hasattr(built, "higher_is_better")
    assert list(tmp_path.iterdir()) == [], "building a part must leave no file"


@pytest.mark.parametrize(("board", "entry"), PARTS)
def test_build_refuses_a_surplus_argument(board: str, entry: Entry) -> None:
    assert_build_refuses_surplus(board, entry)


def test_a_part_without_an_entry_in_the_table_is_caught(boards: None) -> None:
    class Needs(Hook):
        """A hook.

        Args:
            something: that has no default.
        """

        def __init__(self, something: int) -> None: ...

    with pytest.raises(ConfigError, match="missing a required argument: 'something'"):
        build("hooks", hang_specimen("hooks", Needs))


# -- transforms: one by one as batched -------------------------------------------------------------------------------


def assert_one_by_one_is_batched(transform: Transform) -> None:
    generator = torch.Generator().manual_seed(3)
    for dtype in (torch.uint8, torch.float32):
        images = torch.randint(256, (6, 3, 8, 7), generator=generator, dtype=torch.uint8).to(dtype)
        targets, index, places = torch.arange(6), np.array([9, 2, 30, 4, 0, 7]), np.arange(6) + 3
        pipeline = Pipeline([transform], seed=1)
        try:
            whole, its_targets = pipeline(images, targets, index, 2, places)
        except Exception:  # not every transform takes both kinds; one that takes neither is caught below
            if dtype == torch.float32:
                raise
            continue
        for i in range(6):
            one = slice(i, i + 1)
            image, target = pipeline(images[one], targets[one], index[one], 2, places[one])
            assert image.dtype == whole.dtype and torch.equal(image[0], whole[i]), f"sample {i} as {dtype}"
            assert torch.equal(target[0], its_targets[i])


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in own_parts("transforms")])
def test_a_transform_gives_each_sample_what_it_would_get_alone(entry: Entry) -> None:
    transform = build("transforms", entry)
    if transform.mixes_samples:
        pytest.skip("mixes samples, and says so")
    assert_one_by_one_is_batched(transform)


class Batchwise(Transform):
    """The broken specimen: what a sample becomes depends on the others of its batch."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.float() - images.float().mean()


class Drawing(Transform):
    """Another: it draws its own numbers."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.float() + torch.rand(len(images), 1, 1, 1)


@pytest.mark.parametrize("specimen", [Batchwise, Drawing])
def test_a_transform_that_depends_on_the_batch_is_caught(specimen: type[Transform]) -> None:
    with pytest.raises(AssertionError, match="sample"):
        assert_one_by_one_is_batched(specimen())


# -- transforms: masks move with their images ------------------------------------------------------------------------


def assert_masks_move(transform: Transform) -> None:
    """Each pixel is one of the old mask or ignored, and lies where that of the image does; one by one as batched."""
    generator = torch.Generator().manual_seed(4)
    masks = torch.randint(1, 4, (6, 8, 7), generator=generator, dtype=torch.uint8)
    index, places = np.array([9, 2, 30, 4, 0, 7]), np.arange(6)
    pipeline = Pipeline([transform], seed=1)
    images = masks[:, None].expand(-1, 3, -1, -1).contiguous()
    if type(transform).__name__ == "Normalize":  # the one that refuses uint8
        images = images.float()
    done, moved = pipeline(images, Mask(masks), index, 2, places)
    assert moved.dtype == torch.int64 and moved.shape == (6, *done.shape[-2:])
    assert set(moved.unique().tolist()) <= {1, 2, 3, 255}
    for i in range(6):
        one = slice(i, i + 1)
        assert torch.equal(pipeline(images[one], Mask(masks[one]), index[one], 2, places[one])[1][0], moved[i])
    if not transform.moves_pixels:
        assert torch.equal(moved, masks.long())
        return
    if getattr(transform, "interpolation", "nearest").startswith("nearest"):  # smooth ones are compared elsewhere
        known = moved != 255
        assert torch.equal(done[:, 0][known].long(), moved[known]), "the mask does not lie as the image does"


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in own_parts("transforms")])
def test_a_transform_moves_masks_with_their_images(entry: Entry) -> None:
    transform = build("transforms", entry)
    if transform.mixes_samples:
        with pytest.raises(DataError, match="leave it out"):
            transform.apply_targets(Mask(torch.zeros(2, 4, 4, dtype=torch.uint8)), torch.empty(2, 1))
        return
    assert_masks_move(transform)


class LeavesMasksBehind(Transform):
    """The broken specimen: the image is mirrored, and its mask is not."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.flip(3)

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask


def test_a_transform_that_leaves_masks_behind_is_caught() -> None:
    with pytest.raises(AssertionError, match="does not lie as the image does"):
        assert_masks_move(LeavesMasksBehind())


# -- hooks: resumed as uninterrupted ---------------------------------------------------------------------------------

CLOCK = {
    "last_line",
    "last_draw",
    "timing.jsonl",
    "started",
    "spent",
    "last_cost",
}  # attributes and keys that hold what the clock said


def plain(value: Any) -> Any:
    """The part of a hook's attributes that is data."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items() if key not in CLOCK and is_data(part)}
    return value


def is_data(value: Any) -> bool:
    if isinstance(value, Mapping):
        return all(map(is_data, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_data, value))
    return value is None or isinstance(value, bool | int | float | str | Tensor)


def name_of(part: Mapping[str, Any]) -> str:
    """A hook that every run has stands where it always does; another one as ``part``."""
    return next((name for name, known in DEFAULT_HOOKS.items() if known and known["type"] == part["type"]), "part")


class StopsAt(Hook):
    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        if run.iteration == 4:
            run.stop("for the test")


def assert_resumes(part: dict[str, Any], folder: Path) -> None:
    name = name_of(part)
    changes = {"model": {"type": "Tiny", "dropout": 0.5}, "train_for": "3 epochs"}
    whole = runs.train(folder / "whole", hooks={name: part}, **changes)
    stops = runs.hang("hooks", "stops", StopsAt())
    first = runs.train(folder / "part", hooks={name: part, "stops": stops}, **changes)
    assert first.iteration == 4
    state = runs.newest(folder / "part")

    restored: dict[str, Any] = {}

    class Looks(Hook):
        essential = True

        def before_train(self, run: Runner) -> None:
            restored.update(deepcopy(run.hooks[name].state_dict()))  # a hook may go on with its own tensors

    hooks = {name: part, "looks": runs.hang("hooks", "looks", Looks())}
    last = runs.runner(folder / "part", state, hooks=hooks, **changes)
    last.train()
    assert runs.same(restored, state["hooks"][name]), f"{name} did not take back {state['hooks'][name]}"
    ended, resumed = plain(vars(whole.hooks[name])), plain(vars(last.hooks[name]))
    differing = [key for key in ended.keys() | resumed.keys() if not runs.same(ended.get(key), resumed.get(key))]
    assert differing == [], f"{name} forgot {differing}; does its 'state' name them?"


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in own_parts("hooks")])
def test_a_hook_resumed_half_way_ends_in_the_same_state(entry: Entry, tmp_path: Path, boards: None) -> None:
    runs.hang_up()
    assert_resumes({"type": entry.name, **LEAST.get(("hooks", entry.name), {})}, tmp_path)


class Forgets(Hook):
    """The broken specimen: it counts, and says nothing of it."""

    def __init__(self) -> None:
        self.count = 0

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.count += 1


class Remembers(Forgets):
    """What it should be."""

    state = ("count",)


class Ignores(Remembers):
    """Another broken one: it saves its state, and does not take it back."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


@pytest.mark.parametrize(("hook", "message"), [(Forgets, "forgot"), (Ignores, "did not take back"), (Remembers, "")])
def test_a_hook_that_forgets_its_state_is_caught(hook: type[Hook], message: str, tmp_path: Path, boards: None) -> None:
    runs.hang_up()
    entry = hang_specimen("hooks", hook)
    if not message:
        assert_resumes({"type": entry.name}, tmp_path)
        return
    with pytest.raises(AssertionError, match=message):
        assert_resumes({"type": entry.name}, tmp_path)


# -- metrics ---------------------------------------------------------------------------------------------------------


def assert_metric_resumes(make: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    outputs, targets = torch.randn(30, 3, generator=generator), torch.randint(3, (30,), generator=generator)
    whole, half, rest = make(), make(), make()
    whole.update(outputs, targets)
    half.update(outputs[:11], targets[:11])
    rest.load_state_dict(half.state_dict())
    rest.update(outputs[11:], targets[11:])
    assert rest.compute() == whole.compute()
    rest.reset()
    rest.update(outputs[:11], targets[:11])
    assert rest.compute() == half.compute()


@pytest.mark.parametrize("entry", [pytest.param(entry, id=entry.name) for entry in own_parts("metrics")])
def test_a_metric_resumed_half_way_and_reset_gives_the_same(entry: Entry) -> None:
    assert_metric_resumes(lambda: build("metrics", entry))


class LastBatch:
    """The broken specimen: only the last batch counts."""

    def reset(self) -> None: ...

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self.value = (outputs.argmax(1) == targets).float().mean().item()

    def compute(self) -> float:
        return self.value

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


def test_a_metric_that_forgets_is_caught() -> None:
    with pytest.raises(AssertionError):
        assert_metric_resumes(LastBatch)
