"""Models of torchvision and timm for any number of classes, from weights that were fetched for another."""

import hashlib
import logging
import threading
import urllib.error
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pegboard import ConfigError, PegboardError
from pegboard.registry import MODELS

FAMILIES = [
    "alexnet", "convnext_tiny", "densenet121", "efficientnet_b0", "googlenet", "inception_v3", "maxvit_t", "mnasnet0_5",
    "mobilenet_v2", "mobilenet_v3_small", "regnet_x_400mf", "resnet18", "shufflenet_v2_x0_5", "squeezenet1_1", "swin_t",
    "swin_v2_t", "vgg11", "vit_b_16",
]  # fmt: skip


def build(name: str, fresh: bool = True, **arguments: Any) -> Any:
    return MODELS.build({"type": name, **arguments}, "model", {"num_classes": 7, "fresh": fresh})


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder where torch.hub looks for files that it has fetched before; and no network."""
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))

    def no_network(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError("no network in this test")

    monkeypatch.setattr(torch.hub, "download_url_to_file", no_network)
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    return tmp_path / "hub" / "checkpoints"


def put(hub: Path, name: str) -> dict[str, torch.Tensor]:
    """Weights of 1000 classes, where torch.hub finds them under the name in their URL."""
    from torchvision import models

    torch.manual_seed(5)
    state: dict[str, torch.Tensor] = models.get_model(name).state_dict()
    torch.save(state, hub / models.get_model_weights(name).DEFAULT.url.rpartition("/")[2])
    return state


@pytest.mark.parametrize(
    ("name", "head"), [("squeezenet1_1", "classifier.1"), ("shufflenet_v2_x0_5", "fc"), ("mnasnet0_5", "classifier.1")]
)
def test_weights_of_other_classes_get_a_fresh_head(
    hub: Path, name: str, head: str, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = put(hub, name)
    with caplog.at_level(logging.INFO, "pegboard"):
        model = build(name, weights="DEFAULT").eval()
    own = model.state_dict()
    assert own.keys() == theirs.keys()
    differing = {key for key in own if own[key].shape != theirs[key].shape or not torch.equal(own[key], theirs[key])}
    assert differing == {f"{head}.weight", f"{head}.bias"}
    assert model(torch.zeros(2, 3, 64, 64)).shape == (2, 7)
    assert f"{name}: weights IMAGENET1K_V1 are for 1000 classes; {head} is fresh, for 7" in caplog.text


def test_weights_of_as_many_classes_keep_their_head(hub: Path, caplog: pytest.LogCaptureFixture) -> None:
    theirs = put(hub, "shufflenet_v2_x0_5")
    model = build("shufflenet_v2_x0_5", weights="ShuffleNet_V2_X0_5_Weights.DEFAULT", num_classes=1000)
    assert torch.equal(model.fc.weight, theirs["fc.weight"])
    assert "fresh" not in caplog.text


def test_nothing_is_fetched_where_a_state_is_about_to_be_loaded(hub: Path) -> None:
    model = build("shufflenet_v2_x0_5", fresh=False, weights="DEFAULT")
    assert model.fc.out_features == 7
    model.load_state_dict(build("shufflenet_v2_x0_5").state_dict())  # torch is as it was: a load loads, a fetch fetches
    with pytest.raises(PegboardError, match="cannot be fetched"):
        build("shufflenet_v2_x0_5", weights="DEFAULT")


@pytest.mark.parametrize(("quantize", "kind"), [(False, "ShuffleNet_V2_X0_5_Weights"), (True, "QuantizedWeights")])
def test_a_model_that_can_be_quantized_has_the_weights_of_what_it_is(quantize: bool, kind: str) -> None:
    """torchvision lists the quantized ones alone, and refuses them where nothing is quantized."""
    from torchvision.models.quantization import shufflenet_v2_x0_5

    from pegboard_models.pretrained import find_weights

    assert type(find_weights(shufflenet_v2_x0_5, "DEFAULT", quantize)).__name__.endswith(kind)


def test_other_loads_go_on_while_nothing_is_fetched() -> None:
    from torchvision.models import ShuffleNet_V2_X0_5_Weights as Weights

    from pegboard_models.pretrained import nothing_fetched

    model, theirs = nn.Linear(2, 1), nn.Linear(2, 1)
    with nothing_fetched(Weights.DEFAULT):
        assert model.load_state_dict(Weights.DEFAULT.get_state_dict(check_hash=True)) is None
        model.load_state_dict(theirs.state_dict())
    assert torch.equal(model.weight, theirs.weight)
    assert "get_state_dict" not in vars(Weights.DEFAULT)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """A folder, and the address at which it is served."""
    folder = tmp_path_factory.mktemp("served")

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None:
            """Nothing on the terminal."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.mark.parametrize("case", ["right", "another hash", "not there"])
def test_weights_are_fetched_and_their_hash_is_looked_at(
    case: str,
    server: tuple[Path, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """By torch's own downloading code, from this machine."""
    from torchvision.models import ShuffleNet_V2_X0_5_Weights as Weights

    folder, address = server
    theirs = put(folder, "shufflenet_v2_x0_5")
    [file] = [path for path in folder.iterdir() if path.suffix == ".pth"]
    digest = hashlib.sha256(file.read_bytes()).hexdigest()[:8] if case == "right" else "0123abcd"
    served = file.rename(folder / f"shuffle-{digest}.pth")
    if case == "not there":
        served.unlink()
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(Weights.DEFAULT.value, "url", f"{address}/shuffle-{digest}.pth")
    kept = tmp_path / "checkpoints" / served.name
    if case == "right":
        with caplog.at_level(logging.INFO, "pegboard"):
            model = build("shufflenet_v2_x0_5", weights="DEFAULT", progress=False)
        assert torch.equal(model.conv1[0].weight, theirs["conv1.0.weight"]) and model.fc.out_features == 7
        assert f"weights from {address}/shuffle-{digest}.pth" in caplog.text and kept.is_file()
    else:
        reason = {"another hash": "invalid hash value", "not there": "HTTP Error 404"}[case]
        with pytest.raises(PegboardError, match=f"cannot be fetched from {address}/shuffle-{digest}.pth: .*{reason}"):
            build("shufflenet_v2_x0_5", weights="DEFAULT", progress=False)
        assert not kept.exists()
    served.unlink(missing_ok=True)


def test_weights_that_cannot_be_fetched_say_where_a_copy_may_lie(hub: Path) -> None:
    message = r"shufflenet_v2_x0_5: weights IMAGENET1K_V1 cannot be fetched from https://.*no network.*hub/checkpoints"
    with pytest.raises(PegboardError, match=message):
        build("shufflenet_v2_x0_5", weights="IMAGENET1K_V1")


@pytest.mark.parametrize("damage", [b"", b"no weights at all", None])
def test_a_damaged_file_is_named(hub: Path, damage: bytes | None) -> None:
    put(hub, "shufflenet_v2_x0_5")
    [file] = hub.iterdir()
    file.write_bytes(file.read_bytes()[:5000] if damage is None else damage)
    with pytest.raises(PegboardError, match=rf"cannot be loaded: .*{file.name} is damaged, remove it"):
        build("shufflenet_v2_x0_5", weights="DEFAULT")


def test_weights_that_there_are_not(hub: Path) -> None:
    with pytest.raises(PegboardError, match=r"resnet18 has no weights 'DEFALT'; did you mean 'DEFAULT'\?"):
        build("resnet18", weights="DEFALT")
    with pytest.raises(PegboardError, match="mnasnet0_75 has no weights 'x'; there are IMAGENET1K_V1"):
        build("mnasnet0_75", weights="x")


def assert_gives_seven(name: str) -> None:
    from torchvision import models

    weights = models.get_model_weights(name).DEFAULT
    side = max(weights.meta["min_size"][0], weights.transforms().crop_size[0])
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # a regnet reads the sizes that it computes
        model = build(f"torchvision:{name}", fresh=False, weights="DEFAULT").eval()
        assert model(torch.zeros(2, 3, side, side)).shape == (2, 7)


@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_of_torchvision_gets_a_head_for_as_many_classes(name: str) -> None:
    assert_gives_seven(name)


@pytest.mark.slow
@pytest.mark.filterwarnings(
    "ignore:The default weight initialization of inception_v3:FutureWarning"
)  # torchvision's own
@pytest.mark.parametrize("name", [e.name for e in MODELS.list("torchvision:*") if "regnet" not in e.name])
def test_every_model_of_torchvision_does(name: str) -> None:
    assert_gives_seven(name)


def test_what_weights_change_in_a_model_holds_where_a_state_follows() -> None:
    model = build("inception_v3", fresh=False, weights="DEFAULT")
    assert model.transform_input  # it scales its input as its weights want it
    assert (model.fc.out_features, model.AuxLogits.fc.out_features) == (7, 7)
    assert build("googlenet", fresh=False, weights="DEFAULT").aux1 is None


def test_a_head_that_cannot_be_found_is_said() -> None:
    from pegboard_models.pretrained import replace_head

    with pytest.raises(PegboardError, match=r"Sequential: its last layer '0' has 3 outputs, its weights 1000 classes"):
        replace_head(nn.Sequential(nn.Linear(2, 3)), 1000, 7)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "vit_tiny_patch16_224"])
def test_timm_gets_the_number_of_classes(name: str) -> None:
    pytest.importorskip("timm")
    model = build(f"timm:{name}").eval()
    assert model(torch.zeros(2, 3, 224, 224)).shape == (2, 7)
    assert build(f"timm:{name}", num_classes=3).num_classes == 3
    assert build(f"timm:{name}", fresh=False, pretrained=True).num_classes == 7  # fetches nothing


def test_a_misspelt_argument_of_timm_is_said() -> None:
    pytest.importorskip("timm")
    with pytest.raises(PegboardError, match="timm's resnet18: .*unexpected keyword argument 'num_clases'"):
        build("timm:resnet18", num_clases=3)


def test_timm_takes_its_weights_from_a_file(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    theirs = timm.create_model("mobilenetv3_small_050").state_dict()
    torch.save(theirs, tmp_path / "theirs.pth")
    name, file = "timm:mobilenetv3_small_050", str(tmp_path / "theirs.pth")
    model = build(name, pretrained=True, pretrained_cfg_overlay={"file": file})
    assert torch.equal(model.conv_stem.weight, theirs["conv_stem.weight"]) and model.num_classes == 7
    Path(file).write_bytes(b"no weights at all")
    with pytest.raises(PegboardError, match=f"its pretrained weights cannot be loaded from {file}: "):
        build(name, pretrained=True, pretrained_cfg_overlay={"file": file})


def test_weights_of_timm_that_cannot_be_fetched_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("timm")
    from timm.models import _builder

    def no_network(*_: Any, **__: Any) -> None:
        raise OSError("no network in this test")

    monkeypatch.setattr(_builder, "has_hf_hub", no_network)
    with pytest.raises(PegboardError, match=r"cannot be fetched: no network in this test; a file .*dict\(file=PATH\)"):
        build("timm:mobilenetv3_small_050", pretrained=True)


def test_shufflenet_needs_no_argument() -> None:
    with pytest.raises(ConfigError, match="takes no|unexpected"):
        build("shufflenet_v2_x0_5", stages_out_channels=[1])
