"""The ranks of a machine decode a part each, and hold one copy together."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from pegboard import distributed
from pegboard.data import one_copy
from pegboard.data.bad_samples import BadSamples
from pegboard.data.engines import InMemory
from pegboard.data.one_copy import Beside, beside
from pegboard.data.samples import Decoded, Samples
from pegboard.data.transform import Pipeline
from tests import ranks

COUNT = 11
BAD = (4, 9)


class Counted:
    """Remembers which samples were read; some cannot be."""

    def __init__(self, bad: tuple[int, ...] = ()) -> None:
        self.bad, self.read = bad, list[int]()

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        if index in self.bad:
            raise OSError("damaged")
        self.read.append(index)
        return torch.full((3, 2, 2), index, dtype=torch.uint8), index % 4


def _engine(together: Beside | None, bad: tuple[int, ...] = ()) -> tuple[InMemory, Samples]:
    samples = Samples(Counted(bad), bad=BadSamples("skip", 0.5, COUNT, "train"))
    return InMemory(samples, Pipeline([], 0), torch.device("cpu"), together), samples


def _decode(folder: Path) -> None:
    distributed.join()
    here = distributed.place()
    rank, together = here.rank if here else 0, beside()
    found: dict[str, Any] = {}
    engine, samples = _engine(together)
    found |= {"images": engine.images.clone(), "targets": engine.targets, "read": samples.dataset.read}
    decoded = Decoded(Samples(Counted()), together)
    found |= {"pixels": decoded.pixels.clone(), "ends": decoded.ends, "decoded targets": decoded.targets}
    engine_of_bad, samples = _engine(together, BAD)
    found |= {"stand-ins": engine_of_bad.images.clone(), "bad": samples.bad.found}
    alone, _ = _engine(None)
    distributed.barrier()
    if rank == 0:
        for one in (engine, alone):
            one.images[-1] = 77
        decoded.pixels[-1] = 77
    distributed.barrier()
    found["shared"] = [bool((pixels == 77).any()) for pixels in (engine.images, decoded.pixels, alone.images)]
    torch.save(found, folder / f"{rank}.pt")


@pytest.fixture(scope="module")
def decoded(tmp_path_factory: pytest.TempPathFactory) -> dict[int, list[dict[str, Any]]]:
    """Number of ranks -> what each of them has."""
    found = {}
    for world in (1, 2, 3):
        folder = tmp_path_factory.mktemp(f"decoded{world}")
        assert set(ranks.call(world, _decode, folder, logs=folder)) == {0}, (folder / "rank0.log").read_text()
        found[world] = [torch.load(folder / f"{rank}.pt") for rank in range(world)]
    return found


@pytest.mark.parametrize("world", [2, 3])
def test_all_ranks_have_what_one_process_has(decoded: dict[int, list[dict[str, Any]]], world: int) -> None:
    (one,) = decoded[1]
    for rank in decoded[world]:
        for name in ("images", "targets", "pixels", "ends", "stand-ins"):
            assert torch.equal(rank[name], one[name]), name
        assert rank["decoded targets"] == one["decoded targets"]
        assert set(rank["bad"]) == set(BAD)  # those that another rank has found among them


@pytest.mark.parametrize("world", [2, 3])
def test_each_decodes_a_part_and_all_map_the_same_memory(decoded: dict[int, list[dict[str, Any]]], world: int) -> None:
    parts = [[index for index in rank["read"] if index] for rank in decoded[world]]  # all look at sample 0
    assert sorted(index for part in parts for index in part) == list(range(1, COUNT))
    assert max(map(len, parts)) <= -(-COUNT // world)
    for rank in decoded[world][1:]:
        assert rank["shared"] == [True, True, False]  # the last is a copy of its own, in which nothing is seen
    assert not list(one_copy.SHARED_MEMORY.glob("pegboard-*"))


def test_no_room_leaves_no_file() -> None:
    before = [set(folder.iterdir()) for folder in one_copy._folders()]
    assert one_copy._new_file(2**60) is None
    left = [
        path
        for folder, old in zip(one_copy._folders(), before, strict=True)
        for path in set(folder.iterdir()) - old
        if path.name.startswith("pegboard-")
    ]
    assert not left
