"""Image files that the tests make: plain ones in class folders, and awkward ones."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def noise(seed: int, height: int = 8, width: int = 8) -> Image.Image:
    """An RGB image that no other seed gives."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def write_classes_of_noise(root: Path, counts: dict[str, int], seed: int = 0) -> Path:
    """``root/<class>/<number>.png``, all different; another thousand of seeds is another data set."""
    for number, (name, count) in enumerate(counts.items()):
        (root / name).mkdir(parents=True, exist_ok=True)
        for index in range(count):
            noise(1000 * (seed * len(counts) + number) + index).save(root / name / f"{index:03}.png")
    return root


def write_parts(root: Path, counts: dict[str, dict[str, int]]) -> Path:
    """``root/<part>/<class>/<number>.png``, all different."""
    for seed, (part, classes) in enumerate(counts.items()):
        write_classes_of_noise(root / part, classes, seed)
    return root


def gradient() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Grey values (3, 5), no two the same, so that every way to turn them differs."""
    return np.arange(0, 150, 10, dtype=np.uint8).reshape(3, 5)


def colours() -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(3, 5, 3), channels apart."""
    grey = gradient()
    return np.stack([grey, 255 - grey, grey // 2], axis=2)


def write_awkward(root: Path) -> dict[str, np.ndarray[Any, np.dtype[np.uint8]]]:
    """Files that can be read, by name: what each is as RGB, (3, 5, 3) or turned (5, 3, 3)."""
    root.mkdir(parents=True, exist_ok=True)
    grey, rgb = gradient(), colours()
    repeated = np.repeat(grey[..., None], 3, axis=2)
    opaque = np.full_like(grey, 255)
    expected = {}

    def save(name: str, image: Image.Image, pixels: np.ndarray[Any, np.dtype[np.uint8]], **options: Any) -> None:
        image.save(root / name, **options)
        expected[name] = pixels

    save("rgb.png", Image.fromarray(rgb), rgb)
    save("grey.png", Image.fromarray(grey), repeated)
    save("grey_transparent.png", Image.fromarray(grey), repeated, transparency=30)
    save("rgb_transparent.png", Image.fromarray(rgb), rgb, transparency=(0, 255, 0))
    save("la.png", Image.fromarray(np.stack([grey, opaque // 2], axis=2)), repeated)
    save("rgba.png", Image.fromarray(np.dstack([rgb, grey])), rgb)  # the colour below, also where nothing shows
    palette = Image.fromarray(rgb).quantize(15)
    save("palette.png", palette, rgb)
    save("palette_transparent.png", palette, rgb, transparency=bytes(range(15)))
    save("palette.gif", palette, rgb)
    save(
        "one_bit.png", Image.fromarray(grey > 70), np.repeat(np.where(grey > 70, 255, 0)[..., None], 3, 2).astype("u1")
    )
    cmyk = Image.fromarray(rgb).convert("CMYK")
    save("cmyk.tif", cmyk, rgb)
    sixteen = grey.astype(np.uint16) * 257
    save("sixteen.png", Image.fromarray(sixteen), repeated)
    save("sixteen.tif", Image.fromarray(sixteen), repeated)
    save("rgb.webp", Image.fromarray(rgb), rgb, lossless=True)
    save("upper.PNG", Image.fromarray(rgb), rgb)
    jpeg = root / "really_a_jpeg.png"
    Image.fromarray(rgb).save(jpeg, "JPEG", quality=95)
    with Image.open(jpeg) as image:
        expected[jpeg.name] = np.asarray(image.convert("RGB"))
    (root / "pnm.pgm").write_bytes(b"P5 5 3 65535\n" + (grey.astype(">u2") * 257).tobytes())
    expected["pnm.pgm"] = repeated
    return expected


def write_broken(root: Path) -> list[str]:
    """Files that cannot be read."""
    root.mkdir(parents=True, exist_ok=True)
    noise(0, 64, 64).save(root / "whole.png")
    noise(0, 64, 64).save(root / "whole.jpg")
    for name in ("whole.png", "whole.jpg"):
        content = (root / name).read_bytes()
        (root / name).unlink()
        (root / name.replace("whole", "truncated")).write_bytes(content[: len(content) // 2])
    (root / "empty.png").touch()
    (root / "text.jpg").write_text("no image", encoding="utf-8")
    (root / "folder.png").mkdir()
    Image.fromarray(np.zeros((3, 5), dtype=np.float32)).save(root / "float.tif")
    return ["truncated.png", "truncated.jpg", "empty.png", "text.jpg", "folder.png", "float.tif"]
