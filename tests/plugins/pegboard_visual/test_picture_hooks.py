"""FeatureMaps, Histograms, Kernels and Samples draw during training, and training does not notice."""

import json
import logging
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from pegboard import Hook, PegboardError, Pictures, Runner
from pegboard_visual.hooks.feature_maps import FeatureMaps
from pegboard_visual.hooks.histograms import Histograms
from pegboard_visual.hooks.kernels import Kernels
from pegboard_visual.hooks.samples import Samples
from tests import runs
from tests.plugins.pegboard_visual import nets

pytestmark = pytest.mark.usefixtures("tiny_parts", "boards")


def train(folder: Path, **changes: Any) -> Runner:
    return runs.train(folder, **{"model": {"type": "Drawn"}, **changes})


def drawn(folder: Path) -> list[tuple[int, str]]:
    return [(shown.iteration, shown.name) for shown in Pictures(folder / "figures").all()]


def data_of(folder: Path, name: str) -> list[dict[str, Any]]:
    return [dict(shown.data) for shown in Pictures(folder / "figures").all() if shown.name == name]


# -- when -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"type": "Histograms", "every": "2 epochs"}, [(6, "Histograms"), (9, "Histograms")]),
        ({"type": "Histograms", "every": "4 iters"}, [(4, "Histograms"), (8, "Histograms"), (9, "Histograms")]),
        ({"type": "Samples", "every": "2 epochs"}, [(0, "Samples"), (6, "Samples"), (9, "Samples")]),
        (
            {"type": "Kernels", "layers": "conv2", "every": "2 epochs"},
            [(0, "conv2_all"), (6, "conv2_all"), (9, "conv2_all"), (9, "conv2_split_in_channel")],
        ),
        (
            {"type": "FeatureMaps", "every": "2 epochs", "layers": ["relu*"], "most_layers": 1},
            [(6, "Feature_Maps_relu1"), (9, "Feature_Maps_relu1")],
        ),
    ],
)
def test_each_draws_every_so_often_and_at_the_end(tmp_path: Path, part: Any, expected: Any) -> None:
    train(tmp_path, hooks={"looks": part}, train_for="3 epochs")
    assert drawn(tmp_path) == expected


def test_a_resumed_run_goes_on_with_its_histograms(tmp_path: Path) -> None:
    class Stops(Hook):
        def after_train_iter(self, run: Runner, batch: Any, loss: Any, outputs: Any) -> None:
            if run.iteration == 4:
                run.stop("enough")

    hooks = {"looks": {"type": "Histograms"}}
    train(tmp_path, hooks={**hooks, "stops": runs.hang("hooks", "stops", Stops())}, train_for="3 epochs")
    assert drawn(tmp_path) == [(3, "Histograms"), (4, "Histograms")]
    last = Pictures(tmp_path / "figures").all()[-1]  # the step is over: of its gradients nothing is left
    assert set(last.data["tensors"]) == {f"{name}_data" for name, _ in nets.Pooled().named_parameters()}
    assert last.caption == "Weights, epoch 2, iteration 4" and not last.data["notes"]
    state = runs.newest(tmp_path)
    run = runs.runner(tmp_path, state, model={"type": "Drawn"}, hooks=hooks, train_for="3 epochs")
    run.train()
    assert drawn(tmp_path) == [(n, "Histograms") for n in (3, 4, 6, 9)]
    hook = run.hooks["looks"]
    assert isinstance(hook, Histograms) and [moment.iteration for moment in hook.moments] == [3, 6, 9]


# -- what -----------------------------------------------------------------------------------------------------------


class Sees(Hook):
    """Keeps what an epoch's last step really was, by other means than the hook."""

    def __init__(self) -> None:
        self.seen: dict[int, dict[str, Any]] = {}

    def before_optimizer_step(self, run: Runner) -> None:
        clipped = {name: p.grad.clone() for name, p in run.model.named_parameters() if p.grad is not None}
        before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
        self.seen[run.iteration + 1] = {"clipped": clipped, "before": before}

    def after_optimizer_step(self, run: Runner) -> None:
        self.seen[run.iteration + 1]["after"] = {n: p.detach().clone() for n, p in run.model.named_parameters()}


def test_histograms_are_of_the_epochs_last_step_before_clipping(tmp_path: Path) -> None:
    """Clipping to a norm divides all gradients by one number: those seen before it are that much larger."""
    sees, limit = Sees(), 0.01
    hooks = {"looks": {"type": "Histograms"}, "sees": runs.hang("hooks", "Sees", sees)}
    train(tmp_path, hooks=hooks, clip_grad={"norm": limit})
    for number, data in zip((3, 6), data_of(tmp_path, "Histograms"), strict=True):
        seen = sees.seen[number]
        clipped = torch.cat([gradient.flatten() for gradient in seen["clipped"].values()])
        assert float(clipped.norm()) == pytest.approx(limit, rel=1e-3)
        factors = set()
        for name, gradient in seen["clipped"].items():
            record = data["tensors"][f"{name}_grad"]
            if (largest := float(gradient.abs().max())) > 1e-8:
                factors.add(round(max(abs(record["edges"][0]), abs(record["edges"][-1])) / largest, 2))
            weights = seen["after"][name]
            assert data["tensors"][f"{name}_data"]["edges"][-1] == pytest.approx(float(weights.max()), rel=2e-3)
            if float(size := seen["before"][name].norm()):
                change = float((weights - seen["before"][name]).norm() / size)
                assert data["update_ratio"][name] == pytest.approx(change, rel=1e-4)
        [factor] = {round(factor) for factor in factors}
        assert factor > 2


def test_fp16_gradients_are_seen_at_their_own_size(tmp_path: Path) -> None:
    """A scaler multiplies them by 65536 first."""
    hooks = {"looks": {"type": "Histograms"}}
    for precision in ("fp32", "fp16"):
        model = {"model": {"type": "Tiny"}, "precision": precision, "train_for": "1 epoch"}
        train(tmp_path / precision, hooks=hooks, **model)
    [full], [half] = (data_of(tmp_path / precision, "Histograms") for precision in ("fp32", "fp16"))
    one, other = (data["tensors"]["fc.weight_grad"]["std"] for data in (full, half))
    assert other == pytest.approx(one, rel=0.05)


def test_a_frozen_parameter_is_skipped_with_a_note(tmp_path: Path) -> None:
    train(tmp_path, hooks={"looks": {"type": "Histograms"}}, freeze=["conv1"], train_for="1 epoch")
    [data] = data_of(tmp_path, "Histograms")
    assert "no gradient, skipped: conv1.weight, conv1.bias" in data["notes"]
    assert "conv1.weight_data" in data["tensors"] and "conv1.weight_grad" not in data["tensors"]


def test_an_optimizer_that_asks_for_gradients_itself_has_histograms_too(tmp_path: Path) -> None:
    train(
        tmp_path,
        hooks={"looks": {"type": "Histograms"}},
        optimizer={"type": "LBFGS", "lr": 0.1, "max_iter": 3},
        model={"type": "Tiny"},
        train_for="1 epoch",
    )
    [data] = data_of(tmp_path, "Histograms")
    assert {"fc.weight_data", "fc.weight_grad"} <= data["tensors"].keys()


@pytest.mark.parametrize("more", [0, 1])
def test_a_dead_unit_is_said(more: int, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Kills(Hook):
        def before_train_epoch(self, run: Runner) -> None:
            run.model.conv2.bias.data[1 : 2 + more * run.epoch] = -1e6  # type: ignore[index, union-attr]

    hooks = {"looks": {"type": "Histograms"}, "kills": runs.hang("hooks", "kills", Kills())}
    with caplog.at_level(logging.INFO, "pegboard"):
        train(tmp_path, hooks=hooks)
    note = "conv2.weight: {} of 5 units got no gradient from the whole batch: they may be dead"
    for epoch, data in enumerate(data_of(tmp_path, "Histograms")):
        assert note.format(1 + more * epoch) in data["notes"]
    said = [record.getMessage() for record in caplog.records if "conv2.weight: " in record.getMessage()]
    assert len(said) == 1 and note.format(1) in said[0]  # once, not each epoch, nor each time that the figure changes


def test_samples_are_what_the_network_got(tmp_path: Path) -> None:
    batches: list[Any] = []

    class Keeps(Hook):
        def before_train_iter(self, run: Runner, batch: Any) -> None:
            batches.append(batch)

    keeps = runs.hang("hooks", "keeps", Keeps())
    mixed = [*runs.values()["train"]["transforms"], {"type": "MixUp"}]
    values = runs.values()["train"] | {"transforms": mixed}
    train(
        tmp_path,
        hooks={"looks": {"type": "Samples", "images": 4, "every": "1 epoch"}, "keeps": keeps},
        train=values,
        train_for="1 epoch",
        metrics={},
    )
    first_and_last = data_of(tmp_path, "Samples")
    for data, batch in zip(first_and_last, (batches[0], batches[-1]), strict=True):
        assert data["samples"] == batch.index[:4].tolist()
        share = float(batch.targets[0].max())
        assert data["labels"][0].split()[1] == f"{100 * share:.0f}" or share > 0.995


# -- TensorBoard ----------------------------------------------------------------------------------------------------


def test_tensorboard_has_them_all(tmp_path: Path) -> None:
    every = {"every": "1 epoch"}
    hooks = {
        "feature_maps": {"type": "FeatureMaps", "images": 2, **every},
        "histograms": {"type": "Histograms"},
        "kernels": {"type": "Kernels", **every},
        "samples": {"type": "Samples", "images": 4, **every},
    }
    train(tmp_path, hooks={**hooks, "tensorboard": {"type": "TensorBoard"}})
    [file] = (tmp_path / "tensorboard").glob("*tfevents*")
    events = EventAccumulator(str(file), size_guidance={"images": 0, "histograms": 0})
    events.Reload()
    kernels = [f"{layer}_{kind}" for layer in ("conv1", "conv2") for kind in ("all", "split_in_channel")]
    assert set(events.Tags()["images"]) == {"Feature_Maps_conv1", "Feature_Maps_conv2", "Samples", *kernels}
    assert [image.step for image in events.Images("conv1_split_in_channel")] == [0, 1, 2, 3]  # one per output map
    assert [image.step for image in events.Images("conv1_all")] == [0, 3, 6]
    parameters = [name for name, _ in nets.Pooled().named_parameters()]
    assert set(events.Tags()["histograms"]) == {f"{p}_{kind}" for p in parameters for kind in ("data", "grad")}
    weights = runs.newest(tmp_path)["model"]["conv2.weight"]
    first, last = events.Histograms("conv2.weight_data")
    assert (first.step, last.step) == (3, 6)
    value = last.histogram_value
    assert value.num == sum(value.bucket) == weights.numel()
    assert value.sum == pytest.approx(float(weights.double().sum()), rel=1e-3, abs=1e-3)
    assert math.isclose(value.sum_squares, float(weights.double().square().sum()), rel_tol=1e-3)
    assert (value.min, value.max) == pytest.approx((float(weights.min()), float(weights.max())), rel=1e-5)


def test_frames_are_pictures_and_no_files(tmp_path: Path) -> None:
    class Shows(Hook):
        def before_train(self, run: Runner) -> None:
            frames = [np.full((4, 5), level, np.uint8) for level in (0, 128)]
            run.show("sheet", np.zeros((9, 9)), frames=frames)
            with pytest.raises(PegboardError, match="a frame of sheet: float pixels go from 0 to 1"):
                run.show("sheet", np.zeros((9, 9)), frames=[np.full((4, 5), 7.0)])

    hooks = {"shows": runs.hang("hooks", "shows", Shows()), "tensorboard": {"type": "TensorBoard"}}
    train(tmp_path, hooks=hooks, train_for="1 epoch")
    assert sorted(path.name for path in (tmp_path / "figures").rglob("*.*")) == ["sheet.json", "sheet.png"]
    assert "frames" not in json.loads(next((tmp_path / "figures").rglob("*.json")).read_text())
    [file] = (tmp_path / "tensorboard").glob("*tfevents*")
    events = EventAccumulator(str(file))
    events.Reload()
    assert [(image.step, image.width, image.height) for image in events.Images("sheet")] == [(0, 5, 4), (1, 5, 4)]


# -- mistakes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "part", [{"type": "FeatureMaps", "layers": "convv1"}, {"type": "Kernels", "layers": ["convv1"]}]
)
def test_a_layer_that_does_not_exist_is_said_at_the_start_and_training_goes_on(
    tmp_path: Path, part: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, "pegboard"):
        run = train(tmp_path, hooks={"looks": part})
    [record] = [r for r in caplog.records if r.levelno == logging.ERROR]
    assert "failed at before_train and is switched off" in record.getMessage()
    assert "'convv1'; did you mean 'conv1'" in str(record.exc_info and record.exc_info[1])
    assert run.iteration == run.total_iterations and drawn(tmp_path) == []


@pytest.mark.parametrize(
    ("hook", "arguments", "message"),
    [
        (FeatureMaps, {"images": 0}, "images must be an integer from 1 to 64, got 0"),
        (FeatureMaps, {"maps": "all"}, "maps must be an integer, at least 1, got 'all'"),
        (Histograms, {"every": "5"}, "every: '5' is not a duration"),
        (Histograms, {"rows": 0}, "rows must be an integer, at least 1, got 0"),
        (Kernels, {"most_layers": True}, "most_layers must be an integer, at least 1, got True"),
        (Samples, {"images": 1000}, "images must be an integer from 1 to 256, got 1000"),
    ],
)
def test_mistakes_are_said(hook: Any, arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        hook(**arguments)
