"""What the hooks of this package take is known to `pegboard check`, with file and line."""

import inspect
from pathlib import Path
from typing import Any

import pytest

from pegboard import HOOKS, Config, PegboardError
from pegboard.config import check
from pegboard_visual import HOOKS as OURS
from pegboard_visual.hooks.arguments import ARGUMENTS
from tests import runs

pytestmark = pytest.mark.usefixtures("tiny_parts", "boards")


def problems(tmp_path: Path, hooks: str) -> list[str]:
    """What is said of a config whose hooks stand in its second line."""
    base = tmp_path / "base.py"
    base.write_text("".join(f"{name} = {value!r}\n" for name, value in runs.values().items()))
    file = tmp_path / "mine.py"
    file.write_text(f"_base_ = ['base.py']\nhooks = dict({hooks})\n")
    return [str(problem).removeprefix(f"{tmp_path}/") for problem in check(Config.load(file))]


@pytest.mark.parametrize(
    ("hooks", "message"),
    [
        ("cam=dict(type='GradCAM', images=0)", "hooks.cam.images: must be an integer from 1 to 64, got 0"),
        ("k=dict(type='Kernels', maps=True)", "hooks.k.maps: must be"),
        ("e=dict(type='Embedding', method='psa')", "hooks.e.method: must be 'pca' or 'tsne', got 'psa'; did you mean"),
        ("c=dict(type='ConfusionMatrix', split='test')", "hooks.c.split: must be 'val' or 'train', got 'test'"),
        ("c=dict(type='ConfusionMatrix', pairs=21)", "hooks.c.pairs: must be an integer from 0 to 20, got 21"),
        ("g=dict(type='GradCAM', method='guided_backprop', layer='fc')", "hooks.g.layer: guided_backprop goes back"),
        ("g=dict(type='GradCAM', layer='fc', reshape='nowhere:f')", "hooks.g.reshape: there is no module 'nowhere'"),
        ("report=dict(share=-1.0)", "hooks.report.share: must be a number from 0, got -1.0"),
        *(
            (f"h=dict(type='{name}', every='0 epochs')", "hooks.h.every: '0 epochs' is not a duration: it must be at")
            for name in ARGUMENTS
        ),
    ],
)
def test_a_wrong_argument_is_a_problem_with_its_line(hooks: str, message: str, tmp_path: Path) -> None:
    [said] = problems(tmp_path, hooks)
    assert said.startswith(f"mine.py:2: {message}")


def test_right_ones_are_none(tmp_path: Path) -> None:
    hooks = ", ".join(f"{name.lower()}=dict(type='{name}')" for name in ARGUMENTS)
    assert problems(tmp_path, f"{hooks}, pairs=dict(type='ConfusionMatrix', pairs=0, every='200 iters')") == []


def test_every_rule_is_of_an_argument_that_there_is_and_its_constructor_keeps_it() -> None:
    assert ARGUMENTS.keys() <= OURS.keys()
    for kind, rules in ARGUMENTS.items():
        hook: Any = HOOKS.find(kind).factory
        parameters = inspect.signature(hook).parameters
        for argument, rule in rules.items():
            assert rule.misfit(parameters[argument].default) == "", "the default itself is refused"
            with pytest.raises(PegboardError, match=f"^{kind}: {argument} must be "):
                hook(**{argument: -1})
