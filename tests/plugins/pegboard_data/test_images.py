"""Every kind of image file as upright 8-bit RGB."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pegboard import DataError
from pegboard.rgb import ORIENTATION, to_rgb
from pegboard_data.images import read_image
from tests.plugins.pegboard_data.pictures import colours, gradient, write_awkward, write_broken


def test_every_mode_is_read_as_rgb(tmp_path):
    expected = write_awkward(tmp_path)
    assert len(expected) > 15
    for name, pixels in expected.items():
        image = read_image(tmp_path / name)
        assert image.mode == "RGB", name
        found = np.asarray(image).astype(int)
        limit = 1 if name == "cmyk.tif" else 0
        assert found.shape == pixels.shape and np.abs(found - pixels).max() <= limit, name


def test_the_comparison_catches_a_channel_swap(tmp_path):
    expected = write_awkward(tmp_path)["rgb.png"]
    swapped = np.asarray(read_image(tmp_path / "rgb.png"))[..., ::-1]
    assert np.abs(swapped.astype(int) - expected).max() > 1


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bits_are_scaled_and_not_clipped(tmp_path, suffix):
    values = np.array([[0, 128, 129, 256, 257, 385, 386, 32767, 65406, 65407, 65535]], dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"deep.{suffix}")
    grey = np.asarray(read_image(tmp_path / f"deep.{suffix}"))[0, :, 0]
    assert grey.tolist() == np.round(values[0] / 257).astype(int).tolist()


def test_big_endian_and_32_bit_modes_of_16_bit_files():
    values = np.array([[0, 257, 65535]], dtype=np.int32)
    for image in (Image.fromarray(values), Image.fromarray(values.astype(">u2"))):
        assert np.asarray(to_rgb(image))[0, :, 2].tolist() == [0, 1, 255]
    for wrong in (values * 2, values - 1):
        with pytest.raises(ValueError, match="32-bit numbers .* of unknown range; expected 8 or 16 bits"):
            to_rgb(Image.fromarray(wrong))


def test_16_bits_in_each_of_three_channels(tmp_path):
    """Pillow writes no such file."""

    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = b"".join(b"\0" + row.tobytes() for row in colours().astype(">u2") * 257)
    header = struct.pack(">IIBBBBB", 5, 3, 16, 2, 0, 0, 0)
    chunks = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "deep.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    assert np.array_equal(np.asarray(read_image(tmp_path / "deep.png")), colours())


# orientation -> what undoes it: where the camera says that row 0 is the right side, and so on
TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a.swapaxes(0, 1)[:, ::-1],
    7: lambda a: a.swapaxes(0, 1)[::-1, ::-1],
    8: lambda a: a.swapaxes(0, 1)[::-1],
}


@pytest.mark.parametrize("orientation", TURNED)
@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp", "grey.png", "deep.png"])
def test_the_exif_orientation_is_followed(tmp_path, orientation, name):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    stored = {"grey.png": gradient(), "deep.png": gradient().astype(np.uint16) * 257}.get(name, colours())
    options = {"lossless": True} if name == "a.webp" else {}
    Image.fromarray(stored).save(tmp_path / name, exif=exif, **options)
    found = np.asarray(read_image(tmp_path / name))
    upright = TURNED[orientation](gradient() if name in ("grey.png", "deep.png") else colours())
    assert np.array_equal(found, upright if upright.ndim == 3 else np.repeat(upright[..., None], 3, axis=2))


def test_a_camera_jpeg_is_turned(tmp_path):
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    pixels = np.zeros((16, 32, 3), dtype=np.uint8)
    pixels[:, :16] = 255  # white left half
    Image.fromarray(pixels).save(tmp_path / "a.jpg", exif=exif, quality=95)
    image = read_image(tmp_path / "a.jpg")
    assert image.size == (16, 32)
    assert image.getpixel((8, 2)) > (200, 200, 200) and image.getpixel((8, 30)) < (50, 50, 50)  # white above


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_is_none_is_left_alone(tmp_path, orientation):
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(colours()).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.png")), colours())


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")  # Pillow's own
def test_damaged_exif_data_harms_nothing(tmp_path):
    for exif in (b"Exif\0\0MM\0*\0\0\0\x08\0\x09broken", b"Exif\0\0nonsense", b"Exif\0\0"):
        Image.fromarray(colours()).save(tmp_path / "a.webp", exif=exif, lossless=True)
        assert np.array_equal(np.asarray(read_image(tmp_path / "a.webp")), colours())


def test_what_cannot_be_read_is_named_with_its_place(tmp_path):
    for name in write_broken(tmp_path):
        with pytest.raises(DataError, match=rf"{name}: cannot be read as an image \(image 7\): \w[^/]*$"):
            read_image(tmp_path / name, "image 7")
    with pytest.raises(DataError, match=r"empty\.png: .*: the file is empty"):
        read_image(tmp_path / "empty.png")


def test_a_file_that_is_not_there_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "0001.png").touch()
    with pytest.raises(DataError, match=r"001\.png: no such file \(image 3\); did you mean '0001\.png'\?"):
        read_image(tmp_path / "001.png", "image 3")
    with pytest.raises(DataError, match="no such file; nor is there a folder"):
        read_image(tmp_path / "none" / "001.png")


def test_a_picture_that_would_fill_the_memory_is_refused(tmp_path, monkeypatch):
    Image.new("RGB", (64, 64)).save(tmp_path / "bomb.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match=r"bomb\.png: .*exceeds limit"):
        read_image(tmp_path / "bomb.png")


# -- the quick way for plain JPEG files ------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("subsampling", [0, 1, 2])
@pytest.mark.parametrize("size", [(32, 32), (17, 9), (1, 1)])
def test_a_jpeg_gives_the_bits_that_pillow_gives(
    tmp_path: Path, mode: str, subsampling: int, size: tuple[int, int]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(noise).convert(mode)
    image.save(tmp_path / "a.jpg", quality=80, **({} if mode == "L" else {"subsampling": subsampling}))
    with Image.open(tmp_path / "a.jpg") as opened:
        expected = np.asarray(opened.convert("RGB"))
    assert np.array_equal(np.asarray(read_image(tmp_path / "a.jpg")), expected)


def test_what_pillow_refuses_is_refused(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "red").save(tmp_path / "whole.jpg")
    data = (tmp_path / "whole.jpg").read_bytes()
    for cut in (2, 20, len(data) // 2, len(data) - 40):
        (tmp_path / "cut.jpg").write_bytes(data[:cut])
        with pytest.raises(DataError, match="cannot be read as an image"):
            read_image(tmp_path / "cut.jpg")
