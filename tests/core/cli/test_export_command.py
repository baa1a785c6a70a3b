"""``pegboard export``: what is written gives the outputs of the run's model, and says how to use it."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from pegboard import CheckpointError
from pegboard.runner.export import compare, export
from pegboard_models.lenet import LeNet
from tests import runs
from tests.core.cli.conftest import Here


def lenet(weights: dict[str, Tensor]) -> nn.Module:
    model = LeNet(10).eval()
    model.load_state_dict(weights)
    return model


READERS: dict[str, tuple[str, Callable[[Path], nn.Module]]] = {
    "safetensors": ("model.safetensors", lambda file: lenet(load_file(file))),
    "torch": ("model.pt", lambda file: lenet(torch.load(file, weights_only=True))),
    "torch-export": ("model.pt2", lambda file: torch.export.load(file).module()),
}


@pytest.mark.parametrize("form", READERS)
@pytest.mark.filterwarnings("ignore:No complete tensor found")  # torch's own, about how it packs weights
def test_what_is_written_gives_the_models_outputs(shapes_run: Path, tmp_path: Path, here: Here, form: str) -> None:
    name, read = READERS[form]
    done = here("export", shapes_run, "--format", form, "--out", tmp_path / name)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{tmp_path / name}: outputs agree to ")
    original, written = lenet(runs.newest(shapes_run)["model"]), read(tmp_path / name)
    for count in (1, 3, 16):
        inputs = torch.randn(count, 3, 32, 32)
        with torch.no_grad():
            assert torch.allclose(written(inputs), original(inputs), atol=1e-5)
    assert sorted(path.name for path in tmp_path.iterdir()) == [name, f"{name}.json"]


def test_the_description_says_how_to_use_it(shapes_run: Path, tmp_path: Path, here: Here) -> None:
    from pegboard_data.drawn_shapes import DrawnShapes

    assert here("export", shapes_run, "--out", tmp_path / "m.safetensors").returncode == 0
    described = json.loads((tmp_path / "m.safetensors.json").read_text())
    assert described["classes"] == list(DrawnShapes(count=1).classes)
    assert described["input"] == {"shape": ["batch", 3, 32, 32], "dtype": "float32", "image_size": [32, 32]}
    mean, std = list(DrawnShapes.mean), list(DrawnShapes.std)
    assert described["preprocessing"] == [{"type": "ToFloat"}, {"type": "Normalize", "mean": mean, "std": std}]
    assert (described["model"], described["run"]["iteration"]) == ({"type": "LeNet"}, 3)
    assert described["largest_difference"] <= 1e-5
    with safe_open(tmp_path / "m.safetensors", "pt") as file:
        inside = json.loads(file.metadata()["pegboard"])
    assert inside["preprocessing"] == described["preprocessing"] and inside["classes"] == described["classes"]


def test_it_lies_in_the_run_folder_unless_said(shapes_run: Path, tmp_path: Path, here: Here) -> None:
    run = shutil.copytree(shapes_run, tmp_path / "run")
    assert here("export", run, "--format", "torch").returncode == 0
    weights = torch.load(run / "model.pt", weights_only=True)
    assert list(weights) == list(LeNet(10).state_dict())


def test_a_model_that_differs_is_not_written(shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: nn.Module) -> dict[str, Tensor]:
        return {name: tensor + 1e-3 for name, tensor in model.state_dict().items()}

    monkeypatch.setattr("pegboard.runner.export._plain", wrong)
    with pytest.raises(CheckpointError, match="differs by .* from the original on random inputs; expected at most"):
        export(runs.newest(shapes_run), tmp_path / "m.pt", "torch")
    assert list(tmp_path.iterdir()) == []


def test_a_difference_of_nan_is_one() -> None:
    with pytest.raises(CheckpointError, match="differs by nan"):
        compare(nn.Identity(), lambda inputs: inputs * float("nan"), (3,))


def test_a_model_that_torch_cannot_export_is_said(
    shapes_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def depends(self: LeNet, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :10] if images.sum() > 0 else images.flatten(1)[:, 10:20]

    monkeypatch.setattr(LeNet, "forward", depends)
    with pytest.raises(CheckpointError, match="LeNet cannot be exported as a program: .*; --format safetensors or"):
        export(runs.newest(shapes_run), tmp_path / "m.pt2", "torch-export")
    assert list(tmp_path.iterdir()) == []


def test_where_it_cannot_lie(shapes_run: Path, tmp_path: Path, here: Here) -> None:
    done = here("export", shapes_run, "--out", tmp_path)
    assert done.returncode == 2 and "is a folder; say the file" in done.stderr
    file = shapes_run / "checkpoints" / "iteration_00000003.pt"
    done = here("export", shapes_run, "--format", "torch", "--out", file)
    assert done.returncode == 2 and "is the checkpoint itself" in done.stderr


def test_a_checkpoint_that_does_not_say_its_input(shapes_run: Path, tmp_path: Path, here: Here) -> None:
    state = runs.newest(shapes_run)
    del state["known"]["input_shape"]
    torch.save(state, tmp_path / "old.pt")
    done = here("export", tmp_path / "old.pt", "--out", tmp_path / "m.safetensors")
    assert done.returncode == 2 and "say it, e.g. --input 3 32 32" in done.stderr
    assert here("export", tmp_path / "old.pt", "--out", tmp_path / "m.safetensors", "--input", 3, 32, 32)[0] == 0
    done = here("export", tmp_path / "old.pt", "--out", tmp_path / "n.safetensors", "--input", 3, 9, 9)
    assert done.returncode == 2 and "cannot be run on 1 random inputs of (3, 9, 9)" in done.stderr
