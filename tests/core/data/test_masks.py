"""Masks move with their images, in both engines alike, and class labels stay as they were."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms import v2

from pegboard import DataError, Loader, Mask, Transform
from pegboard.registry import TRANSFORMS
from pegboard.runner.contents import contents

SIDE = 16


class Scenes:
    """Images whose red channel is their mask, so that one can be told from the other: five classes, 255 ignored."""

    ignore_index = 255

    def __init__(self, count: int = 10, as_pillow: bool = False) -> None:
        random = np.random.default_rng(0)
        coarse = random.choice([0, 1, 2, 3, 4, 255], (count, SIDE // 4, SIDE // 4)).astype(np.uint8)
        self.masks = coarse.repeat(4, 1).repeat(4, 2)
        self.as_pillow = as_pillow

    def __len__(self) -> int:
        return len(self.masks)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        mask = self.masks[index]
        image = torch.from_numpy(mask).expand(3, -1, -1)
        return image, Image.fromarray(mask) if self.as_pillow else Mask(mask)


def made(*transforms: Any, dataset: Any = None, **keys: Any) -> tuple[Tensor, Tensor, Tensor]:
    """All batches of epoch 1 together: inputs, targets, index."""
    loader = Loader(dataset or Scenes(), list(transforms), batch_size=4, shuffle=True, seed=3, **keys)
    batches = list(loader.batches(1))
    return tuple(torch.cat(parts) for parts in zip(*batches, strict=True))  # type: ignore[return-value]


def part(name: str, **arguments: Any) -> Any:
    return TRANSFORMS.build({"type": name, **arguments})


# Where the image is moved as a mask is, the two must stay one.
MOVES = {
    "crop": [part("RandomCrop", size=12, padding=3, fill=255)],
    "crop of mirrored edges": [part("RandomCrop", size=16, padding=3, padding_mode="reflect")],
    "flips": [part("RandomHorizontalFlip"), part("RandomVerticalFlip"), part("AlternatingFlip")],
    "turn": [part("RandomRotation", degrees=40, fill=255)],
    "affine": [part("RandomAffine", degrees=20, translate=(0.2, 0.1), scale=(0.7, 1.4), shear=10, fill=255)],
    "resize": [part("Resize", size=(11, 23), interpolation="nearest-exact")],
    "resize from the corner": [part("Resize", size=(23, 9), interpolation="nearest")],
    "resized crop": [part("RandomResizedCrop", size=9, interpolation="nearest-exact")],
    "window": [part("CenterCrop", size=10)],
    "pad": [part("Pad", padding=[1, 2], fill=255)],
    "several": [
        part("Resize", size=20, interpolation="nearest-exact"),
        part("RandomCrop", size=16, padding=2, fill=255),
        part("RandomHorizontalFlip"),
        part("RandomRotation", degrees=10, fill=255),
    ],
    "of torchvision": [v2.RandomRotation(40, fill=255), v2.RandomHorizontalFlip(0.5)],
}


@pytest.mark.parametrize("transforms", MOVES.values(), ids=MOVES)
def test_masks_move_as_their_images_do_in_every_engine(transforms: list[Any]) -> None:
    inputs, targets, index = made(*transforms, mode="memory")
    assert targets.dtype == torch.int64 and targets.shape == (10, *inputs.shape[-2:])
    assert torch.equal(inputs[:, 0].long(), targets)
    for also in (made(*transforms, mode="workers"), made(*transforms, mode="workers", dataset=Scenes(as_pillow=True))):
        for one, other in zip((inputs, targets, index), also, strict=True):
            assert torch.equal(one, other)


def test_worker_processes_give_the_same() -> None:
    transforms = MOVES["several"]
    for one, other in zip(made(*transforms), made(*transforms, workers=2), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(
    "transforms",
    [
        [part("RandomRotation", degrees=40)],
        [part("RandomCrop", size=16, padding=4)],
        [part("CenterCrop", size=24)],
        [v2.RandomAffine(30, translate=(0.3, 0.3), fill=1)],  # 1 is a class: the mask must not get it
        [v2.RandomPerspective(p=1)],
    ],
    ids=lambda transforms: type(transforms[0]).__name__,
)
def test_pixels_from_outside_count_for_no_class(transforms: list[Any]) -> None:
    class Full(Scenes):
        def __init__(self) -> None:
            super().__init__()
            self.masks = np.full_like(self.masks, 3)

    _, targets, _ = made(*transforms, dataset=Full())
    assert targets.unique().tolist() == [3, 255]


def test_changes_of_colour_leave_masks_alone() -> None:
    colours = [
        part("ColorJitter", brightness=0.5, hue=0.3),
        part("RandomGrayscale", p=0.5),
        part("GaussianBlur", kernel_size=3),
        part("RandomErasing", p=1.0),
        v2.RandomSolarize(100.0, p=1.0),
        part("ToFloat"),
        part("Normalize", mean=[0.5] * 3, std=[0.2] * 3),
    ]
    _, targets, index = made(*colours)
    assert torch.equal(targets, torch.from_numpy(Scenes().masks).long()[index])


def test_a_mask_is_of_the_nearest_pixel_where_the_image_is_smooth() -> None:
    """Bilinear images, nearest masks: away from edges the two agree, and no class is invented in between."""

    class Half(Scenes):
        def __init__(self) -> None:
            super().__init__()
            self.masks = np.zeros((6, 32, 32), np.uint8)
            self.masks[:, 8:24, 8:24] = 200

    smooth = [part("Resize", size=48), part("RandomAffine", degrees=30, scale=(0.8, 1.2), interpolation="bilinear")]
    inputs, targets, _ = made(*smooth, dataset=Half(), mode="memory")
    assert set(targets.unique().tolist()) <= {0, 200, 255}
    known = targets != 255
    apart = ((inputs[:, 0] >= 100) != (targets == 200)) & known
    assert apart.float().mean() < 0.01


class Silent(Transform):
    """The broken specimen: it moves pixels, and does not say how masks move."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.roll(1, 3)


class Shifted(Silent):
    """Another: it says so wrongly."""

    moves_pixels = False


def test_a_transform_that_would_leave_masks_behind_is_refused() -> None:
    with pytest.raises(DataError, match=r"Silent does not say what becomes of masks; define apply_mask"):
        made(Silent())
    with pytest.raises(DataError, match=r"function gets the image alone and would leave its mask behind"):
        made(lambda image: image.flip(2))
    inputs, targets, _ = made(Shifted())
    assert not torch.equal(inputs[:, 0].long(), targets)  # what the comparison above would catch


def test_mixing_labels_refuses_masks() -> None:
    with pytest.raises(DataError, match="CutMix mixes the labels of images, and these have masks; leave it out"):
        made(part("CutMix", num_classes=5))


class Rolled(Transform):
    """A mixing transform of masks: whole images change places."""

    mixes_samples = True

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.roll(1, 0)

    def apply_mask(self, mask: Mask, rows: Tensor) -> Mask:
        return mask.moved(lambda pixels: pixels.roll(1, 0))


def test_what_follows_a_transform_that_mixes_samples_moves_masks_too() -> None:
    transforms = [Rolled(), part("RandomRotation", degrees=40, fill=255)]
    for mode in ("memory", "workers"):
        inputs, targets, _ = made(*transforms, mode=mode)
        assert torch.equal(inputs[:, 0].long(), targets) and targets.dtype == torch.int64


def test_classes_of_pixels_are_renamed_by_a_table() -> None:
    _, targets, index = made(target_transform={0: 0, 1: 1, 2: 1, 3: 300, 4: 2})
    old = torch.from_numpy(Scenes().masks).long()[index]
    for before, after in ((0, 0), (1, 1), (2, 1), (3, 300), (4, 2), (255, 255)):
        assert (targets[old == before] == after).all()
    with pytest.raises(DataError, match="sample 0 has target 4, for which target_transform says nothing"):
        made(target_transform=[0, 1, 1, 1], mode="memory")


def test_a_collate_function_gets_them_as_plain_numbers() -> None:
    def collate(samples: list[Any]) -> tuple[Tensor, Tensor]:
        return torch.stack([image for image, _ in samples]), torch.stack([mask for _, mask in samples])

    inputs, targets, _ = made(*MOVES["several"], collate=collate)
    assert torch.equal(inputs[:, 0].long(), targets)


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (Mask(torch.zeros(8, 9, dtype=torch.uint8)), "sample 0 of One has a mask of 8 x 9 for an image of 8 x 8"),
        (Mask(torch.zeros(8, 8, 3, dtype=torch.uint8)), "a mask of 8 x 8 x 3 for an image of 8 x 8; expected one"),
    ],
)
def test_a_mask_that_does_not_lie_over_its_image_is_refused(mask: Mask, message: str) -> None:
    class One:
        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> tuple[Tensor, Mask]:
            return torch.zeros(3, 8, 8, dtype=torch.uint8), mask

    for mode in ("memory", "workers"):
        with pytest.raises(DataError, match=message):
            made(dataset=One(), mode=mode)


def test_masks_are_equal_where_their_numbers_are() -> None:
    mask = Mask(torch.eye(3, dtype=torch.uint8))
    assert mask == Mask(Image.fromarray(np.eye(3, dtype=np.uint8)))
    assert mask != Mask(torch.eye(3, dtype=torch.uint8), ignore=0)
    assert mask != Mask(torch.eye(2, dtype=torch.uint8))
    assert mask != Mask(torch.ones(3, 3, dtype=torch.uint8))
    assert mask != "a mask"


def test_pixels_of_a_mask_are_whole_numbers() -> None:
    assert Mask(np.array([[True, False]])).pixels.dtype == torch.uint8
    assert Mask(np.array([[1, 300]], np.uint16)).pixels.tolist() == [[1, 300]]
    assert Mask(np.array([[1, 2]], np.uint8), ignore=-100).pixels.dtype == torch.int64  # -100 must fit in
    for bad in (torch.zeros(2, 2), np.zeros((2, 2))):
        with pytest.raises(DataError, match="the pixels of a mask are class numbers, not float"):
            Mask(bad)


class Doubled(Transform):
    """Class labels that a deterministic transform changes."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images

    def apply_targets(self, targets: Any, rows: Tensor) -> Any:
        return targets * 2


def test_a_leading_transform_changes_labels_in_memory_too() -> None:
    class Numbered(Scenes):
        def __getitem__(self, index: int) -> tuple[Tensor, Any]:
            return super().__getitem__(index)[0], index

    for mode in ("memory", "workers"):
        _, targets, index = made(Doubled(), dataset=Numbered(), mode=mode)
        assert torch.equal(targets, 2 * index)


@pytest.mark.parametrize("mode", ["memory", "workers"])
def test_a_run_notices_masks_that_have_changed(mode: Any) -> None:
    class Repainted(Scenes):
        def __getitem__(self, index: int) -> tuple[Tensor, Any]:
            image, mask = super().__getitem__(index)
            return image, Mask(mask.pixels.where(mask.pixels != 4, 3))

    before, again, after = (contents(Loader(data, mode=mode))["hash"] for data in (Scenes(), Scenes(), Repainted()))
    assert before == again != after
