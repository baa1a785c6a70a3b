"""A stranger's hook that looks: where a model loses its prediction under a patch."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from pegboard import PegboardError, Pictures, cli
from tests import runs
from tests.conftest import Command
from tests.external.strangers import installed, train


@pytest.fixture(scope="module")
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return installed("occlusion", tmp_path_factory.mktemp("occlusion"))


def test_one_call_shows_an_occlusion_map_everywhere(python: Command, prefix: Path, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    hook = 'type="Occlusion", images=2, every="1 epoch", patch=16, stride=8'
    said, summary = train(python, prefix, tmp_path, hook, "run")
    assert "switched off" not in said
    figures = sorted(path.parent.name for path in (tmp_path / "run" / "figures").rglob("occlusion.png"))
    assert figures == ["iteration_00000003", "iteration_00000006"]
    events = EventAccumulator(str(tmp_path / "run" / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    assert [image.step for image in events.Images("occlusion")] == [3, 6]
    assert "What the predicted class loses under a patch" in (tmp_path / "run" / "report.html").read_text("utf-8")
    assert summary["exit"] == "finished"


def test_the_map_is_where_a_model_looks_and_drawing_it_changes_no_bit(
    prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boards: None
) -> None:
    """A model that sees nothing but its top left pixel loses something where a patch hides it, and nowhere else."""
    monkeypatch.syspath_prepend(prefix)
    from pegboard_occlusion.hook import Occlusion, occlusion

    def model(images: Tensor) -> Tensor:
        return torch.stack([9 * images[:, 0, 0, 0], torch.zeros(len(images))], 1)

    image = torch.zeros(1, 3, 12, 12)
    image[..., 0, 0] = 1
    for score in ("probability", "logit"):
        [found] = occlusion(model, image, torch.tensor([0]), 4, 1, score)
        assert found.argmax() == 0 and (found[:4, :4] > 0).all()
        assert found[4:].abs().max() == found[:, 4:].abs().max() == 0
    [against] = occlusion(model, image, torch.tensor([1]), 4, 1)
    assert against[0, 0] < 0  # what speaks for another class
    with pytest.raises(PegboardError, match="stride must be at least 1, and at most patch, 4; got 5"):
        Occlusion(patch=4, stride=5)  # it would leave pixels out

    runs.hang_up()
    hook = runs.hang("hooks", "looks", Occlusion(images=2, every="1 epoch", patch=4))
    looked, plain = runs.train(tmp_path / "looked", hooks={"looks": hook}), runs.train(tmp_path / "plain")
    assert len(list((tmp_path / "looked").rglob("occlusion.png"))) == 2
    assert runs.same(looked.model.state_dict(), plain.model.state_dict())

    monkeypatch.setattr("pegboard.cli.draw_command.show_log", lambda: None)  # the tests after this have their own
    assert cli.run("draw", [str(tmp_path / "plain"), "looks"]) == 0  # of a run that did not have it, the same picture
    *_, own = Pictures(tmp_path / "looked" / "figures").all()
    [drawn] = Pictures(tmp_path / "plain" / "figures").all()
    assert drawn.data == own.data and drawn.path.read_bytes() == own.path.read_bytes()
    assert [one["sample"] for one in own.data["images"]] == [0, 9] and own.data["stride"] == 1
