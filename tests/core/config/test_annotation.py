"""Values that do not fit an annotation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.config.annotation import choices, misfit


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("int", 3), ("float", 3), ("float", 0.5), ("float | Tensor", 0.1), ("bool", True), ("str", "a"), ("int | None", None),
        ("Optional[float]", None), ("Union[int, Sequence[int]]", [1, 2]), ("tuple[float, float]", (0.9, 0.999)),
        ("Literal['mean', 'sum']", "sum"), ("Callable[..., nn.Module]", 3), ("SomeAlias", "x"), ("Tensor | None", [1, 2]),
        ("list[int] | None", [1]), ("dict[str, int]", {}), ("Duration | str", "1 epoch"), ("not an annotation [", 3),
    ],
)  # fmt: skip
def test_fits(annotation, value):
    assert misfit(annotation, value) == ""


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        ("int", "3", "int"), ("int", True, "int"), ("int", 1.5, "int"), ("float", "1e-3", "float"), ("bool", 1, "bool"),
        ("float | Tensor", "x", "float or Tensor"), ("Optional[int]", "x", "int or None"), ("str", 3, "str"),
        ("Literal['mean', 'sum'] | None", "men", "'mean', 'sum' or None"), ("tuple[float, float]", 0.9, "tuple[float, float]"),
        ("list[int]", ["a"], "list[int]"), ("dict[str, int]", [], "dict[str, int]"), ("Duration", 20, "Duration"),
    ],
)  # fmt: skip
def test_does_not_fit(annotation, value, expected):
    assert misfit(annotation, value) == expected


def test_choices():
    assert choices("Optional[Literal['micro', 'macro']]") == ["micro", "macro"]
    assert choices("int") == []


@given(st.text(max_size=30), st.none() | st.integers() | st.text() | st.lists(st.integers()))
def test_nothing_crashes(annotation, value):
    assert isinstance(misfit(annotation, value), str)
