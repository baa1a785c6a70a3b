"""Histograms hold what the tensors hold, and their notes are true."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from pegboard_visual.pictures.histograms import Read, data_of, notes_of, summary, update_ratio, without_gradient
from pegboard_visual.pictures.histograms_page import Moment, _chosen, histograms_page


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_histogram_counts_every_value() -> None:
    values = normal(40, 50)
    record = summary(values).record
    counts, edges = np.histogram(values.numpy(), bins=40)
    assert record["counts"] == counts.tolist() and sum(record["counts"]) == 2000
    np.testing.assert_allclose(record["edges"], edges, rtol=1e-5)
    assert record["mean"] == pytest.approx(float(values.mean()), rel=1e-4)
    assert record["std"] == pytest.approx(float(values.std(correction=0)), rel=1e-4)
    for share, value in record["quantiles"].items():
        assert value == pytest.approx(float(values.flatten().quantile(float(share))), abs=0.02)


def test_a_scaled_gradient_is_seen_at_its_own_size() -> None:
    values = normal(30)
    assert summary(values * 1024, 1024.0).record == summary(values).record


@pytest.mark.parametrize("values", [torch.zeros(5), torch.full((3, 3), 2.5), torch.tensor(1.0), torch.empty(0)])
def test_one_value_or_none(values: Tensor) -> None:
    record = summary(values).record
    assert sum(record["counts"]) == values.numel()
    assert all(low < high for low, high in zip(record["edges"], record["edges"][1:], strict=False))
    assert record["std"] == pytest.approx(0)


def test_what_is_no_number_is_left_out_and_counted() -> None:
    values = torch.tensor([1.0, math.nan, 2.0, math.inf, -math.inf])
    found = summary(values)
    assert found.not_finite == 3 and sum(found.record["counts"]) == 2
    assert found.record["quantiles"]["0.95"] == 2.0
    assert summary(torch.full((4,), math.nan)).not_finite == 4


def test_update_ratio() -> None:
    assert update_ratio(torch.full((4,), 2.0), torch.full((4,), 2.002)) == pytest.approx(1e-3, rel=1e-3)
    assert update_ratio(torch.zeros(3), torch.ones(3)) is None


def test_units_without_gradient() -> None:
    gradient = torch.ones(4, 2, 3, 3)
    gradient[1] = 0
    gradient[2, 0] = 0
    assert without_gradient(gradient) == (1, 4)


@dataclass
class Layer:
    """What the gradients of a layer are multiplied with, and its units without gradient."""

    size: float = 1e-2
    dead: int = 0
    ratio: float = 1e-3


def notes(**layers: Layer | None) -> list[str]:
    read = {}
    for name, layer in layers.items():
        weight = summary(normal(10, 4))
        if layer is None:
            read[name] = Read(weight)
        else:
            read[name] = Read(weight, summary(normal(10, 4, seed=1) * layer.size), layer.ratio, (layer.dead, 10))
    return notes_of(read)


def test_nothing_is_said_of_a_healthy_network() -> None:
    assert notes(a=Layer(), b=Layer(3e-2), c=Layer(4e-3), d=Layer(ratio=1e-2)) == []


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        (Layer(1e-7), "x: the gradient vanishes: its size is 1e-07, the median of the layers 0.01"),
        (Layer(1e2), "x: the gradient explodes: its size is 1e+02, the median of the layers 0.01"),
        (Layer(math.inf), "x: the gradient explodes: 40 of its values are nan or infinite"),
        (Layer(0.0), "x: the gradient is 0 everywhere"),
        (Layer(dead=3), "x: 3 of 10 units got no gradient from the whole batch: they may be dead"),
        (Layer(ratio=0.5), "x: a step changes the weights by 50 %"),
        (Layer(ratio=1e-8), "x: a step changes the weights by 1e-08, those of other layers by 1e-03"),
        (None, "no gradient, skipped: x"),
    ],
)
def test_what_is_wrong_is_said_in_words(layer: Layer | None, said: str) -> None:
    [note] = notes(a=Layer(), x=layer, b=Layer(), c=Layer())
    assert note.startswith(said)


def test_a_network_that_explodes_as_a_whole_is_said_too() -> None:
    assert len(notes(a=Layer(1e5), b=Layer(1e5))) == 2


def read(step: int, gradients: bool = True) -> dict[str, Read]:
    names = [f"layer{number}.{kind}" for number in range(10) for kind in ("weight", "bias")]
    gradient = summary(normal(6, 6, seed=step + 50)) if gradients else None
    return {n: Read(summary(normal(6, 6, seed=step)), gradient, 1e-3 if gradients else None, (0, 6)) for n in names}


def test_the_data_is_named_by_parameter() -> None:
    found = read(0)
    found["layer0.bias"] = Read(summary(torch.ones(2)))
    data = data_of(found, ["a note"])
    assert data["kind"] == "histograms" and data["notes"] == ["a note"]
    assert {"layer0.weight_data", "layer0.weight_grad", "layer0.bias_data"} <= data["tensors"].keys()
    assert "layer0.bias_grad" not in data["tensors"] and "layer0.bias" not in data["update_ratio"]


def test_of_many_parameters_the_large_weights_are_shown() -> None:
    sizes = {
        f"{kind}{n}.{name}": size
        for n in range(9)
        for kind, name, size in [("conv", "weight", 99), ("norm", "weight", 4), ("norm", "bias", 4)]
    }
    assert _chosen(sizes, 3) == ["conv0.weight", "conv4.weight", "conv8.weight"]
    assert len(_chosen(sizes, 12)) == 12 and len(_chosen(sizes, 20)) == 20 and _chosen(sizes, 27) == list(sizes)


def test_a_page() -> None:
    moments = [Moment(n, 10 * n, data_of(read(n), [])) for n in range(3)]
    one, more = histograms_page(moments[:1], "h"), histograms_page(moments, "h")
    assert one.dtype == np.uint8 and one.shape[0] < more.shape[0] and one.shape[1] < more.shape[1]
    short = histograms_page(moments, "h", rows=2)
    assert short.shape[0] < more.shape[0]
    weights_only = histograms_page([Moment(1, 1, data_of(read(1, gradients=False), []))], "h")
    assert weights_only.shape[1] < one.shape[1] or weights_only.std() > 5
