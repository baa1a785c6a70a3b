"""``pegboard cam``: which files it writes, what it prints, and what it refuses."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pegboard.cli import main
from pegboard_data.cifar10 import CIFAR10
from pegboard_models.lenet import LeNet
from pegboard_visual.cam import grad_cam
from pegboard_visual.commands.cam import chosen
from pegboard_visual.commands.trained import open_trained, read_image
from pegboard_visual.pictures.cam import overlay
from tests import runs
from tests.plugins.pegboard_visual import nets
from tests.plugins.pegboard_visual.test_cam_values import needs_weights

CLASSES = ["disc", "square", "cat/dog", "3"]


pytestmark = pytest.mark.usefixtures("tiny_parts")


@pytest.fixture(autouse=True)
def _classes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs.Dots, "classes", tuple(CLASSES))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run of one epoch, whose config file would fail if anybody ran it."""
    runs.train(tmp_path / "run", model={"type": "Drawn"}, train_for="1 epoch")
    (tmp_path / "run" / "config.py").write_text("raise RuntimeError('a config was run')\n")
    return tmp_path / "run"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """40 x 30 pixels."""
    pixels = np.random.default_rng(0).integers(256, size=(30, 40, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


def pixels(path: Path) -> Any:
    """(H, W, 3) uint8."""
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_run_an_image_and_nothing_else(folder: Path, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cam", str(folder), str(photo)]) == 0
    printed = capsys.readouterr().out
    trained = open_trained(folder)
    prepared = trained.prepare(photo)
    assert prepared.inputs.shape == (1, 3, 8, 8)  # what RandomCrop made of the training images
    logits = trained.model(prepared.inputs).softmax(1)[0]
    name = CLASSES[int(logits.argmax())]
    assert "Grad-CAM, layer relu2\n" in printed
    assert f"{photo}: {name} {100 * float(logits.max().detach()):.1f} %" in printed
    out, safe = folder / "figures" / "cam", name.replace("/", "_")
    stem = f"photo_gradcam_{safe}"
    assert files(out) == sorted([f"{stem}.npy", f"{stem}_overlay.png", "photo_gradcam_sheet.png", "photo_image.png"])
    raw = np.load(out / f"{stem}.npy")
    assert raw.dtype == np.float32
    np.testing.assert_array_equal(raw, grad_cam(trained.model, prepared.inputs)[0].numpy())
    assert pixels(out / f"{stem}_overlay.png").shape == (30, 40, 3)
    np.testing.assert_array_equal(pixels(out / "photo_image.png"), pixels(photo))


@pytest.mark.parametrize("method", ["gradcam++", "cam", "eigencam", "guided_backprop", "guided_gradcam"])
def test_every_method_draws(folder: Path, photo: Path, tmp_path: Path, method: str) -> None:
    out = tmp_path / "out"
    layer = [] if method == "guided_backprop" else ["--layer", "conv2"]
    asked = ["--method", method, *layer, "--target", "0", "--out", str(out), "--device", "cpu"]
    assert main(["cam", str(folder / "checkpoints" / "iteration_00000003.pt"), str(photo), *asked]) == 0
    raw = np.load(out / f"photo_{method}_disc.npy")
    assert raw.shape == ((3, 8, 8) if method.startswith("guided") else (4, 4))


def test_all_targets_and_two_images_of_one_name(folder: Path, photo: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "other" / "photo.png", tmp_path / "out"
    other.parent.mkdir()
    Image.new("L", (5, 90), 100).save(other)
    assert main(["cam", str(folder), str(photo), str(other), "--target", "all", "--out", str(out)]) == 0
    maps = [name for name in files(out) if name.endswith(".npy")]
    expected = [
        f"{stem}_gradcam_{name}.npy" for stem in ("photo", "photo_2") for name in ("disc", "square", "cat_dog", "3")
    ]
    assert maps == sorted(expected)
    assert pixels(out / "photo_2_image.png").shape == (90, 5, 3)


def test_targets() -> None:
    assert chosen(["0"], CLASSES, 2) == [0]
    assert chosen(["predicted"], CLASSES, 2) == [2]
    assert chosen(["all"], CLASSES, 2) == [0, 1, 2, 3]
    assert chosen(["cat/dog", "2", "predicted", "disc"], CLASSES, 2) == [2, 0]
    assert chosen(["10", "2"], ["0", "1", "10", "2"], 0) == [2, 3]  # a name comes before a number


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--target", "squere"],
            "there is no class 'squere'; did you mean 'square'; the targets are predicted, all, "
            "0 disc, 1 square, 2 cat/dog, 3\n",
        ),
        (["--target", "4"], "there is no class '4'"),
        (["--target", "-1"], "there is no class '-1'"),
        (["--layer", "conv3"], "the Pooled has no layer 'conv3'; did you mean 'conv"),
        (["--layer", "fc"], "layer 'fc' gives (1, 4), which are no maps"),
        (["--size", "2"], "the Pooled cannot take an input (1, 3, 2, 2): "),
        (["--layer", "conv2", "--method", "guided_backprop"], "reads no layer: leave out --layer"),
        (["--reshape", "m:f", "--method", "cam"], "never tokens: leave out --reshape"),
        (["--reshape", "nowhere"], "--reshape nowhere: must be 'module:function'"),
    ],
)
def test_mistakes_are_one_sentence(
    folder: Path, photo: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    joined = [f"{key}={value}" for key, value in zip(arguments[::2], arguments[1::2], strict=True)]
    assert main(["cam", str(folder), str(photo), *joined]) == 2
    assert message in capsys.readouterr().err


def test_files_that_are_no_images(folder: Path, photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cam", str(folder), str(photo.with_name("foto.png"))]) == 2
    assert "foto.png; did you mean 'photo.png'?" in capsys.readouterr().err
    text = photo.with_name("text.png")
    text.write_text("no image")
    assert main(["cam", str(folder), str(text)]) == 2
    assert "text.png is no image that Pillow can read" in capsys.readouterr().err
    cut = photo.with_name("cut.png")
    cut.write_bytes(photo.read_bytes()[:200])
    assert main(["cam", str(folder), str(cut)]) == 2
    assert "cut.png cannot be read as an image" in capsys.readouterr().err


def test_weights_alone_need_a_config(folder: Path, photo: Path, tmp_path: Path, capsys: Any) -> None:
    torch.save(runs.newest(folder)["model"], tmp_path / "bare.pt")
    assert main(["cam", str(tmp_path / "bare.pt"), str(photo)]) == 2
    assert "a bare file of weights; say --config CONFIG" in capsys.readouterr().err


def test_weights_alone_go_to_a_folder_here(
    folder: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(runs.newest(folder)["model"], tmp_path / "bare.pt")
    (tmp_path / "config.py").write_text(
        "train = dict(dataset=dict(type='Dots'), transforms=[dict(type='ToFloat')], batch_size=4)\n"
        "val = dict(dataset=dict(type='Dots'), transforms=[dict(type='ToFloat'), dict(type='Normalize')])\n"
        "model = dict(type='Drawn')\ndevice = 'cpu'\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(["cam", "bare.pt", str(photo), "--config", "config.py", "--target", "cat/dog"]) == 0
    assert "photo_gradcam_cat_dog.npy" in files(tmp_path / "cam")
    prepared = open_trained(Path("bare.pt"), "config.py").prepare(photo)
    assert prepared.inputs.shape == (1, 3, 8, 8) and float(prepared.inputs.min()) < 0  # the data's size; normalised


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F"])
def test_images_of_any_mode(tmp_path: Path, mode: str) -> None:
    levels = np.arange(12 * 8).reshape(12, 8)
    if mode in ("I;16", "I"):
        image = Image.fromarray((levels * 600).astype(np.uint16 if mode == "I;16" else np.int32))
    elif mode == "F":
        image = Image.fromarray(levels.astype(np.float32))
    else:
        image = Image.fromarray(levels.astype(np.uint8)).convert(mode)
    file = tmp_path / "image.tiff"
    image.save(file)
    read = np.asarray(read_image(file))
    assert read.shape == (12, 8, 3) and read.dtype == np.uint8 and read.std() > 10


def test_a_photograph_lies_upright(tmp_path: Path) -> None:
    image = Image.new("RGB", (20, 10))
    exif = image.getexif()
    exif[0x0112] = 6  # turned by a quarter
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert read_image(tmp_path / "turned.jpg").size == (10, 20)


def test_a_map_lies_where_the_network_looked(tmp_path: Path, photo: Path) -> None:
    """Resize and CenterCrop see the middle of a wide image; the rest of the map is 0."""
    from pegboard_visual.pictures.cam import in_window

    crops = [{"type": "Resize", "size": 15}, {"type": "CenterCrop", "size": 10}, {"type": "ToFloat"}]
    val = {"dataset": {"type": "Dots"}, "transforms": crops}
    runs.train(tmp_path / "run", model={"type": "Drawn"}, train_for="1 epoch", val=val)
    trained = open_trained(tmp_path / "run")
    assert trained.size is None  # these transforms choose the size
    prepared = trained.prepare(photo)
    assert prepared.inputs.shape == (1, 3, 10, 10)
    assert prepared.window == pytest.approx((10, 5, 30, 25))
    whole = in_window(np.ones((4, 4), np.float32), prepared.image.shape[:2], prepared.window)
    assert whole.shape == (30, 40) and whole[5:25, 10:30].all() and whole.sum() == 400


def test_an_overlay_is_coloured_where_the_layer_looks(folder: Path, photo: Path, tmp_path: Path) -> None:
    """Two convolutions without padding make 4 x 4 cells of 8 x 8 pixels, around the middle: 2 pixels in."""
    assert main(["cam", str(folder), str(photo), "--method", "eigencam", "--out", str(tmp_path / "out")]) == 0
    [path] = (tmp_path / "out").glob("*_overlay.png")
    blue = overlay(pixels(photo), np.zeros((1, 1), np.float32))
    differs = (pixels(path) != blue).any(2)
    assert differs.any() and not differs[:3].any() and not differs[-3:].any() and not differs[:, :4].any()


def test_weights_alone_are_of_the_data_and_not_of_its_stand_in(
    photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.save(LeNet(10).state_dict(), tmp_path / "weights.pt")
    data = {"type": "CIFAR10", "root": str(tmp_path / "none"), "split": "val", "on_missing": "stand-in"}
    val = {"dataset": {**data, "download": False}, "transforms": [{"type": "ToFloat"}, {"type": "Normalize"}]}
    config = tmp_path / "config.py"
    config.write_text(f"val = {val!r}\nmodel = {{'type': 'LeNet'}}\ndevice = 'cpu'\n")
    trained = open_trained(tmp_path / "weights.pt", str(config))
    assert trained.classes[3] == "cat"  # the stand-in's is another
    normalize: Any = trained.transforms.transforms[-1]
    assert normalize.mean.flatten().tolist() == pytest.approx(CIFAR10.mean)
    asked = ["--config", str(config), "--target", "cat", "--out", str(tmp_path / "out")]
    assert main(["cam", str(tmp_path / "weights.pt"), str(photo), *asked]) == 0
    captured = capsys.readouterr()
    assert "taken to be of CIFAR10, not of its stand-in: airplane" in captured.out + captured.err


@needs_weights
def test_trained_weights_know_a_cat(tmp_path: Path, repository: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cat = nets.TRAINED.with_name("cat.png")
    if not cat.is_file():
        pytest.skip(f"{cat.name} is not beside the repository")
    config = tmp_path / "config.py"
    config.write_text(
        "data = dict(type='DrawnShapes', count=2)\nval = dict(dataset=data, transforms=[dict(type='ToFloat'), "
        "dict(type='Normalize', mean=[0.4914, 0.4822, 0.4465], std=[0.247, 0.2435, 0.2616])])\n"
        "model = dict(type='LeNet', num_classes=10)\ndevice = 'cpu'\n"
    )
    out = tmp_path / "out"
    asked = ["--config", str(config), "--target", "3", "--out", str(out)]
    assert main(["cam", str(nets.TRAINED), str(cat), *asked]) == 0
    assert "Grad-CAM, layer conv2" in capsys.readouterr().out
    [raw] = out.glob("*.npy")
    values = np.load(raw)
    assert values.shape == (10, 10)
    assert values[1:7, 3:7].mean() > 2 * values[:, [0, 9]].mean()  # the cat sits in the middle
