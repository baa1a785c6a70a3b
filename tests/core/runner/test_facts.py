"""What a run says of its data, for hooks: the docstring names all of it, and nobody changes it by mistake."""

import re
from pathlib import Path

import pytest

from pegboard import Runner
from tests import runs

pytestmark = pytest.mark.usefixtures("boards")


def test_each_fact_stands_in_the_docstring_with_what_it_is(tmp_path: Path) -> None:
    runs.hang_up()
    run = runs.train(tmp_path)
    documented = {*re.findall(r"``(\w+)``", Runner.facts.__doc__ or "")}
    assert {"classes", "num_classes", "task", "image_size", "input_shape"} <= {*run.facts} <= documented
    assert run.facts["num_classes"] == len(run.classes) and {*run.datasets} == {"train", "val"}


def test_they_are_not_to_be_changed(tmp_path: Path) -> None:
    runs.hang_up()
    run = runs.train(tmp_path)
    for held in (run.facts, run.datasets):
        with pytest.raises(TypeError, match="does not support item assignment"):
            held["train"] = 1  # type: ignore[index]
