"""A Pillow image of any mode as 8-bit RGB, upright."""

import numpy as np
from PIL import Image

# What is read, whatever a file is called. Pillow knows more, but some of those run other programs (Ghostscript for EPS)
# or are read by code that few people use.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")

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


def to_rgb(image: Image.Image) -> Image.Image:
    """An opened image as 8-bit RGB, upright.

    Grey is repeated in the three channels; transparency is dropped, leaving the colour below it; 16 bits a pixel are
    scaled by 1/257, so that white stays white. (Of 16 bits in each of three channels Pillow itself keeps the upper
    eight.)

    Raises:
        ValueError: no pixels at all, pixels whose range cannot be told (32-bit numbers), or colours that Pillow cannot
            turn into RGB.
    """
    if 0 in image.size:
        raise ValueError(f"it has no pixels: it is {image.width} wide and {image.height} high")
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
