"""Read an image file, whatever its mode, as 8-bit RGB, upright."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pegboard.errors import DataError, did_you_mean
from pegboard.rgb import FORMATS, to_rgb

# Files that count as images in a folder; what is in them is told by their content, not by their name.
SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}


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
    quick = _plain_jpeg(path)
    if quick is not None:
        return quick
    with opened(path, what) as image:
        return to_rgb(image)


def _plain_jpeg(path: str | Path) -> Image.Image | None:
    """A JPEG that lies upright in its file, to the same bits as Pillow's but in a fifth of the time.

    None leaves the file to Pillow: other formats, EXIF data that may turn the image, four colours, more pixels than
    Pillow takes without a word, and whatever is damaged, so that Pillow alone judges that.
    """
    from simplejpeg import decode_jpeg, decode_jpeg_header

    try:
        if not Path(path).is_file():
            return None
        with Path(path).open("rb") as file:
            data = file.read()
        if not data.startswith(b"\xff\xd8") or b"Exif\0" in data[:65536]:
            return None
        height, width, colours, _ = decode_jpeg_header(data)
        if colours not in ("YCbCr", "Gray") or height * width > (Image.MAX_IMAGE_PIXELS or math.inf):
            return None
        return Image.fromarray(decode_jpeg(data, "RGB"))
    except (OSError, ValueError):
        return None


@contextmanager
def opened(path: str | Path, what: str = "") -> Iterator[Image.Image]:
    """The file as Pillow opens it; whatever goes wrong inside the block is a DataError that names the file."""
    try:
        if not Path(path).is_file() and Path(path).exists() and not Path(path).is_dir():
            raise OSError("it is no file but a device or a pipe, which may have no end")
        with Image.open(path, formats=FORMATS) as image:
            yield image
    except FileNotFoundError:
        raise DataError(f"{path}: no such file{in_brackets(what)}{_near(Path(path))}") from None
    except UnidentifiedImageError as error:
        reason = f"it is none of {', '.join(FORMATS)}" if Path(path).stat().st_size else "the file is empty"
        raise DataError(f"{path}: cannot be read as an image{in_brackets(what)}: {reason}") from error
    except Exception as error:  # a damaged file can raise anything
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise DataError(f"{path}: cannot be read as an image{in_brackets(what)}: {reason}") from error


def kinds() -> str:
    """``"*.bmp, *.gif, ..."``, for messages."""
    return ", ".join(f"*{suffix}" for suffix in sorted(SUFFIXES))


def in_brackets(what: str) -> str:
    """``" (image 23)"``; empty where nothing is said."""
    return f" ({what})" if what else ""


def _near(path: Path) -> str:
    """The file that may have been meant; folders too large to look through quickly are left alone."""
    if path.is_symlink():
        return f"; it is a link to {path.readlink()}, which is not there"
    try:
        names = [file.name for _, file in zip(range(10_000), path.parent.iterdir(), strict=False)]
    except OSError:
        return f"; nor is there a folder {path.parent}"
    return did_you_mean(path.name, names)
