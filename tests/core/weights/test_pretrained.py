"""Weights to start from: whatever they were wrapped in, and never silently none."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from pegboard import CheckpointError
from pegboard.weights.pretrained import load_pretrained
from tests import runs


def net(classes: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, classes))


def saved(path: Path, content: object) -> str:
    torch.save(content, path)
    return str(path)


def equal(one: nn.Module, other: nn.Module) -> bool:
    return runs.same(one.state_dict(), other.state_dict())


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod."])
@pytest.mark.parametrize("holder", [None, "model", "state_dict"])
def test_prefixes_and_wrappers_are_taken_off(tmp_path: Path, prefix: str, holder: str | None) -> None:
    source, model = net(), net()
    state: object = {f"{prefix}{name}": tensor for name, tensor in source.state_dict().items()}
    fit = load_pretrained(model, saved(tmp_path / "w.pt", {holder: state, "epoch": 3} if holder else state))
    assert equal(model, source) and fit.share == 1 and not fit.missing and not fit.unexpected


def test_safetensors(tmp_path: Path) -> None:
    source, model = net(), net()
    save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_pretrained(model, str(tmp_path / "w.safetensors"))
    assert equal(model, source)


def test_a_head_of_another_size_stays_fresh_and_is_said(tmp_path: Path) -> None:
    source, model = net(7), net(3)
    head = model[2].weight.clone()
    fit = load_pretrained(model, saved(tmp_path / "w.pt", source.state_dict()))
    assert torch.equal(model[0].weight, source[0].weight) and torch.equal(model[2].weight, head)
    assert fit.mismatched["2.weight"] == ((7, 5), (3, 5))
    assert "mismatched  2.weight (7, 5), the model's (3, 5)" in "\n".join(fit.table())


def test_rename_and_skip(tmp_path: Path) -> None:
    source, model = net(), net()
    head = model[2].weight.clone()
    state = {f"backbone.{name}": tensor for name, tensor in source.state_dict().items()}
    path = saved(tmp_path / "w.pt", state)
    fit = load_pretrained(model, path, rename={r"^backbone\.": ""}, skip=["2"])
    assert torch.equal(model[0].weight, source[0].weight) and torch.equal(model[2].weight, head)
    assert fit.skipped == ["2.weight", "2.bias"] and fit.share == 1
    with pytest.raises(CheckpointError, match=r"try rename=\{'\^backbone"):
        load_pretrained(net(), path)
    with pytest.raises(CheckpointError, match="'bakbone' changes no name of the file"):
        load_pretrained(net(), path, rename={"bakbone": ""})
    with pytest.raises(CheckpointError, match="gives two tensors the name"):
        load_pretrained(net(), path, rename={r".*weight": "w"})
    with pytest.raises(CheckpointError, match="skip 'fc' matches nothing"):
        load_pretrained(net(), path, rename={r"^backbone\.": ""}, skip=["fc"])


def test_a_load_that_loads_nothing_is_impossible(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", nn.Conv2d(1, 1, 1).state_dict())
    model = net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for least in (0.5, 0.0):
        with pytest.raises(CheckpointError, match="fits 0% of the model"):
            load_pretrained(model, path, min_match=least)
    assert runs.same(before, model.state_dict())


def test_min_match_is_a_share_of_the_models_tensors(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", net(7).state_dict())  # two of four tensors fit
    assert load_pretrained(net(), path, min_match=0.5).share == 0.5
    with pytest.raises(CheckpointError, match="fits 50% of the model, less than min_match=0.6"):
        load_pretrained(net(), path, min_match=0.6)


class Evil:
    def __reduce__(self) -> tuple[object, ...]:
        return (print, ("this ran",))


def test_files_that_are_hostile_broken_or_something_else(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "cut.pt").write_bytes(Path(saved(tmp_path / "w.pt", net().state_dict())).read_bytes()[:400])
    (tmp_path / "cut.safetensors").write_bytes(b"\xff" * 20)
    evil = saved(tmp_path / "evil.pt", {"model": Evil()})
    for path, message in [
        (evil, "holds more than tensors"),
        (str(tmp_path / "cut.pt"), "cut.pt"),
        (str(tmp_path / "cut.safetensors"), "cannot be read as safetensors"),
        (str(tmp_path / "none.pt"), "there is no checkpoint"),
        (str(tmp_path / "none.safetensors"), "there is no file"),
        (saved(tmp_path / "no.pt", {"a": 1}), "holds no tensors by name, but a"),
    ]:
        with pytest.raises(CheckpointError, match=message):
            load_pretrained(net(), path)
    assert "this ran" not in capsys.readouterr().out


def test_a_run_folder_and_a_config(tmp_path: Path, boards: None, caplog: pytest.LogCaptureFixture) -> None:
    runs.hang_up()
    first = runs.train(tmp_path / "a")
    with caplog.at_level("INFO", "pegboard"):
        second = runs.runner(tmp_path / "b", pretrained={"path": str(tmp_path / "a")}, train_for="1 iters")
        second.train()
    start = runs.newest(tmp_path / "a")["model"]
    assert runs.same(start, dict(first.model.state_dict().items()))
    assert "loaded      2 of 2 tensors" in caplog.text
    assert f"weights from {tmp_path / 'a'}: fc.weight, fc.bias" in caplog.text
    (tmp_path / "a" / "checkpoints").rename(tmp_path / "elsewhere")
    state = runs.newest(tmp_path / "b")  # a resume needs the file no more
    resumed = runs.runner(tmp_path / "b", state, pretrained={"path": str(tmp_path / "a")}, train_for="2 iters")
    assert resumed.train()["iterations"] == 2
