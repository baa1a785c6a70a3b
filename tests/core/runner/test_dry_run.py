"""Before a run: the layer that cannot take what it gets is named; nothing of model or generators is changed."""

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pegboard import Batch, ConfigError
from pegboard.runner.dry_run import dry_run
from pegboard.runner.step import Step
from tests import runs


def step(model: nn.Module) -> Step:
    return Step(model, nn.CrossEntropyLoss(), torch.device("cpu"), "fp32", False)


def conv(channels: int = 3) -> dict[str, Any]:
    return {"type": "Conv2d", "in_channels": channels, "out_channels": 4, "kernel_size": 3}


def linear(size: int) -> dict[str, Any]:
    return {"type": "Linear", "in_features": size, "out_features": "num_classes"}


BATCH_NORM = {"type": "BatchNorm2d", "num_features": 5}
NAMED = {"conv": conv(), "relu": {"type": "ReLU"}, "flat": {"type": "Flatten"}}

WRONG = {
    "linear": (
        {**NAMED, "fc": linear(100)},
        "model: layer 'fc', Linear, expects (..., 100), got (2, 144); in_features=144 would fit",
    ),
    "conv": (
        {"first": conv(), "second": conv(8)},
        "model: layer 'second', Conv2d, expects (B, 8, H, W), got (2, 4, 6, 6); in_channels=4 would fit",
    ),
    "flattened too early": (
        {"flat": {"type": "Flatten"}, "conv": conv()},
        "model: layer 'conv', Conv2d, expects (B, 3, H, W), got (2, 192)",
    ),
    "norm": (
        {"conv": conv(), "bn": BATCH_NORM},
        "model: layer 'bn', BatchNorm2d, expects (B, 5, ...), got (2, 4, 6, 6); num_features=4 would fit",
    ),
    "nested": (
        {"trunk": {"type": "Sequential", "layers": NAMED}, "head": {"type": "Sequential", "layers": [linear(7)]}},
        "model: layer 'head.0', Linear, expects (..., 7), got (2, 144); in_features=144 would fit",
    ),
    "kernel": (
        {"big": {**conv(), "kernel_size": 9}},
        "model: layer 'big', Conv2d, cannot take (2, 3, 8, 8): Calculated padded input size per channel: (8 x 8)",
    ),
    "layer norm": (
        {"norm": {"type": "LayerNorm", "normalized_shape": [8, 7]}},
        "model: layer 'norm', LayerNorm, expects (..., 8, 7), got (2, 3, 8, 8)",
    ),
    "two inputs": (
        {"both": {"type": "Bilinear", "in1_features": 2, "in2_features": 2, "out_features": 2}},
        "model: layer 'both', Bilinear, cannot take (2, 3, 8, 8): Bilinear.forward() missing 1 required",
    ),
}


@pytest.mark.parametrize(("layers", "message"), WRONG.values(), ids=WRONG)
def test_the_layer_is_named_with_both_shapes_before_anything_is_written(
    tmp_path: Path, layers: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        runs.train(tmp_path / "run", model={"type": "Sequential", "layers": layers})
    assert str(caught.value).startswith(message)
    assert len(str(caught.value).splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_images_that_are_still_integers(tmp_path: Path) -> None:
    train = {**runs.values()["train"], "transforms": []}
    with pytest.raises(ConfigError, match=r"'fc', Linear, cannot take .*; it got uint8: is ToFloat among"):
        runs.train(tmp_path / "run", train=train)


def test_a_models_own_code_fails_in_the_run_with_its_own_traceback(tmp_path: Path) -> None:
    class Fails(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = nn.Linear(2, 2)

        def forward(self, images: Tensor) -> Tensor:
            raise ValueError("of my own")

    with pytest.raises(ValueError, match="of my own"):
        runs.train(tmp_path / "run", model=runs.hang("models", "fails", Fails()))


def test_a_mismatch_in_a_models_own_code_names_the_model(tmp_path: Path) -> None:
    class Adds(runs.Tiny):
        def forward(self, images: Tensor) -> Tensor:
            return super().forward(images) + torch.zeros(3)

    with pytest.raises(ConfigError, match=r"model: Adds cannot take \(2, 3, 8, 8\): The size of tensor a \(4\)"):
        runs.train(tmp_path / "run", model=runs.hang("models", "adds", Adds(4)))


class Changeable(nn.Module):
    """Everything that a look at it could change."""

    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(3)
        self.frozen = nn.BatchNorm2d(3).eval()
        self.drop = nn.Dropout(0.5)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("last", None)

    def forward(self, images: Tensor) -> Tensor:
        self.calls += 1  # type: ignore[operator, has-type]
        self.last = images.mean() + torch.rand(())
        return self.drop(self.frozen(self.bn(images)))


def test_nothing_is_changed() -> None:
    model = Changeable()
    modes = {name: module.training for name, module in model.named_modules()}
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    dry_run(step(model), torch.rand(2, 3, 4, 4))
    assert {name: module.training for name, module in model.named_modules()} == modes
    assert model.last is None
    assert runs.same(dict(model.state_dict()), state)
    assert all(p.grad is None for p in model.parameters())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_a_model_that_fails_is_unchanged_too() -> None:
    model = nn.Sequential(Changeable(), nn.Linear(3, 3))
    with pytest.raises(ConfigError):
        dry_run(step(model), torch.rand(2, 3, 4, 4))
    assert model[0].calls == 0 and model[0].bn.training and not model[0].frozen.training


def test_a_model_with_a_training_step_is_left_alone() -> None:
    class Own(runs.Tiny):
        def training_step(self, batch: Batch, criterion: Any) -> Any: ...

    dry_run(step(Own(4)), torch.rand(2, 1))


def test_a_run_is_bit_for_bit_what_it_was_without(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = {"type": "Tiny", "dropout": 0.5}
    looked = runs.train(tmp_path / "a", model=model)
    monkeypatch.setattr("pegboard.runner.prepare.dry_run", lambda *_: None)
    monkeypatch.setattr(
        "pegboard.runner.build.Builder.glimpse", lambda *_: Batch(torch.zeros(0), torch.zeros(0), torch.zeros(0))
    )
    not_looked = runs.train(tmp_path / "b", model=model)
    assert runs.same(dict(looked.model.state_dict()), dict(not_looked.model.state_dict()))
    assert (tmp_path / "a" / "metrics.jsonl").read_bytes() == (tmp_path / "b" / "metrics.jsonl").read_bytes()


def test_what_the_data_says_of_its_size_is_kept(tmp_path: Path) -> None:
    run = runs.train(tmp_path / "run")
    assert (run.facts["image_size"], run.facts["input_shape"]) == ([8, 8], [3, 8, 8])
    assert runs.newest(tmp_path / "run")["known"]["input_shape"] == [3, 8, 8]


def test_validation_data_of_another_size_is_found_before_the_first_epoch(tmp_path: Path) -> None:
    val = {**runs.values()["val"], "dataset": {"type": "Dots", "size": 9}}
    message = r"model: with 'val' data: layer 'fc', Linear, expects \(\.\.\., 192\), got \(2, 243\)"
    with pytest.raises(ConfigError, match=message):
        runs.train(tmp_path / "run", val=val)


def test_lazy_layers_take_their_shapes_from_the_data_and_resume(tmp_path: Path) -> None:
    layers = [
        {"type": "LazyConv2d", "out_channels": 4, "kernel_size": 3},
        {"type": "LazyBatchNorm2d"},
        {"type": "Flatten"},
        {"type": "LazyLinear", "out_features": "num_classes"},
    ]
    model = {"type": "Sequential", "layers": layers}
    whole = runs.train(tmp_path / "whole", model=model)
    assert whole.model[3].in_features == 144
    again = runs.runner(tmp_path / "part", runs.checkpoint(tmp_path / "whole", 3), model=model)
    again.train()
    assert runs.same(dict(again.model.state_dict()), dict(whole.model.state_dict()))
    test = runs.runner(tmp_path / "test", model=model, test=runs.values()["val"])
    assert "test/top1" in test.test(state=runs.newest(tmp_path / "whole"))


def test_the_glimpse_says_nothing_of_itself(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It reads its images through a loader of its own; a run's log tells of the run's loaders alone."""
    with caplog.at_level(logging.INFO, "pegboard"):
        runs.train(tmp_path, train_for="1 epoch")
    engines = [record.getMessage().split(":")[0] for record in caplog.records if " engine (" in record.getMessage()]
    assert engines == ["train", "val"]
