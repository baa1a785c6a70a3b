"""Where two trees of values differ: each difference once, by its place."""

from typing import Any

import pytest

from pegboard.differences import differences

CROP, FLIP = {"type": "RandomCrop", "size": 32}, {"type": "RandomHorizontalFlip"}


@pytest.mark.parametrize(
    ("one", "other", "found"),
    [
        ({"a": {"b": 1, "c": 2}}, {"a": {"b": 1, "c": 3}}, [("a.c", "2", "3")]),
        ({"a": [0.1, 0.2]}, {"a": [0.1, 0.3]}, [("a", "[0.1, 0.2]", "[0.1, 0.3]")]),
        ({"a": [CROP, FLIP]}, {"a": [{**CROP, "size": 28}, FLIP]}, [("a.0.size", "32", "28")]),
        ({"a": ["x", "y"]}, {"a": ["x", "new", "y"]}, [("a.1", "-", "'new'")]),
        ({"a": ["x", "y", "z", "z"]}, {"a": ["x"]}, [("a.1", "'y'", "-"), ("a.2", "'z'", "-"), ("a.3", "'z'", "-")]),
        ({"a": [CROP, FLIP]}, {"a": [FLIP]}, [("a.0", str(CROP), "-")]),
        ({"a": ["x", "x"]}, {"a": ["x"]}, [("a.1", "'x'", "-")]),
        ({"a": ["b", "old", "e"]}, {"a": ["b", "new", "newer", "e"]}, [("a.1", "'old'", "'new', 'newer'")]),
        ({"a": []}, {"a": []}, []),
        ({"a": float("nan")}, {"a": float("nan")}, []),
        ({"a": 1}, {}, [("a", "1", "-")]),
    ],
)
def test_each_difference_is_found_at_its_place(one: Any, other: Any, found: list[tuple[str, str, str]]) -> None:
    assert list(differences(one, other)) == found
    assert list(differences(other, one)) == [(path, theirs, mine) for path, mine, theirs in found]
