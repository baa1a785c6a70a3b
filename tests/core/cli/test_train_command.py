"""``pegboard train``: where a run goes on that a launcher starts again."""

import argparse
from pathlib import Path

import pytest

from pegboard import Config
from pegboard.cli.train_command import _where
from pegboard.distributed import launches
from tests import runs


def test_started_again_it_goes_on_from_a_whole_checkpoint_though_their_list_is_damaged(
    tmp_path: Path, boards: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs.hang_up()
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "of this launch")
    run = runs.train(tmp_path)
    (tmp_path / "checkpoints" / "index.json").write_text("[{")
    arguments = argparse.Namespace(work_dir=str(tmp_path), resume=None, config="config.py")
    folder, path, state = _where(arguments, Config.from_values({}), launches())
    assert folder == tmp_path and path is not None and state is not None
    assert state["iteration"] == run.iteration
