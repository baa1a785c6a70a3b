"""Values that do not fit an annotation."""

import ast
import inspect
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard import source
from pegboard.config.annotation import choices, misfit
from pegboard.plugins import installed_plugins
from pegboard.registry import BOARDS


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        ("int", 3), ("float", 3), ("float", 0.5), ("float | Tensor", 0.1), ("bool", True), ("str", "a"),
        ("int | None", None),
        ("Optional[float]", None), ("Union[int, Sequence[int]]", [1, 2]), ("tuple[float, float]", (0.9, 0.999)),
        ("Literal['mean', 'sum']", "sum"), ("Callable[..., nn.Module]", 3), ("SomeAlias", "x"),
        ("Tensor | None", [1, 2]),
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
        ("Literal['mean', 'sum'] | None", "men", "'mean', 'sum' or None"),
        ("tuple[float, float]", 0.9, "tuple[float, float]"),
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


@pytest.mark.parametrize("value", [(0.9,), (0.9, 0.99, 0.999), []])
def test_a_tuple_of_another_length_does_not_fit(value):
    assert misfit("tuple[float, float] | None", value) == "tuple[float, float] or None"
    assert misfit("tuple[float, ...]", value) == misfit("Sequence[float]", value) == misfit("tuple[float]", value) == ""


def _defaults():
    """Every literal default of every part's annotated arguments."""
    installed_plugins()
    for board in BOARDS.values():
        for entry in board.list():
            signature = source.signature(entry.address)
            for parameter in signature.parameters.values() if signature else ():
                with suppress(ValueError):
                    value = ast.literal_eval(parameter.default) if isinstance(parameter.default, str) else ...
                    if value is not ... and parameter.annotation is not inspect.Parameter.empty:
                        yield f"{board.name}.{entry.address}.{parameter.name}", parameter.annotation, value


def test_every_default_of_every_part_fits_its_own_annotation():
    """A library's annotation that is read too strictly would refuse what the library does itself."""
    defaults = list(_defaults())
    assert len(defaults) > 1000
    assert [path for path, annotation, value in defaults if misfit(annotation, value)] == []
