"""Which validation images a hook draws again and again."""

import pytest

from pegboard.hooks.sample import spread


@pytest.mark.parametrize(("count", "most"), [(200, 6), (200, 8), (12, 3), (10, 9), (64, 64), (9, 64), (1, 1), (0, 8)])
def test_one_out_of_each_of_as_many_equal_stretches(count: int, most: int) -> None:
    chosen = spread(count, most)
    assert len(chosen) == len({*chosen}) == min(count, most)
    if count >= most:
        for place, number in enumerate(chosen):
            assert place * count // most <= number < (place + 1) * count // most


def test_classes_that_take_turns_are_all_seen() -> None:
    """As DrawnShapes has them; the specimen: at even distances all are of two classes."""

    def classes(chosen: list[int]) -> int:
        return len({number % 10 for number in chosen})

    assert classes([place * 200 // 8 for place in range(8)]) == 2
    for most in (4, 5, 6, 8, 10, 16, 20):
        assert classes(spread(200, most)) >= 0.6 * min(most, 10), most
