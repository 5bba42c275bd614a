"""What says that a run was finished, where its file is damaged."""

import pytest

from cloudtrainer.training import checkpoints
from cloudtrainer.training.checkpoints import SavedRun, mark_finished, unfinished_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    last = tmp_path / "last.ckpt"
    run = SavedRun("run_1", last, last, {}, 4, False, {}, ())
    monkeypatch.setattr(checkpoints, "saved_run", lambda logs: run)
    return run


def test_a_run_that_was_noted_is_finished(tmp_path, run):
    assert unfinished_run(tmp_path) is run
    mark_finished(tmp_path, "run_1")
    assert unfinished_run(tmp_path) is None
    mark_finished(tmp_path, "run_2")
    assert unfinished_run(tmp_path) is run


@pytest.mark.parametrize("text", ["[" * 100_000, "{", '["run_1"]', '"run_1"', '{"run": ["run_1"]}'])
def test_a_damaged_note_finishes_nothing(tmp_path, run, text):
    (tmp_path / "last_finished_run.json").write_text(text)
    assert unfinished_run(tmp_path) is run
