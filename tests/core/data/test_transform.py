"""A pipeline of transforms: what each one is given, and where its numbers come from."""

from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from pegboard import DataError, Transform
from pegboard.data.transform import Pipeline
from pegboard.randomness import uniforms

INDEX = np.array([4, 0, 7])
PLACES = np.array([10, 11, 12])


def images(count: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(256, (count, 3, 6, 8), generator=generator, dtype=torch.uint8)


class Notes(Transform):
    """Keeps what it is given, and changes nothing."""

    uniforms = 2

    def __init__(self) -> None:
        self.u: list[Tensor] = []
        self.epochs: list[int] = []
        self.sizes: list[Tensor] = []
        self.rows: list[Tensor] = []

    def params(self, u: Tensor, epoch: int, sizes: Tensor) -> Tensor:
        self.u.append(u)
        self.epochs.append(epoch)
        self.sizes.append(sizes)
        return u * 2

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        self.rows.append(rows)
        return images


class Still(Transform):
    """Deterministic, and stays in uint8: it inverts."""

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        assert rows.shape == (len(images), 0)
        return 255 - images


class Floats(Transform):
    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        return images.float()


def run(transforms: list[Any], seed: int = 5, epoch: int = 2) -> tuple[Tensor, Tensor]:
    return Pipeline(transforms, seed)(images(), torch.tensor([1, 2, 3]), INDEX, epoch, PLACES)


def test_each_transform_gets_the_numbers_of_its_place_and_sample() -> None:
    first, second = Notes(), Notes()
    run([first, Still(), second])
    for place, notes in ((0, first), (2, second)):
        assert notes.u[0].numpy().tolist() == uniforms(5, 2, place, INDEX, 2).tolist()
        assert notes.epochs == [2]
        assert notes.sizes[0].tolist() == [[6, 8]] * 3
        assert torch.equal(notes.rows[0], notes.u[0] * 2)
    assert not torch.equal(first.u[0], second.u[0])


def test_a_transform_that_mixes_samples_gets_numbers_by_place_in_the_epoch() -> None:
    notes = Notes()
    notes.mixes_samples = True
    run([notes])
    assert notes.u[0].numpy().tolist() == uniforms(5, 2, 0, PLACES, 2).tolist()


def test_a_transform_may_ask_for_the_same_numbers_in_every_epoch() -> None:
    notes = Notes()
    notes.per_epoch = False
    run([Still(), notes], epoch=2)
    run([Still(), notes], epoch=3)
    assert torch.equal(notes.u[0], notes.u[1])
    assert notes.u[0].numpy().tolist() == uniforms(5, 0, 1, INDEX, 2).tolist()
    assert notes.epochs == [2, 3]  # it knows which one it is


def test_targets_may_change_too() -> None:
    class Shifts(Notes):
        def apply_targets(self, targets: Any, rows: Tensor) -> Any:
            return targets + 10

    assert run([Shifts(), Still(), Shifts()])[1].tolist() == [21, 22, 23]


def test_a_transform_that_forgets_apply_is_named() -> None:
    class Forgets(Transform):
        pass

    with pytest.raises(NotImplementedError, match=r"Forgets does not define apply\(images, rows\)"):
        run([Forgets()])


def test_without_params_apply_gets_the_numbers_themselves() -> None:
    class Plain(Transform):
        uniforms = 1

        def apply(self, images: Tensor, rows: Tensor) -> Tensor:
            return rows

    assert run([Plain()])[0].numpy().tolist() == uniforms(5, 2, 0, INDEX, 1).tolist()


# -- what is done once ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("transforms", "leading"),
    [
        ([], 0),
        ([Still()], 1),
        ([Still(), Still(), Notes(), Still()], 2),
        ([Notes(), Still()], 0),
        ([Floats(), Still()], 0),
        ([Still(), Floats()], 1),
        ([lambda image: image], 0),
    ],
)
def test_leading_deterministic_steps_in_uint8_are_done_once(transforms: list[Any], leading: int) -> None:
    first, rest = Pipeline(transforms, 0).split(images()[0])
    assert first.transforms == transforms[:leading]
    assert rest.transforms == transforms[leading:]


def test_what_is_left_keeps_its_places() -> None:
    whole, left = Notes(), Notes()
    run([Still(), Still(), whole])
    _, rest = Pipeline([Still(), Still(), left], 5).split(images()[0])
    rest(images(), torch.tensor([1, 2, 3]), INDEX, 2, PLACES)
    assert torch.equal(whole.u[0], left.u[0])


# -- what is done together ------------------------------------------------------------------------------------------


NOTHING = torch.empty(3, 0)


class Adds(Transform):
    """Adds a number to every pixel; two of them at once say so."""

    ran: ClassVar[list[int]] = []

    def __init__(self, number: int) -> None:
        self.number = number

    def apply(self, images: Tensor, rows: Tensor) -> Tensor:
        self.ran.append(self.number)
        return images + self.number

    def joined(self, following: Transform) -> Transform | None:
        return Adds(self.number + following.number) if isinstance(following, Adds) else None


@pytest.mark.parametrize(
    ("transforms", "ran"),
    [
        ([Adds(1), Adds(2)], [3]),
        ([Adds(1), Adds(2), Adds(4)], [7]),
        ([Adds(1), Still(), Adds(2), Adds(4)], [1, 6]),
        ([Adds(1), lambda image: image, Adds(2)], [1, 2]),
    ],
)
def test_neighbours_that_can_be_joined_are_one_step(transforms: list[Any], ran: list[int]) -> None:
    Adds.ran.clear()
    done = run(transforms)[0]
    assert Adds.ran == ran
    one_by_one = images()
    for transform in transforms:
        one_by_one = transform.apply(one_by_one, NOTHING) if isinstance(transform, Transform) else one_by_one
    assert torch.equal(done, one_by_one)


def test_what_follows_joined_steps_keeps_its_place() -> None:
    whole, alone = Notes(), Notes()
    run([Adds(1), Adds(2), whole])
    run([Still(), Still(), alone])
    assert torch.equal(whole.u[0], alone.u[0])


# -- transforms of other libraries ----------------------------------------------------------------------------------


def noisy(image: Tensor) -> Tensor:
    return image.float() + torch.rand(())


def test_a_strangers_transform_gets_one_seed_a_sample() -> None:
    made = run([noisy])[0]
    added = (made - images().float())[:, 0, 0, 0]
    assert len(set(added.tolist())) == 3
    for i in range(3):  # alone, and in another batch
        alone, _ = Pipeline([noisy], 5)(images()[i : i + 1], torch.zeros(1), INDEX[i : i + 1], 2, PLACES[:1])
        assert torch.equal(alone[0], made[i])
    assert not torch.equal(run([noisy], epoch=3)[0], made)
    assert not torch.equal(run([noisy], seed=6)[0], made)
    assert not torch.equal(run([Still(), Still(), noisy])[0], made)  # another place


def test_torchs_generator_is_put_back_even_after_an_error() -> None:
    def fails(image: Tensor) -> Tensor:
        torch.rand(3)
        raise OSError("no")

    torch.manual_seed(1)
    before = torch.get_rng_state()
    with pytest.raises(OSError, match="no"):
        run([fails])
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("transform", "message"),
    [
        (lambda image: image.numpy(), "gave ndarray for sample 4; expected a tensor"),
        (
            lambda image: image[:, : int(image[0, 0, 0]) % 4 + 1],
            r"gave shape \(3, \d, 8\) for sample \d; expected a tensor",
        ),
    ],
)
def test_a_strangers_transform_must_give_tensors_of_one_shape(transform: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        run([transform])
