"""A trained model as a file for others, described well enough to be used without pegboard, and checked."""

import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pegboard import __version__, checkpoint
from pegboard.config.dump import to_data
from pegboard.errors import CheckpointError
from pegboard.registry import TRANSFORMS
from pegboard.runner.folder import write_json
from pegboard.runner.inference import Classifier
from pegboard.runner.state import load_weights

logger = logging.getLogger("pegboard")

TOLERANCE = 1e-5  # of the outputs of what was written, against those of the model


def export(state: Mapping[str, Any], file: Path, form: str, size: tuple[int, ...] | None = None) -> dict[str, Any]:
    """Write a checkpoint's model, and ``FILE.json`` beside it; then read it back and compare outputs.

    Args:
        state: a checkpoint's contents.
        form: a key of ``FORMS``: "safetensors", "torch" (a state dict that ``torch.load(weights_only=True)`` reads) or
            "torch-export" (a program that runs without the model's code, on batches of any size).
        size: of one input, where the checkpoint does not say, e.g. (3, 32, 32).

    Returns:
        the description, as in the JSON file.
    Raises:
        CheckpointError: the model cannot be exported so, or what was written gives other outputs.
    """
    classifier = Classifier(state, "cpu")
    shape = size or classifier.input_shape
    if shape is None:
        raise CheckpointError("the checkpoint does not say the size of an input; say it, e.g. --input 3 32 32")
    model = classifier.model.eval().float()
    described = describe(state, classifier, shape, form)
    file.parent.mkdir(parents=True, exist_ok=True)
    write, read = FORMS[form]
    temporary = file.with_name(f".{file.name}-unchecked{file.suffix}")
    try:
        write(model, temporary, described, shape)
        described["largest_difference"] = compare(model, read(temporary, state), shape)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)
    write_json(file.with_name(f"{file.name}.json"), described)
    return described


def describe(state: Mapping[str, Any], classifier: Classifier, shape: tuple[int, ...], form: str) -> dict[str, Any]:
    """What one must know to use the file: input, preprocessing, outputs, classes, and where it comes from."""
    return {
        "format": form,
        "made_by": f"pegboard {__version__}, torch {torch.__version__}",
        "model": classifier.config["model"],
        "classes": classifier.classes,
        "input": {
            "shape": ["batch", *shape],
            "dtype": "float32",
            "image_size": list(classifier.image_size) if classifier.image_size else None,
        },
        "preprocessing": preprocessing(classifier),
        "output": "what the model gives for a batch, (batch, classes); see the run's loss for what it means",
        "loss": classifier.config.get("loss"),
        "run": {name: state.get(name) for name in ("name", "data", "epoch", "iteration", "final")},
    }


def preprocessing(classifier: Classifier) -> list[dict[str, Any]]:
    """The transforms from a uint8 RGB image (C, H, W) to an input, with the statistics that the run supplied."""
    listed = classifier.transforms if isinstance(classifier.transforms, list | tuple) else [classifier.transforms]
    done = []
    for part in listed:
        supplied = TRANSFORMS.find(part["type"]).supplied
        filled = {name: classifier.known[name] for name in supplied if name in classifier.known}
        done.append({"type": part["type"], **to_data(filled), **{k: v for k, v in part.items() if k != "type"}})
    return done


def compare(model: nn.Module, other: Callable[[Tensor], Tensor], shape: tuple[int, ...]) -> float:
    """The largest difference between the outputs of two models, over random batches of 1, 2 and 5.

    Raises:
        CheckpointError: it is above the tolerance, relative to the largest output where that is above 1.
    """
    generator = torch.Generator().manual_seed(0)
    largest = 0.0
    with torch.inference_mode():
        for count in (1, 2, 5):
            inputs = torch.randn(count, *shape, generator=generator)
            try:
                expected, found = model(inputs), other(inputs)
            except RuntimeError as error:
                raise CheckpointError(
                    f"the exported model cannot be run on {count} random inputs of {shape}: {error}"
                ) from error
            difference = float((expected - found).abs().max())
            if not difference <= TOLERANCE * max(1.0, float(expected.abs().max())):
                raise CheckpointError(
                    f"the exported model differs by {difference:.3g} from the original on random inputs; "
                    f"expected at most {TOLERANCE:g}; nothing was written"
                )
            largest = max(largest, difference)
    return largest


# -- each form: write(model, file, description, shape), and read(file, state) -> a function of inputs ------------------


def _plain(model: nn.Module) -> dict[str, Tensor]:
    """The state dict on the CPU, no two tensors sharing memory."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in model.state_dict().items()}


def _write_torch(model: nn.Module, file: Path, described: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    torch.save(_plain(model), file)


def _read_torch(file: Path, state: Mapping[str, Any]) -> nn.Module:
    return _rebuilt(state, checkpoint.load(file))


def _write_safetensors(model: nn.Module, file: Path, described: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    from safetensors.torch import save

    metadata = {"format": "pt", "pegboard": json.dumps(described, default=str)}
    file.write_bytes(save(_plain(model), metadata))


def _read_safetensors(file: Path, state: Mapping[str, Any]) -> nn.Module:
    from safetensors.torch import load_file

    return _rebuilt(state, load_file(file))


def _rebuilt(state: Mapping[str, Any], weights: dict[str, Tensor]) -> nn.Module:
    """A model of its own with the weights that were written."""
    model = Classifier(state, "cpu").model.eval()
    load_weights(model, weights)
    return model


def _write_program(model: nn.Module, file: Path, described: Mapping[str, Any], shape: tuple[int, ...]) -> None:
    example = torch.zeros(2, *shape)
    batch = torch.export.Dim("batch")
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch, about how it packs weights that share memory
            program = torch.export.export(model, (example,), dynamic_shapes=({0: batch},))
            extra = {"pegboard.json": json.dumps(described, default=str)}
            written = io.BytesIO()  # of a file torch wants that it is called .pt2
            torch.export.save(program, written, extra_files=extra)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise CheckpointError(
            f"{type(model).__name__} cannot be exported as a program: {reason}; "
            "--format safetensors or torch writes its weights"
        ) from error
    file.write_bytes(written.getvalue())


def _read_program(file: Path, state: Mapping[str, Any]) -> nn.Module:
    with warnings.catch_warnings(action="ignore"):
        return torch.export.load(io.BytesIO(file.read_bytes())).module()


Write = Callable[[nn.Module, Path, Mapping[str, Any], tuple[int, ...]], None]
Read = Callable[[Path, Mapping[str, Any]], Callable[[Tensor], Tensor]]

FORMS: Mapping[str, tuple[Write, Read]] = {
    "safetensors": (_write_safetensors, _read_safetensors),
    "torch": (_write_torch, _read_torch),
    "torch-export": (_write_program, _read_program),
}
