"""Trains in child processes that are killed at random moments, until enough kills have struck.

Run as a script by ``test_resume.py``: all children are forked from one process, which has imported
what takes long but has computed nothing yet.

    python killed_runs.py <template workspace> <folder for copies> <settings.json> <kills> <seed>

Prints, as JSON, the kills that struck and the weights of every finished workspace.
"""

import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

import torch

from cloudtrainer.config import Config
from cloudtrainer.detector import export, load_model
from cloudtrainer.training import train, validation_sets
from cloudtrainer.workspace import Workspace


def small() -> None:
    """Take the seconds out of a training that have nothing to do with what is tested."""
    torch.set_num_threads(1)
    export._portable = lambda detector: {}
    validation_sets._SIMULATED_BATCHES = validation_sets._SIMULATED_IMAGES = 2
    validation_sets._SIMULATED_SIDE_PX = 48


def child(workspace: Path, config: Config) -> int:
    """Fork a process that trains; return its number."""
    number = os.fork()
    if number:
        return number
    code = 1
    try:
        small()
        with Path(os.devnull).open("w") as nowhere:
            os.dup2(nowhere.fileno(), 1)
            train(workspace, config, progress_bar=False)
        code = 0
    finally:
        os._exit(code)


def ends_within(number: int, seconds: float) -> int | None:
    """Wait for a process; return its exit code, or None where it still runs."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        done, status = os.waitpid(number, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.005)
    return None


def main() -> None:
    template, folder, settings, kills, seed = sys.argv[1:]
    config = Config.load(settings)
    rng = random.Random(int(seed))
    reference = Path(folder) / "reference"
    shutil.copytree(template, reference)
    begun = time.monotonic()
    assert ends_within(child(reference, config), 600) == 0
    whole = time.monotonic() - begun

    struck, finished = 0, [reference]
    while struck < int(kills):
        workspace = Path(folder) / f"killed_{len(finished)}"
        shutil.copytree(template, workspace)
        while True:
            number = child(workspace, config)
            # The last of the kills are spent; then the run is left in peace.
            patience = 600.0 if struck >= int(kills) else rng.uniform(0.02, 0.8) * whole
            code = ends_within(number, patience)
            if code is not None:
                assert code == 0, f"the training in {workspace} ended with {code}"
                break
            os.kill(number, signal.SIGKILL)
            os.waitpid(number, 0)
            struck += 1
            json.loads((workspace / "cache/training_tracker.json").read_text("utf-8"))
        finished.append(workspace)
    small()
    print(json.dumps({"kills": struck, "workspaces": [describe(place) for place in finished]}))


def describe(root: Path) -> dict[str, object]:
    """Return what must be equal in every workspace, however often its training was killed."""
    place = Workspace.open(root)
    ledger = json.loads(place.ledger.read_text(encoding="utf-8"))
    current = place.current_model()
    metadata = json.loads((current / "metadata.json").read_text(encoding="utf-8"))
    return {
        "weights": load_model(current).weights_sha256(),
        "threshold": load_model(current).threshold,
        "models": len(place.model_folders()),
        "learned": sorted(
            name for name, entry in ledger.items() if entry["model_version"] == current.name
        ),
        "history": metadata["history"],
        "leftovers": [path.name for path in root.rglob("*.part") if path.is_file()],
    }


if __name__ == "__main__":
    main()
