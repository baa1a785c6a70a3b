"""The two fine-tuning configs: sound, and doing what they say on a few images."""

import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pegboard import Batch, Config, Hook, Runner
from pegboard.config import check
from pegboard_models.lenet import LeNet
from tests import runs
from tests.conftest import REPOSITORY

LENET = REPOSITORY / "configs" / "finetune_lenet.py"
RESNET = REPOSITORY / "configs" / "finetune_resnet18_frozen.py"
SHARED = REPOSITORY.parent / "shared" / "data"
TRAINED, REAL = SHARED / "net_params_72p.pkl", SHARED / "cifar10_jpeg.tar.gz"


def on_shapes(file: Path, *options: str, **changes: Any) -> Config:
    """The config on a few drawn shapes, without what takes seconds."""
    config = Config.load(file, ["train.batch_size=4", *options])
    values = dict(config.values)
    for split in ("train", "val"):
        values[split] = {**values[split], "dataset": {"type": "DrawnShapes", "count": 8, "split": split}}
    hooks = {"tensorboard": None, "progress": None, **changes.pop("hooks", {})}
    return Config.from_values({**values, "hooks": hooks, "device": "cpu", "threads": 1, "name": "few", **changes})


@pytest.mark.parametrize(
    ("file", "options"), [(LENET, []), (RESNET, []), (RESNET, ["phases=None"]), (RESNET, ["weights=None"])]
)
def test_they_are_sound(file: Path, options: list[str]) -> None:
    assert check(Config.load(file, options)) == []


def test_lenet_starts_from_the_weights_and_moves_its_last_layer_fastest(tmp_path: Path) -> None:
    torch.manual_seed(1)
    theirs = LeNet(10).state_dict()
    torch.save(theirs, tmp_path / "weights.pkl")
    run = Runner(on_shapes(LENET, f"weights={str(tmp_path / 'weights.pkl')!r}"), tmp_path / "run", try_iterations=1)
    run.train()
    assert [(group["name"], group["lr_mult"]) for group in run.optimizer.param_groups] == [("fc3.*", 10), ("rest", 1.0)]
    rates = [group["initial_lr"] for group in run.optimizer.param_groups]
    assert rates[0] == pytest.approx(10 * rates[1])
    changed = {name: (tensor - theirs[name]).abs().max().item() for name, tensor in run.model.state_dict().items()}
    assert changed["fc3.weight"] > 0 and all(change < 0.05 for change in changed.values())


class Remembers(Hook):
    """The weights and buffers at the beginning, and at the end of each phase."""

    essential = True

    def before_train(self, run: Runner) -> None:
        self.states: list[dict[str, torch.Tensor]] = []
        self.keep(run)

    def after_train_iter(self, run: Runner, batch: Batch, loss: torch.Tensor, outputs: Any) -> None:
        if run.iteration == run.phases[run.phase].end:
            self.keep(run)

    def keep(self, run: Runner) -> None:
        self.states.append({name: tensor.clone() for name, tensor in run.model.state_dict().items()})


def test_resnet_trains_its_head_alone_and_then_everything(tmp_path: Path, boards: None) -> None:
    remembers = Remembers()
    part = runs.hang("hooks", "remembers", remembers)
    config = on_shapes(RESNET, "size=32", "weights=None", hooks={"remembers": part})
    Runner(config, tmp_path / "run", try_iterations=2).train()
    begin, first, second = remembers.states
    moved = {name for name in begin if not runs.same(begin[name], first[name])}
    assert moved == {"fc.weight", "fc.bias"}
    later = {name for name in begin if not runs.same(first[name], second[name])}
    assert {"conv1.weight", "bn1.running_mean", "layer4.1.conv2.weight", "fc.weight"} <= later


def test_without_phases_everything_is_trained_from_the_first_step(tmp_path: Path) -> None:
    config = on_shapes(RESNET, "size=32", "weights=None", "phases=None")
    run = Runner(config, tmp_path / "run", try_iterations=1)
    run.train()
    assert len(run.phases) == 1
    assert all(parameter.requires_grad for parameter in run.model.parameters())


def test_its_weights_are_those_of_a_file_in_the_hub_with_a_fresh_head(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.models import ResNet18_Weights, resnet18

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    (tmp_path / "checkpoints").mkdir()
    torch.manual_seed(2)
    theirs = resnet18().state_dict()
    torch.save(theirs, tmp_path / "checkpoints" / ResNet18_Weights.DEFAULT.url.rpartition("/")[2])
    run = Runner(on_shapes(RESNET, "size=32"), tmp_path / "run", try_iterations=1)
    phases = [{"train_for": "1 iter", "freeze": ["conv1", "bn1", "layer*"]}]
    run.config.values.update(phases=phases, train_for=None)
    run.train()
    assert isinstance(run.model.fc, nn.Linear) and run.model.fc.out_features == 10
    own = run.model.state_dict()
    assert all(runs.same(own[name], theirs[name]) for name in theirs if not name.startswith("fc."))
    state = runs.newest(tmp_path / "run")
    (tmp_path / "checkpoints" / ResNet18_Weights.DEFAULT.url.rpartition("/")[2]).unlink()
    again = Runner(run.config)  # a state is loaded: nothing is fetched
    again.config.values["test"] = run.config.values["val"]
    again.test(state=state)
    assert runs.same(dict(again.model.state_dict()), dict(own))


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The 5,000 real test images; of the training images only the names of the classes."""
    for file in (TRAINED, REAL):
        if not file.is_file():
            pytest.skip(f"no {file.name} in shared/data beside the repository")
    root = tmp_path_factory.mktemp("photographs")
    with tarfile.open(REAL) as tar:
        members = tar.getmembers()
        tar.extractall(root, [member for member in members if "/test/" in member.name], filter="data")
    for name in {Path(member.name).parent.name for member in members if "/test/" in member.name and member.isfile()}:
        (root / "cifar10" / "train" / name).mkdir(parents=True)
    return root / "cifar10"


@pytest.mark.parametrize(
    ("config", "accuracy"),
    [("finetune_lenet.py", 0.7094), ("lenet_cifar.py", 0.7096)],
    ids=["its own scale", "CIFAR's"],
)
def test_the_tutorials_weights_score_what_they_are_known_for(photographs: Path, config: str, accuracy: float) -> None:
    from pegboard import checkpoint

    run = Runner(Config.load(REPOSITORY / "configs" / config, [f"data_root={str(photographs)!r}", "device='cpu'"]))
    assert run.test(state={"model": checkpoint.load(TRAINED)})["test/top1"] == pytest.approx(accuracy, abs=3e-4)
