"""Two processes on one machine train one model: everything is written once."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cloudtrainer.detector import load_model
from cloudtrainer.training.checkpoints import saved_run, unfinished_run

SCRIPT = """
import sys
from cloudtrainer.config import Config
from cloudtrainer.detector import export
from cloudtrainer.training import train, validation_sets

export._portable = lambda detector: {}
validation_sets._SIMULATED_BATCHES = validation_sets._SIMULATED_IMAGES = 2
validation_sets._SIMULATED_SIDE_PX = 48
if __name__ == "__main__":
    result = train(sys.argv[1], Config.load(sys.argv[2]), progress_bar=False)
    sys.stdout.write(f"RESULT {result.model_dir.name} {result.is_current}\\n")
"""


@pytest.mark.slow
@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_two_processes_write_ledger_and_export_once(workspace, tiny, tmp_path, strategy):
    config = tiny(devices=2, strategy=strategy, epochs=3, early_stopping=True)
    settings = tmp_path / "settings.json"
    settings.write_text(json.dumps(config.to_dict()), encoding="utf-8")
    script = tmp_path / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script), str(workspace.root), str(settings)],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [line for line in done.stdout.splitlines() if line.startswith("RESULT")]
    # Of separate processes each returns the same result; those that are spawned do not return.
    assert len(results) == (2 if strategy == "ddp" else 1)
    assert len(set(results)) == 1
    [folder] = workspace.model_folders()
    assert results[0] == f"RESULT {folder.name} True"
    assert workspace.current_model() == folder
    ledger = json.loads(workspace.ledger.read_text(encoding="utf-8"))
    assert ledger["beads.ome.tif"]["model_version"] == folder.name
    assert done.stdout.count("Beginning with") == 1

    runs = [path for path in Path(workspace.lightning_logs).glob("run_*") if path.is_dir()]
    assert len(runs) == 1
    assert len(list(runs[0].glob("version_*/metrics.csv"))) == 1
    saved = saved_run(workspace.lightning_logs)
    assert len(saved.history["val_loss"]) == 3
    assert unfinished_run(workspace.lightning_logs) is None
    assert load_model(folder).weights_sha256() == load_model(saved.best).weights_sha256()
