"""What every registered part promises: pegboard.testing tries our own as a third party tries its own.

A part that cannot be built without arguments gets its fewest in its plugin's ``pegboard_examples``. Each promise has a
specimen here that breaks it.
"""

import ast
import os
import re
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import torch
from torch import Tensor, nn

from pegboard import (
    About,
    Batch,
    Config,
    ConfigError,
    DataError,
    Hook,
    Mask,
    PegboardError,
    Runner,
    Tracker,
    Transform,
    testing,
)
from pegboard.plugins import installed_plugins
from pegboard.registry import BOARDS, Entry, registering
from pegboard.testing import Case, ContractError, cases
from pegboard.testing.checks import leaves_alone
from pegboard.testing.commands import takes_arguments
from pegboard.testing.contract import IMPORTED, OF_ALL, OF_BOARD, OF_CHECKS, OF_COMMANDS, Part, of_part

OWN = [plugin.name for plugin in installed_plugins() if plugin.distribution == "pegboard"]
CASES = [case for plugin in OWN for case in cases(plugin)]
BRIDGED = [
    pytest.param(board, entry, id=f"{board}-{entry.name}")
    for board in ("optimizers", "schedulers", "losses", "models")
    for entry in BOARDS[board].list("torch:*")
    if entry.is_bridge
]
TAKES_ANYTHING = {"Identity", "Container"}  # by their own documentation


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_part_keeps_its_promise(case: Case) -> None:
    case.run()


def test_there_are_parts_to_test() -> None:
    tried = {(case.board, case.name) for case in CASES}
    assert {("models", "LeNet"), ("datasets", "CIFAR10"), ("hooks", "Checkpoint"), ("metrics", "Accuracy")} <= tried
    assert {("commands", "split"), ("commands", "cam")} <= tried
    registered = {(b, e.name) for b in BOARDS for e in BOARDS[b].list() if e.package.startswith("pegboard")}
    assert {pair for pair in tried if pair[0] in BOARDS} >= registered
    assert len(BRIDGED) > 100


@pytest.mark.parametrize(("board", "entry"), BRIDGED)
def test_check_refuses_a_surplus_argument_of_a_bridged_part(board: str, entry: Entry) -> None:
    if entry.name in TAKES_ANYTHING:
        pytest.skip("takes any argument, and says so")
    try_promise(Part(board, entry), "check refuses a surplus argument")


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("StepLR", {"step_size": 2}), ("OneCycleLR", {}), ("CosineAnnealingLR", {}), ("ReduceLROnPlateau", {})],
)
def test_a_bridged_scheduler_resumes(name: str, arguments: dict[str, Any]) -> None:
    try_promise(Part("schedulers", BOARDS["schedulers"].find(name), arguments), "resumes")


@pytest.mark.parametrize("name", ["SGD", "AdamW", "LBFGS"])
def test_a_bridged_optimizer_resumes(name: str) -> None:
    try_promise(Part("optimizers", BOARDS["optimizers"].find(name), {"lr": 0.01}), "resumes")


def test_asking_for_the_promises_imports_no_torch(python: Any) -> None:
    script = "import sys; from pegboard.testing import cases; cases('pegboard_hooks'); print('torch' in sys.modules)"
    assert python("-c", script + "; print('pytest' in sys.modules)").stdout == "False\nFalse\n"


@pytest.mark.parametrize(
    ("plugin", "message"),
    [("pegboard_modls", "there is no plugin 'pegboard_modls'; did you mean 'pegboard_models'"), ("zzz", "installed?")],
)
def test_a_plugin_that_is_not_there_is_refused(plugin: str, message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        cases(plugin)


# -- specimens -------------------------------------------------------------------------------------------------------


def try_promise(part: Part, promise: str) -> None:
    [case] = [case for case in of_part(part) if case.promise == promise]
    case.run()


def specimen(board: str, factory: Any, **arguments: Any) -> Part:
    """Hang a part; the fixture ``boards`` takes it off again."""
    with registering("specimens"):
        BOARDS[board].register(factory)
    return Part(board, BOARDS[board].find(f"specimens:{factory.__name__}"), arguments)


class Silent(Hook):
    pass


class HalfSilent(Hook):
    """Does something.

    Args:
        first: what comes first.
    """

    def __init__(self, first: int = 1, other: int = 2) -> None: ...


class Shapeless(Transform):
    """Darkens an image."""


class Needs(Hook):
    """A hook.

    Args:
        something: that has no default.
    """

    def __init__(self, something: int) -> None: ...


class TakesAll(Hook):
    """It swallows a typo."""

    def __init__(self, **anything: Any) -> None: ...


class Writes(Hook):
    """It leaves a file."""

    def __init__(self) -> None:
        Path("left.txt").write_text("", encoding="utf-8")


class Mislabelled:
    """A dataset whose targets are not what it gives."""

    classes = ("a", "b")
    targets = (0, 0)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return torch.zeros(3, 4, 4, dtype=torch.uint8), 1


class Outlines:
    """Drawn masks, as sound datasets give them."""

    classes = ("ground", "thing")

    def __len__(self) -> int:
        return 2

    def __getitem__(self, index: int) -> tuple[Tensor, Mask]:
        return torch.full((3, 4, 4), index, dtype=torch.uint8), Mask(torch.eye(4, dtype=torch.uint8))


class Fickle(Outlines):
    """Its masks depend on the process."""

    def __getitem__(self, index: int) -> tuple[Tensor, Mask]:
        image, _ = super().__getitem__(index)
        return image, Mask(torch.full((4, 4), os.getpid()))


class Locked(Hook):
    """It holds what no other process can have."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Process(nn.Module):
    """It knows which process made it."""

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self.register_buffer("made_by", torch.tensor(os.getpid()))


class Fatal(nn.Module):
    """It ends the process that it comes to."""

    def __reduce__(self) -> Any:
        return os._exit, (3,)


class Batchwise(Transform):
    """What a sample becomes depends on the others of its batch."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.float() - images.float().mean()


class Drawing(Transform):
    """It draws its own numbers."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.float() + torch.rand(len(images), 1, 1, 1)


class MixesByChance(Drawing):
    """It mixes samples, and each time in another way."""

    mixes_samples = True


class ForgetsTargets(Transform):
    """The targets of a batch depend on who else is in it."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images

    def apply_targets(self, targets: Any, rows: Tensor) -> Any:
        return targets - targets.min()


class LeavesMasksBehind(Transform):
    """The image is mirrored, and its mask is not. Shapes: (B, 3, H, W) -> same."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.flip(3)

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask


class Turns(Transform):
    """A quarter turn of squares. Shapes: (B, 3, H, H) -> same."""

    uniforms = 1

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        if images.shape[2] != images.shape[3]:
            raise DataError("expected squares")
        return torch.stack([image.rot90(int(4 * u), (1, 2)) for image, [u] in zip(images, rows.tolist(), strict=True)])

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: self.apply(pixels, rows))


class LeavesSquareMasksBehind(Turns):
    """Shapes: (B, 3, H, H) -> same."""

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask


class Forgets(Hook):
    """It counts, and says nothing of it."""

    def __init__(self) -> None:
        self.count = 0

    def after_train_iter(self, run: Runner, batch: Batch, loss: Tensor, outputs: Any) -> None:
        self.count += 1


class Remembers(Forgets):
    """What it should be."""

    state = ("count",)


class Passing(Forgets):
    """It says that nobody needs its count."""

    fleeting = ("count",)


class Talks(Tracker):
    """It is told of a run by a thread, and keeps the id that its service gave the run."""

    def begin(self, about: About) -> None:
        self.run_id = uuid4().hex


class TalksAnew(Talks):
    """It says that a resumed run need not find the id in its checkpoint."""

    fleeting = ("run_id",)


class Ignores(Remembers):
    """It saves its state, and does not take it back."""

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Fails(Hook):
    """It would be switched off, and nobody would look."""

    def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
        raise RuntimeError("no luck")


class CannotGoOn(Hook):
    """It does well in a run that nothing stops."""

    def before_run(self, run: Runner) -> None:
        if run.resume is not None:
            raise RuntimeError("no luck the second time")


class OfMasks(Forgets):
    """It is made for masks, and says so of all else."""

    state = ("count",)

    def after_val_iter(self, run: Runner, batch: Batch, outputs: Any) -> None:
        if batch.targets.ndim != 3 or outputs.ndim != 4:
            raise PegboardError(f"expected masks (B, H, W), got targets {tuple(batch.targets.shape)}")


class ForgetsMasks(OfMasks):
    """It is made for masks, and a resume forgets its count."""

    state = ()


class FailsDifferently(OfMasks):
    """It can do with nothing."""

    def after_val(self, run: Runner, metrics: Mapping[str, float]) -> None:
        raise RuntimeError("no luck with masks")


class Nudges(Hook):
    """It changes a gradient by the least that it can."""

    def before_optimizer_step(self, run: Runner) -> None:
        for weight in run.model.parameters():
            if weight.grad is not None:
                weight.grad.mul_(1.0 + 1e-6)


class Steers(Nudges):
    """It says so."""

    steers = True


class LeavesEvalMode(Hook):
    """It looks at the model, and leaves it as it should not be."""

    def before_train_iter(self, run: Runner, batch: Batch) -> None:
        run.model.eval()


class LastBatch:
    """Only the last batch counts."""

    higher_is_better = True

    def reset(self) -> None: ...

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self.value = (outputs.argmax(1) == targets).float().mean().item()

    def compute(self) -> float:
        return self.value

    def state_dict(self) -> dict[str, Any]:
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None: ...


class Amnesic(LastBatch):
    """It counts all, and saves nothing."""

    def reset(self) -> None:
        self.hits = self.count = 0

    __init__ = reset

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self.hits += int((outputs.argmax(1) == targets).sum())
        self.count += len(targets)

    def compute(self) -> float:
        return self.hits / self.count


class PerClass(Amnesic):
    """It gives more than one number."""

    def compute(self) -> Any:
        return {"a": 0.5, "b": 0.7}


class Total(LastBatch):
    """It saves all, and a reset forgets nothing."""

    value = 0.0

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self.value += (outputs.argmax(1) == targets).sum().item()

    def state_dict(self) -> dict[str, Any]:
        return {"value": self.value}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.value = state["value"]


class Counts(torch.optim.lr_scheduler.LRScheduler):
    """Its rate falls with the square root of a count that it does not save."""

    def __init__(self, optimizer: torch.optim.Optimizer) -> None:
        self.steps = 0
        super().__init__(optimizer)

    def get_lr(self) -> list[float]:
        self.steps += 1
        return [rate / self.steps**0.5 for rate in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        return {key: value for key, value in super().state_dict().items() if key != "steps"}


class Wanders(torch.optim.Optimizer):
    """Momentum that no state_dict holds."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {})
        self.momentum = 0.0

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        closure()
        for weight in self.param_groups[0]["params"]:
            self.momentum = 0.9 * self.momentum + weight.grad
            weight.data -= 0.01 * self.momentum


class Idles(torch.optim.Optimizer):
    """It changes nothing."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {})

    def step(self, closure: Any = None) -> None: ...  # type: ignore[override]


class Nothing:
    """It is no part of any kind, and takes what any is given. Shapes: none.

    Args:
        params: of an optimizer.
        optimizer: of a scheduler.
    """

    def __init__(self, params: Any = None, optimizer: Any = None) -> None: ...


class Undirected(LastBatch):
    """Nobody knows whether more of it is better."""

    higher_is_better = property()  # type: ignore[assignment]


class Deaf(LastBatch):
    """It takes nothing."""

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        raise TypeError("no luck")


class Unsafe(Amnesic):
    """Its state runs code when it is loaded."""

    def state_dict(self) -> dict[str, Any]:
        return {"hits": Path("x")}


class Sample:
    """A dataset of one sample.

    Args:
        sample: the one.
        count: how often.
        mean: of its pixels.
    """

    classes = ("a", "b")

    def __init__(self, sample: Any, count: int = 1, mean: Any = None) -> None:
        self.sample, self.count = sample, count
        if mean is not None:
            self.mean = mean

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        return self.sample


class Mute(Hook):
    """It takes anything, and then says nothing of what is wrong."""

    def __init__(self, **anything: Any) -> None:
        if anything:
            raise ConfigError("something is wrong")


class Homesick(Hook):
    """It cannot live elsewhere."""

    def __init__(self) -> None:
        self.home = os.getpid()

    def __setstate__(self, state: dict[str, Any]) -> None:
        raise OSError("no device here")


class DecaysLast(Hook):
    """It changes what the next step would do, when there is none."""

    def after_train(self, run: Runner) -> None:
        run.optimizer.param_groups[0]["weight_decay"] = 0.5


class Flatters(Hook):
    """It changes a figure."""

    def after_run(self, run: Runner) -> None:
        run.final["train/loss"] = 0.0


class Refuses(Transform):
    """It takes nothing. Shapes: none."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        raise ValueError("no luck")


class CropsImages(LeavesMasksBehind):
    """The image is cut, and its mask is not. Shapes: (B, 3, H, W) -> (B, 3, H, 4)."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images[..., :4]


class Blends(LeavesMasksBehind):
    """Between two classes it finds a third. Shapes: (B, 3, H, W) -> same."""

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: pixels * 7)


class RollsByCompany(LeavesMasksBehind):
    """How far it moves hangs on how many there are. Shapes: (B, 3, H, W) -> same."""

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: pixels.roll(len(pixels), 3))


class MovesInSecret(LeavesMasksBehind):
    """It says that it moves nothing. Shapes: (B, 3, H, W) -> same."""

    moves_pixels = False

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: pixels.flip(3))


@pytest.mark.parametrize(
    ("board", "factory"),
    [
        ("hooks", Remembers),
        ("hooks", Passing),
        ("hooks", Steers),
        ("hooks", TalksAnew),
        ("hooks", OfMasks),
        ("transforms", Turns),
        ("datasets", Outlines),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_sound_part_is_not_accused(board: str, factory: Any, boards: None) -> None:
    for case in of_part(specimen(board, factory)):
        case.run()


BROKEN = [
    ("hooks", Silent, "is documented", "no docstring of its own"),
    ("hooks", HalfSilent, "is documented", "does not say what 'other' is"),
    ("transforms", Shapeless, "is documented", "does not say the shapes"),
    ("hooks", Needs, "is sound with its example", "needs 'something'(.|\n)*pegboard_examples"),
    ("hooks", TakesAll, "check refuses a surplus argument", "does not see"),
    ("hooks", TakesAll, "build refuses a surplus argument", "swallowed 'surplus_argument'"),
    ("hooks", Writes, "is built from its example", "left.txt"),
    ("hooks", Nothing, "is built from its example", "no pegboard.Hook"),
    ("transforms", Nothing, "is built from its example", "no pegboard.Transform"),
    ("models", Nothing, "is built from its example", "no torch.nn.Module"),
    ("losses", Nothing, "is built from its example", "cannot be called as loss"),
    ("optimizers", Nothing, "is built from its example", "no torch.optim.Optimizer"),
    ("schedulers", Nothing, "is built from its example", "no LRScheduler"),
    ("metrics", Nothing, "is built from its example", "has no reset and no update and no compute"),
    ("strategies", Nothing, "is built from its example", "no pegboard.Strategy"),
    ("metrics", Undirected, "is built from its example", "which way is better"),
    ("hooks", Mute, "build refuses a surplus argument", "does not name it: something is wrong"),
    ("hooks", Homesick, "survives spawn", "does not work in another process: no device here"),
    ("hooks", DecaysLast, "leaves training as it is", "changed the optimizer"),
    ("hooks", Flatters, "leaves training as it is", "changed the training loss"),
    ("transforms", Refuses, "does to each sample what it would do to it alone", "takes none.*no luck"),
    ("transforms", CropsImages, "moves masks with their images", "gives masks"),
    ("transforms", Blends, "moves masks with their images", "classes that the mask did not have"),
    ("transforms", RollsByCompany, "moves masks with their images", "moves mask 0 otherwise alone"),
    ("transforms", MovesInSecret, "moves masks with their images", "says moves_pixels = False"),
    ("metrics", Unsafe, "resumes", "more than a checkpoint may"),
    ("metrics", Deaf, "resumes", "takes none of what it is tried with.*no luck"),
    ("datasets", Mislabelled, "is built from its example", "targets does not say"),
    ("hooks", Locked, "survives spawn", "cannot be sent to another process"),
    ("models", Process, "survives spawn", "another one in a process"),
    ("datasets", Fickle, "survives spawn", "another one in a process that is started afresh: the target"),
    ("transforms", Batchwise, "does to each sample what it would do to it alone", "sample 0 alone"),
    ("transforms", Drawing, "does to each sample what it would do to it alone", "sample 0 alone"),
    ("transforms", MixesByChance, "does to each sample what it would do to it alone", "a second time"),
    ("transforms", ForgetsTargets, "does to each sample what it would do to it alone", "its target"),
    ("transforms", LeavesMasksBehind, "moves masks with their images", "does not lie as the image does"),
    ("transforms", LeavesSquareMasksBehind, "moves masks with their images", "does not lie as the image does"),
    ("hooks", Forgets, "resumes", "forgot.*'count'"),
    ("hooks", Talks, "resumes", r"forgot \['run_id'\].*an id that a service gave"),
    ("hooks", Ignores, "resumes", "did not take back"),
    ("hooks", Fails, "resumes", "failed in a run.*no luck"),
    ("hooks", CannotGoOn, "resumes", "failed in a run.*no luck the second time"),
    ("hooks", ForgetsMasks, "resumes", "forgot.*'count'"),
    ("hooks", FailsDifferently, "resumes", "expected masks.*where each pixel has a class: no luck with masks"),
    ("hooks", Nudges, "leaves training as it is", "changed the model"),
    ("hooks", LeavesEvalMode, "leaves training as it is", "changed the model"),
    ("metrics", LastBatch, "resumes", "the same samples in one"),
    ("metrics", Amnesic, "resumes", "without a stop"),
    ("metrics", Total, "resumes", "after reset"),
    ("metrics", PerClass, "resumes", "gives a dict; compute.. gives one number"),
    ("schedulers", Counts, "resumes", "resumed after 3 steps"),
    ("optimizers", Wanders, "resumes", "other weights"),
    ("optimizers", Idles, "resumes", "changes no weight"),
    ("models", Fatal, "survives spawn", "ended the process"),  # last: the next one has to import torch again
]


IMAGE = torch.zeros(3, 4, 4, dtype=torch.uint8)
SAMPLES = [
    ({"sample": 1, "count": 0}, "is empty"),
    ({"sample": IMAGE}, "is no pair"),
    ({"sample": ([[1]], 0)}, "gives a list; expected a PIL image"),
    ({"sample": (IMAGE, 2)}, "is of class 2, and there are 2 classes"),
    ({"sample": (IMAGE, 1), "mean": (0.5,)}, "has one of mean and std"),
]


def _reads_badly(config: Config) -> Any:
    return ["no problem"]


def _accuses(config: Config) -> Any:
    return [config.problem("model", "not to my liking")]


def _changes(config: Config) -> Any:
    config.values["seed"] = 1
    return []


def trials() -> Iterator[tuple[str, Callable[[], None], str]]:
    """Each specimen: what it is called, how it is tried, and what is to be said of it."""
    for board, factory, promise, message in BROKEN:
        yield f"{board}.{factory.__name__} {promise}", partial(_try_specimen, board, factory, promise), message
    for arguments, message in SAMPLES:
        part = specimen("datasets", Sample, **arguments)
        yield f"datasets.Sample {arguments}", partial(try_promise, part, "is built from its example"), message
    for command, message in (("say hi", "is no"), (("hi", lambda parser: parser.add_argument("a b", dest="a"), print),
                                                   "cannot be added")):  # fmt: skip
        yield f"command {command}", partial(takes_arguments, ("hi", command)), f"{message}|'hi' {message}"
    for check, message in ((_reads_badly, "a list of Problem"), (_accuses, "not to my liking"), (_changes, "changes")):
        yield f"check {check.__name__}", partial(leaves_alone, check), message
    with registering("specimens"):
        BOARDS["hooks"].add_lazy("Absent", "tests.contract.test_registered_parts:Absent")
    absent = Part("hooks", BOARDS["hooks"].find("specimens:Absent"))
    yield "hooks.Absent", partial(try_promise, absent, "can be imported"), "no attribute 'Absent'"


def _try_specimen(board: str, factory: Any, promise: str) -> None:
    try_promise(specimen(board, factory), promise)


def checks() -> set[tuple[str, int]]:
    """Every place in pegboard.testing that can accuse a part: file and line."""
    places = set()
    for path in Path(testing.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            said = ast.unparse(node) if isinstance(node, ast.Raise | ast.Call) else ""
            if path.stem != "contract" and said.startswith(("expect(", "raise ContractError(")):
                places.add((path.name, node.lineno))
    return places


def accuser(error: BaseException) -> tuple[str, int]:
    """The place that raised it, as ``checks`` has it."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.name != "expect"]
    last = [frame for frame in frames if Path(frame.filename).parent == Path(testing.__file__).parent][-1]
    known = [line for name, line in checks() if name == Path(last.filename).name and line <= (last.lineno or 0)]
    return Path(last.filename).name, max(known)


def test_every_check_has_a_specimen_that_it_catches(boards: None) -> None:
    escaped, caught = [], set()
    for what, trial, message in trials():
        try:
            trial()
            escaped.append(f"{what}: not accused")
        except ContractError as error:
            caught.add(accuser(error))
            escaped += [f"{what}: {error}"] if not re.search(message, str(error)) else []
    assert escaped == []
    assert len(caught) > 40 and sorted(checks() - caught) == []


def test_every_promise_has_a_specimen() -> None:
    every = {*OF_ALL, *(promise for promises in OF_BOARD.values() for promise in promises)}
    assert {promise for _, _, promise, _ in BROKEN} == every - {IMPORTED}
    assert [*OF_COMMANDS, *OF_CHECKS] == ["takes its arguments", "leaves a config alone that has none of its parts"]
    assert {board for board, _, promise, _ in BROKEN if promise == "resumes"} == {
        board for board, promises in OF_BOARD.items() if "resumes" in promises
    }
