"""Embeddings: the features are those of the forward pass, PCA is PCA, and the points are drawn in their colours."""

import csv
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from torch import Tensor, nn

from pegboard import Batch, PegboardError, Pictures, Runner
from pegboard.cli import main
from pegboard_models.lenet import LeNet
from pegboard_visual.features import FeatureWatcher, penultimate
from pegboard_visual.hooks.embedding import Embedding
from pegboard_visual.pictures.embedding import draw_embedding, pca, tsne
from tests import runs
from tests.plugins.pegboard_visual import nets
from tests.plugins.pegboard_visual.conftest import status_of


class Tokens(nn.Module):
    """A network on tokens, whose named layers are not in the order of the forward pass; one is never used."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(6, 4)
        self.first = nn.Linear(3, 6)
        self.unused = nn.Linear(9, 9)

    def forward(self, images: Tensor) -> Tensor:
        tokens = self.first(images.flatten(2).transpose(1, 2))
        logits: Tensor = self.head(tokens).mean(1)
        return logits


pytestmark = pytest.mark.usefixtures("tiny_parts")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, tiny_parts: None) -> Runner:
    hooks = {"embedding": {"type": "Embedding", "samples": 6, "every": "2 epochs"}}
    return runs.train(tmp_path_factory.mktemp("trained"), hooks=hooks)


# -- features --------------------------------------------------------------------------------------------------------


def test_the_last_linear_of_the_forward_pass_is_found() -> None:
    torch.manual_seed(0)
    model, images = LeNet(10).eval(), nets.images(5)
    values, source = penultimate(model, images)
    assert source == "the input of fc3" and values.shape == (5, 84)
    assert torch.allclose(model.fc3(values), model(images), atol=1e-6)  # the real ones: after the functional ReLU


def test_tokens_and_maps_are_averaged_over_their_places() -> None:
    torch.manual_seed(0)
    model, images = Tokens().eval(), nets.images(2, size=4)
    values, source = penultimate(model, images)
    assert source == "the input of head" and values.shape == (2, 6)
    assert torch.allclose(model.head(values), model(images), atol=1e-6)
    maps, source = penultimate(nets.pooled(), images := nets.images(2, size=9), layer="relu2")
    assert source == "the output of relu2"
    assert torch.allclose(nets.pooled().fc(maps), nets.pooled()(images), atol=1e-5)


@pytest.mark.parametrize(
    ("model", "layer", "message"),
    [
        (nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()), None, "no Linear layer is part"),
        (LeNet(10), "fc4", "no layer 'fc4'; did you mean 'fc"),
        (LeNet(10), "", "no layer ''; there are conv1"),
        (Tokens(), "unused", "layer 'unused' is not part of the forward pass"),
        (nn.Sequential(nn.Flatten(0), nn.Linear(3 * 32 * 32, 4)), None, "the input of 1 is shape"),
    ],
)
def test_a_layer_that_cannot_be_read_is_said(model: nn.Module, layer: str | None, message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        penultimate(model, nets.images(1), layer)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


def test_the_samples_are_spread_evenly_and_keep_their_classes() -> None:
    model, images = runs.Tiny(4), torch.rand(20, 3, 8, 8)
    watcher = FeatureWatcher(np.arange(20), 5, None)
    for part in torch.arange(20).split(6):
        batch = Batch(images[part], part % 4, part)
        watcher.add(model, batch, model(batch.inputs))
    features = watcher.read()
    assert features.sample.tolist() == [0, 4, 8, 12, 16] and features.target.tolist() == [0] * 5
    assert features.values == pytest.approx(images[::4].flatten(1).numpy()) and features.classes == 4
    few = FeatureWatcher(np.arange(3), 100, None)
    assert few.wanted == {0, 1, 2}


def test_features_that_are_not_finite_are_refused() -> None:
    watcher, model = FeatureWatcher(np.arange(2), 2, None), runs.Tiny(4)
    images = torch.full((2, 3, 8, 8), float("inf"))
    watcher.add(model, Batch(images, torch.tensor([0, 1]), torch.arange(2)), torch.zeros(2, 4))
    with pytest.raises(PegboardError, match="the input of fc has values that are nan or infinite"):
        watcher.read()


# -- two numbers -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30, 5), (6, 40), (4, 2)])
def test_pca_is_that_of_scikit_learn(shape: tuple[int, int]) -> None:
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32) * np.arange(1, shape[1] + 1)
    points, shares = pca(values)
    theirs = PCA(2, svd_solver="full").fit(values.astype(np.float64))
    expected = theirs.transform(values.astype(np.float64))
    assert np.abs(points) == pytest.approx(np.abs(expected), abs=1e-5)  # their signs follow another rule
    assert shares == pytest.approx(theirs.explained_variance_ratio_, abs=1e-6)
    assert points == pytest.approx(pca(values[::-1])[0][::-1], abs=1e-5)  # and ours do not depend on the order


def test_values_that_do_not_differ_or_have_one_dimension_are_points_all_the_same() -> None:
    points, shares = pca(np.ones((5, 3), np.float32))
    assert points.tolist() == [[0, 0]] * 5 and shares.tolist() == [0, 0]
    points, shares = pca(np.arange(4, dtype=np.float32)[:, None])
    assert points.tolist() == [[-1.5, 0], [-0.5, 0], [0.5, 0], [1.5, 0]] and shares.tolist() == [1, 0]
    with pytest.raises(PegboardError, match="PCA needs at least 2 samples, got 1"):
        pca(np.ones((1, 3), np.float32))


def test_tsne_keeps_clouds_apart_and_draws_no_random_number() -> None:
    random = np.random.default_rng(0)
    target = np.arange(60) % 3
    values = (random.normal(size=(60, 70)) + 20 * np.eye(70)[target]).astype(np.float32)
    before = np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    points = tsne(values)
    assert np.random.get_state()[1].tolist() == before  # type: ignore[union-attr]
    distances = np.linalg.norm(points[:, None] - points[None], axis=2) + np.diag([np.inf] * 60)
    assert (target[distances.argmin(1)] == target).mean() > 0.95
    with pytest.raises(PegboardError, match="t-SNE needs at least 4 samples, got 3"):
        tsne(values[:3])


@pytest.mark.parametrize("classes", [2, 20, 21, 200])
def test_any_number_of_classes_is_drawn(classes: int) -> None:
    random = np.random.default_rng(0)
    target = random.integers(0, classes, 300)
    names = [f"собака $x$ {i}" for i in range(classes)]
    points = random.normal(size=(300, 2)) + target[:, None]
    pixels = draw_embedding(points, target, names, "Embedding_valid", "below", ["one", "other"])
    colours = np.unique(pixels.astype(np.int64) @ [1, 256, 65536])
    assert pixels.dtype == np.uint8 and len(colours) > 2 * classes


# -- the hook and the command ----------------------------------------------------------------------------------------


def test_hook_and_command_give_the_points_of_the_model(
    trained: Runner, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = pca((runs.Dots(12, 1).images[::2] / 255).flatten(1).numpy())[0]
    [shown] = Pictures(trained.folder / "figures").all()
    data = shown.data
    assert (shown.name, data["kind"], data["split"], data["method"]) == ("Embedding_valid", "embedding", "valid", "PCA")
    assert np.array(data["points"]) == pytest.approx(expected, rel=1e-3, abs=1e-3)
    assert data["targets"] == [0, 2] * 3 and data["classes"] == ["a", "b", "c", "d"]
    assert shown.caption == "PCA of the input of fc (192 numbers), 6 samples, epoch 2, iteration 6"

    assert main(["embedding", str(trained.folder), "--out", str(tmp_path), "--samples", "6"]) == 0
    record = json.loads((tmp_path / "Embedding_valid.json").read_text())
    assert record["data"] == data and shown.caption in capsys.readouterr().out
    table = list(csv.reader((tmp_path / "Embedding_valid.csv").read_text().splitlines()))
    assert table[0] == ["sample", "class", "x", "y"] and [row[:2] for row in table[1:3]] == [["0", "a"], ["2", "c"]]
    assert (tmp_path / "Embedding_valid.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--samples", "3"], "--samples: expected an integer from 4 to 20,000, got '3'"),
        (["--layer", "fcc"], "no layer 'fcc'; did you mean 'fc'"),
    ],
)
def test_mistakes_at_the_command_line_are_said(
    arguments: list[str], message: str, trained: Runner, capsys: pytest.CaptureFixture[str]
) -> None:
    assert status_of("embedding", str(trained.folder), *arguments) == 2
    assert message in capsys.readouterr().err


def test_a_layer_that_does_not_exist_is_said_at_the_start(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "pegboard"):
        run = runs.train(tmp_path, hooks={"embedding": {"type": "Embedding", "layer": "fc9"}})
    [record] = [r for r in caplog.records if r.exc_info]
    assert "failed at before_train" in record.getMessage() and "no layer 'fc9'" in str(record.exc_info[1])  # type: ignore[index]
    assert run.iteration == run.total_iterations


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"samples": 3}, "samples must be an integer from 4 to 20,000, got 3"),
        ({"method": "umap"}, "method must be 'pca' or 'tsne', got 'umap'"),
        ({"method": "t-sne"}, "did you mean 'tsne'"),
    ],
)
def test_mistakes_are_said(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(PegboardError, match=message):
        Embedding(**arguments)
