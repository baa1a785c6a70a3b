"""How long, or how often: what is read, and what the refusals say."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pegboard.config.duration import Duration


@pytest.mark.parametrize(
    ("text", "count", "unit", "written"),
    [
        ("60 epochs", 60, "epochs", "60 epochs"),
        ("1 epoch", 1, "epochs", "1 epoch"),
        ("1 epochs", 1, "epochs", "1 epoch"),
        ("500 iters", 500, "iters", "500 iters"),
        ("1 iter", 1, "iters", "1 iter"),
    ],
)
def test_singular_and_plural_are_read_and_written(text, count, unit, written):
    duration = Duration.parse(text)
    assert (duration.count, duration.unit, str(duration)) == (count, unit, written)


def test_a_duration_stays_as_it_is():
    duration = Duration(3, "epochs")
    assert Duration.parse(duration) is duration


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (20, "20 is not a duration; write '20 epochs' or '20 iters'"),
        (True, "True is not a duration"),
        (None, "None is not a duration; expected a string like '20 epochs' or '500 iters'"),
        (2.5, "2.5 is not a duration"),
        ("", "'' is not a duration; expected an integer and a unit"),
        ("+1 epochs", "expected an integer and a unit"),
        ("-1 epochs", "expected an integer and a unit"),
        ("1.5 epochs", "expected an integer and a unit"),
        ("0 epochs", "it must be at least 1"),
        ("3 epcohs", "did you mean 'epochs'?"),
        ("3 iterations", "did you mean 'iters'?"),
        ("3 steps", "did you mean 'iters'?"),
        ("3 parsecs", "there are epochs and iters"),
    ],
)
def test_a_refusal_names_what_was_found_and_what_was_expected(value, said):
    with pytest.raises(ValueError) as error:
        Duration.parse(value)
    assert said in str(error.value)


def test_an_epoch_is_as_many_iterations_as_it_has():
    assert Duration.parse("3 epochs").iterations(per_epoch=10) == 30
    assert Duration.parse("3 iters").iterations(per_epoch=10) == 3


@given(st.integers(1, 10**15), st.sampled_from(["epochs", "iters"]))
def test_what_is_written_is_read_again(count, unit):
    assert Duration.parse(str(Duration(count, unit))) == Duration(count, unit)


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()) | st.binary()
like_a_duration = st.from_regex(r"\s?[-+]?[0-9]{0,25}\.?\s?[A-Za-z]{0,8}\s?", fullmatch=True)


@given(anything | like_a_duration)
def test_any_value_is_a_duration_or_a_value_error_of_one_line(value):
    try:
        assert Duration.parse(value).count >= 1
    except ValueError as error:
        assert "is not a duration" in str(error)
        assert "\n" not in str(error)
