"""What "coming from" says of a plain loop, mmengine and Lightning runs with the real ones, and is one run."""

import inspect
import re
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from pegboard import DATASETS, MODELS
from tests.conftest import restored_boards
from tests.docs.blocks import DOCS, blocks, tables
from tests.docs.settings import wrong_in

PYTHON = [block for block in blocks(DOCS / "coming_from.md") if block.language == "python"]
# 64 images, one batch; what takes ten epochs takes two
SHORTER = {"count=2000": "count=64", "count=200,": "count=64,", "max_epochs=10": "max_epochs=2"}
SHORTER |= {"T_max=10": "T_max=2", "range(10)": "range(2)"}


def block(words: str) -> str:
    """The block that holds ``words``, made shorter."""
    [text] = [found.text for found in PYTHON if words in found.text]
    for long, short in SHORTER.items():
        text = text.replace(long, short)
    return text


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """The names that the page takes for granted; ``rates`` collects the learning rate after each step."""
    import torch
    from torch import nn
    from torch.utils.data import DataLoader, Dataset

    class Shapes(Dataset):  # type: ignore[type-arg]
        """What DrawnShapes gives, as floats."""

        def __init__(self, count: int = 64, split: str = "train") -> None:
            self.shapes = DATASETS.build({"type": "DrawnShapes", "count": count, "split": split})

        def __len__(self) -> int:
            return len(self.shapes)

        def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
            image, target = self.shapes[index]
            return image.float() / 255, target

    rates: list[float] = []

    class SGD(torch.optim.SGD):
        def step(self, *arguments: Any, **named: Any) -> Any:
            rates.append(self.param_groups[0]["lr"])
            return super().step(*arguments, **named)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.optim, "SGD", SGD)
    for name in ("PL_GLOBAL_SEED", "PL_SEED_WORKERS"):  # which seed_everything sets, and leaves
        monkeypatch.setenv(name, "0")
    state = torch.random.get_rng_state()
    with restored_boards(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, of which there are many
        yield {
            "torch": torch,
            "nn": nn,
            "DataLoader": DataLoader,
            "Shapes": Shapes,
            "shapes": Shapes(),
            "LeNet": lambda classes: MODELS.build({"type": "LeNet", "num_classes": classes}),
            "rates": rates,
        }
    torch.random.set_rng_state(state)


def goes_down_a_cosine(rates: list[float]) -> bool:
    """Two steps over the whole of a cosine: all of the rate, then half of it."""
    return rates == pytest.approx([0.05, 0.025])


def test_the_plain_loop(given: dict[str, Any], tmp_path: Path) -> None:
    exec(block("for epoch in range"), given)
    assert sorted(path.name for path in tmp_path.glob("*.pth")) == ["epoch_0.pth", "epoch_1.pth"]
    assert goes_down_a_cosine(given["rates"])


def test_lightning(given: dict[str, Any]) -> None:
    lightning = pytest.importorskip("lightning", reason="no lightning; it comes with the extra [bench]")
    import torchmetrics

    loaders = {f"{part}_loader": given["DataLoader"](given["Shapes"](64, part), 64) for part in ("train", "val")}
    trainers = []

    def trainer(**arguments: Any) -> Any:
        trainers.append(lightning.Trainer(**arguments, logger=False, enable_progress_bar=False, accelerator="cpu"))
        return trainers[-1]

    theirs = {"LightningModule": lightning.LightningModule, "seed_everything": lightning.seed_everything}
    exec(block("LightningModule"), given | loaders | theirs | {"Trainer": trainer, "torchmetrics": torchmetrics})
    assert goes_down_a_cosine(given["rates"])
    assert "val/top1" in trainers[0].callback_metrics


def test_mmengine(given: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("mmengine", reason="no mmengine; it comes with the extra [bench]")
    from mmengine import registry
    from mmengine.config import Config as TheirConfig
    from mmengine.evaluator import BaseMetric
    from mmengine.model import BaseModel
    from mmengine.runner import Runner

    class LeNetWithLoss(BaseModel):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.net = given["LeNet"](10)

        def forward(self, inputs: Any, targets: Any, mode: str) -> Any:
            logits = self.net(inputs)
            if mode == "loss":
                return {"loss": given["nn"].functional.cross_entropy(logits, targets)}
            return [SimpleNamespace(right=right) for right in (logits.argmax(1) == targets).tolist()]

    class Accuracy(BaseMetric):  # type: ignore[misc]
        def process(self, batch: Any, samples: Any) -> None:
            self.results += [sample["right"] if isinstance(sample, dict) else sample.right for sample in samples]

        def compute_metrics(self, results: list[bool]) -> dict[str, float]:
            return {"top1": sum(results) / len(results)}

    (tmp_path / "config.py").write_text(block("train_dataloader") + "optimzer = dict(type='nobody reads this')\n")
    parts = {
        "MODELS": LeNetWithLoss,
        "DATASETS": given["Shapes"],
        "METRICS": Accuracy,
        "OPTIMIZERS": given["torch"].optim.SGD,
    }
    for board, part in parts.items():
        monkeypatch.setitem(getattr(registry, board).module_dict, part.__name__, part)
    config = TheirConfig.fromfile(str(tmp_path / "config.py"))
    config.work_dir = str(tmp_path / "run")
    config.log_level = "ERROR"
    Runner.from_cfg(config).train()  # and an unknown key is ignored, as the page says
    assert goes_down_a_cosine(given["rates"])
    assert sorted(path.name for path in (tmp_path / "run").glob("epoch_*.pth")) == ["epoch_1.pth", "epoch_2.pth"]


def test_a_schedule_of_another_length_is_found() -> None:
    assert not goes_down_a_cosine([0.05, 0.05])


# -- what the tables say -----------------------------------------------------------------------------------------------

TABLES = tables(DOCS / "coming_from.md")


def test_what_stands_on_the_right_is_ours(tmp_path: Path) -> None:
    assert wrong_in([row[-1] for rows in TABLES for row in rows], tmp_path) == []


def test_what_stands_on_the_left_is_theirs() -> None:
    """Arguments of Lightning's Trainer and its ``fit``, and what mmengine's Runner takes from a config."""
    lightning = pytest.importorskip("lightning", reason="no lightning; it comes with the extra [bench]")
    runner = pytest.importorskip("mmengine.runner", reason="no mmengine; it comes with the extra [bench]").Runner
    takes = {"Trainer": inspect.signature(lightning.Trainer), "fit": inspect.signature(lightning.Trainer.fit)}
    [*_, of_mmengine, of_lightning] = TABLES
    calls = re.findall(r"`(\w+)\((\w+)=[^.]", " ".join(row[0] for row in of_lightning))
    assert len(calls) >= 5
    for function, argument in calls:
        assert argument in takes[function].parameters, argument
    for name in re.findall(r"`([A-Z]\w+)", " ".join(row[0] for row in of_lightning)):
        places = (lightning, lightning.pytorch.callbacks, import_module("lightning.pytorch.cli"))
        assert any(hasattr(place, name) for place in places), name
    keys = {*inspect.signature(runner).parameters}
    for key in (
        "train_dataloader",
        "optim_wrapper",
        "param_scheduler",
        "val_evaluator",
        "default_hooks",
        "custom_hooks",
    ):
        assert key in keys and any(f"`{key}`" in row[0] for row in of_mmengine), key


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("`acumulate=4`", "there is no such key"),
        ("`clip_grad=dict(nrom=1.0)`", "nrom"),
        ('`precision="bf17"`', "bf17"),
        ('`optimizer=[dict(type="Muon", match="fc?.weight", ...), dict(type="AdamV", ...)]`', "AdamV"),
        ("`EarlyStopping` ends it", "EarlyStopping: nobody has it"),
        ('`accumulate=4`, `workers=2`, `freeze=["conv*"]`, `EarlyStop`, `--resume`', ""),
    ],
)
def test_a_setting_that_is_wrong_is_found(text: str, words: str, tmp_path: Path) -> None:
    wrong = wrong_in([text], tmp_path)
    assert words in wrong[0] if words else not wrong
