"""Maps show where the object is, and depend on what the network has learned.

The pointing game: the maximum of a map falls in the object's box (Zhang et al. 2016, arXiv:1608.00507). The sanity
check: the maps of a network with random weights are others (Adebayo et al. 2018, arXiv:1810.03292).
"""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor
from torch.nn import functional as F

from pegboard import checkpoint
from pegboard.cli import main
from pegboard_data.drawn_shapes import DrawnShapes
from pegboard_models.lenet import LeNet
from pegboard_visual.cam import (
    Cells,
    cells_of,
    eigen_cam,
    grad_cam,
    grad_cam_plus_plus,
    guided_backprop,
    guided_grad_cam,
    is_flat,
    predict,
)
from pegboard_visual.cam.cells import stretched

MOST = 0.3  # mean absolute rank correlation


class Explained(NamedTuple):
    """A trained LeNet and the test images that it gets right.

    Args:
        images: (B, 3, 32, 32) float.
        targets: (B,).
        boxes: (B, 4) left, top, right, bottom, the last two exclusive.
    """

    model: LeNet
    images: Tensor
    targets: Tensor
    boxes: Tensor


def drawn(count: int, split: str) -> tuple[Tensor, Tensor, Tensor]:
    """Images as the network gets them, classes and boxes."""
    data = DrawnShapes(count, split=split)  # type: ignore[arg-type]
    mean, std = torch.tensor(data.mean)[:, None, None], torch.tensor(data.std)[:, None, None]
    return (data.images / 255 - mean) / std, torch.tensor(data.targets), torch.from_numpy(data.boxes)


def explained(model: LeNet, least: float) -> Explained:
    images, targets, boxes = drawn(1000, "test")
    right = predict(model, images).argmax(1) == targets
    assert float(right.float().mean()) >= least
    return Explained(model.eval(), images[right], targets[right], boxes[right])


@pytest.fixture(scope="module")
def quick() -> Explained:
    """LeNet after eight epochs of 6,000 images: about eight seconds, and 94 % of the test images right."""
    images, targets, _ = drawn(6000, "train")
    with torch.random.fork_rng([]):
        torch.manual_seed(1)
        model, size, steps = LeNet(10), 64, 8 * (len(images) // 64)
        optimizer = torch.optim.Adam(model.parameters())
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, steps, pct_start=0.2, cycle_momentum=False)
        order = torch.cat([torch.randperm(len(images)) for _ in range(8)])
        for step in range(steps):
            batch = order[step * size : (step + 1) * size]
            optimizer.zero_grad()
            F.cross_entropy(model(images[batch]), targets[batch]).backward()
            optimizer.step()
            schedule.step()
    return explained(model, least=0.85)


def places(maps: Tensor, cells: Cells) -> tuple[Tensor, Tensor]:
    """Row and column on the image, in pixels, of the middle of each map's largest cell."""
    at = maps.flatten(1).argmax(1)
    rows, columns = at // maps.shape[-1], at % maps.shape[-1]
    return cells.rows.first + cells.rows.step * rows, cells.columns.first + cells.columns.step * columns


def hits(rows: Tensor, columns: Tensor, boxes: Tensor) -> Tensor:
    left, top, right, bottom = (side - 0.5 for side in boxes.T)  # pixel 0 reaches from -0.5 to 0.5
    return ((left <= columns) & (columns < right) & (top <= rows) & (rows < bottom)).float()


class Game(NamedTuple):
    """Shares of the images where a place falls in the box.

    Args:
        score: the map's maximum; a flat map has none, and misses.
        area: the box's share of the image: chance, if any pixel is as likely.
        cell: chance if any cell is as likely: higher, because cells and objects both lie away from the edges.
        others: the maximum of another image's map.
        custom: the maximum, if the map were stretched over the image.
    """

    score: float
    area: float
    cell: float
    others: float
    custom: float


def played(maps: Tensor, cells: Cells, boxes: Tensor) -> Game:
    counts = (~is_flat(maps)).float()
    rows, columns = places(maps, cells)
    every = torch.eye(maps[0].numel()).view(-1, *maps.shape[1:])  # a map for each cell, which is its maximum
    cell = torch.stack([hits(*places(one[None], cells), boxes) for one in every])
    scores = (
        hits(rows, columns, boxes) * counts,
        (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) / 32**2,
        cell,
        hits(rows.roll(7), columns.roll(7), boxes),  # of another class: they take turns
        hits(*places(maps, stretched((32, 32), maps.shape[1:])), boxes) * counts,
    )
    return Game(*(float(score.mean()) for score in scores))


def game(of: Explained, layer: str | None, method: Callable[..., Tensor] = grad_cam) -> Game:
    cells = cells_of(of.model, of.images, layer)
    assert cells is not None
    return played(method(of.model, of.images, of.targets, layer), cells, of.boxes)


@pytest.mark.parametrize(("layer", "least"), [("conv1", 0.9), (None, 0.75)])
def test_the_maximum_falls_on_the_object(quick: Explained, layer: str | None, least: float) -> None:
    found = game(quick, layer)
    assert 0.22 < found.area < 0.26
    assert found.score >= least
    assert found.score > found.cell + 0.15 and found.score > found.others + 0.1


def test_the_pointing_game_catches_maps_at_the_wrong_place(quick: Explained) -> None:
    """The same maps stretched over the image, as is the custom, and maps that are random."""
    found = game(quick, None)
    assert found.custom < found.score - 0.15
    random = game(quick, None, lambda model, images, targets, layer: torch.rand(len(images), 10, 10))
    assert abs(random.score - random.cell) < 0.06


def correlation(one: Tensor, other: Tensor) -> float:
    """Mean absolute rank correlation of maps; a flat one has none and does not count."""
    counts = ~(is_flat(one) | is_flat(other))
    assert float(counts.float().mean()) > 0.7
    pairs = zip(one[counts].flatten(1).numpy(), other[counts].flatten(1).numpy(), strict=True)
    return float(np.mean([abs(spearmanr(*pair).statistic) for pair in pairs]))


def with_random_weights(method: Callable[..., Tensor], of: Explained, seeds: int) -> float:
    """How much the maps of networks with random weights are like those of the trained one, on average over seeds."""
    expected = method(of.model, of.images, of.targets)
    found = []
    for seed in range(seeds):
        with torch.random.fork_rng([]):
            torch.manual_seed(seed)
            model = LeNet(10)
        found.append(correlation(expected, method(model, of.images, of.targets)))
    return float(np.mean(found))


def edges(model: LeNet, images: Tensor, targets: Tensor) -> Tensor:
    """What Adebayo et al. warn of: a picture of the image's edges that the model has no part in."""
    grey = images.mean(1)
    return (grey[:, 1:, 1:] - grey[:, :-1, 1:]).abs() + (grey[:, 1:, 1:] - grey[:, 1:, :-1]).abs()


METHODS = [grad_cam, grad_cam_plus_plus, eigen_cam, guided_backprop, guided_grad_cam]


@pytest.mark.parametrize("method", METHODS)
def test_maps_depend_on_the_weights(quick: Explained, method: Callable[..., Tensor]) -> None:
    some = Explained(quick.model, quick.images[:60], quick.targets[:60], quick.boxes[:60])
    assert with_random_weights(method, some, seeds=3) < MOST


def test_the_sanity_check_catches_an_edge_detector(quick: Explained) -> None:
    some = Explained(quick.model, quick.images[:20], quick.targets[:20], quick.boxes[:20])
    assert with_random_weights(edges, some, seeds=1) > 0.99
    same = grad_cam(some.model, some.images, some.targets, "conv1")
    assert correlation(same, same) > 0.99  # a method that forgot to look at the model it is given


@pytest.mark.slow
def test_a_whole_run(
    tmp_path: Path, repository: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """LeNet as the config trains it on the stand-in, about two minutes: 80 % in the box, and below 0.3 in ranks."""
    monkeypatch.chdir(tmp_path)  # where there is no CIFAR-10
    config = repository / "configs" / "lenet_cifar.py"
    assert main(["train", str(config), "--work-dir", str(tmp_path / "run")]) == 0
    newest = max((tmp_path / "run" / "checkpoints").glob("*.pt"))
    model = LeNet(10)
    model.load_state_dict(checkpoint.load(newest)["model"])
    of = explained(model, least=0.95)
    found = {
        f"{method.__name__} {layer}": game(of, layer, method) for method in METHODS[:3] for layer in ("conv1", "conv2")
    }
    ranks = {method.__name__: with_random_weights(method, of, seeds=5) for method in METHODS}
    with capsys.disabled():
        print(*(f"\n{name}: {' '.join(f'{k} {v:.3f}' for k, v in g._asdict().items())}" for name, g in found.items()))
        print("rank correlations:", {name: round(value, 3) for name, value in ranks.items()})
    assert found["grad_cam conv2"].score >= 0.8  # the default layer
    assert found["grad_cam conv1"].score >= 0.8
    assert max(ranks.values()) < MOST
