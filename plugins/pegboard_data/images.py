"""Read an image file, whatever its mode, as 8-bit RGB, upright."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from pegboard.errors import DataError, did_you_mean

# Files that count as images in a folder; what is in them is told by their content, not by their name.
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}

ORIENTATION = 0x0112  # the EXIF tag that says how the camera was held
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | Path, what: str = "") -> Image.Image:
    """A file as an RGB image of 8 bits a channel, turned as its EXIF orientation says.

    What the file is called does not matter: a JPEG named ``.png`` is read as what it is. Of an animation, the first
    picture is read.

    Args:
        path: the file.
        what: which sample it is, e.g. ``"image 23"``, for messages.

    Raises:
        DataError: there is no such file, or it is no image, or truncated, or of a kind that has no RGB form; names the
            file and ``what``.
    """
    with opened(path, what) as image:
        return to_rgb(image)


@contextmanager
def opened(path: str | Path, what: str = "") -> Iterator[Image.Image]:
    """The file as Pillow opens it; whatever goes wrong inside the block is a DataError that names the file."""
    try:
        with Image.open(path) as image:
            yield image
    except FileNotFoundError:
        raise DataError(f"{path}: no such file{in_brackets(what)}{_near(Path(path))}") from None
    except UnidentifiedImageError as error:
        reason = "no image format that Pillow knows" if Path(path).stat().st_size else "the file is empty"
        raise DataError(f"{path}: cannot be read as an image{in_brackets(what)}: {reason}") from error
    except Exception as error:  # a damaged file can raise anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as an image{in_brackets(what)}: {reason}") from error


def to_rgb(image: Image.Image) -> Image.Image:
    """An opened image as 8-bit RGB, upright.

    Grey is repeated in the three channels; transparency is dropped, leaving the colour below it; 16 bits a pixel are
    scaled by 1/257, so that white stays white. (Of 16 bits in each of three channels Pillow itself keeps the upper
    eight.)

    Raises:
        ValueError: pixels whose range cannot be told (32-bit numbers), or colours that Pillow cannot turn into RGB.
    """
    image.load()  # first: some formats hold their EXIF data behind the pixels, and TIFF is turned by Pillow here
    if image.mode.startswith("I") or image.mode == "F":
        grey = _eight_bits(image)
        return _upright(image, grey).convert("RGB")
    if image.mode == "P":
        image.info.pop("transparency", None)  # converting to RGB drops it in any case, but Pillow would warn
    return _upright(image, image.convert("RGB"))


def _eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 bits a pixel, in whichever of Pillow's modes, as 8 bits."""
    pixels = np.asarray(image)
    if image.mode == "F" or pixels.min(initial=0) < 0 or pixels.max(initial=0) > 65535:
        raise ValueError(f"its pixels are 32-bit numbers (mode {image.mode}) of unknown range; expected 8 or 16 bits")
    return Image.fromarray(((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8))


def _upright(original: Image.Image, image: Image.Image) -> Image.Image:
    """``image`` turned as the EXIF data of ``original`` says."""
    try:
        orientation = original.getexif().get(ORIENTATION)
    except Exception:  # noqa: BLE001  # damaged EXIF data can raise anything, and the picture is not worse for it
        orientation = None
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def kinds() -> str:
    """``"*.bmp, *.gif, ..."``, for messages."""
    return ", ".join(f"*{suffix}" for suffix in sorted(SUFFIXES))


def in_brackets(what: str) -> str:
    """``" (image 23)"``; empty where nothing is said."""
    return f" ({what})" if what else ""


def _near(path: Path) -> str:
    """The file that may have been meant; folders too large to look through quickly are left alone."""
    try:
        names = [file.name for _, file in zip(range(10_000), path.parent.iterdir(), strict=False)]
    except OSError:
        return f"; nor is there a folder {path.parent}"
    return did_you_mean(path.name, names)
