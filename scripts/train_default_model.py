"""Train the bundled model on simulated scenes alone, and score it.

    python scripts/train_default_model.py [folder]

Writes an export (weights, settings, scores, model card) to ``src/cloudtrainer/models/default`` or
to the given folder. About 15 minutes on two cores.
"""

import shutil
import sys
from pathlib import Path

from cloudtrainer.config import Config
from cloudtrainer.detector import export_model
from cloudtrainer.training import fit

HOME = Path(__file__).resolve().parents[1] / "src" / "cloudtrainer" / "models" / "default"
# An interrupted training goes on from its last epoch.
LOGS = Path("build") / "default_model"
CONFIG = {
    "model": {"name": "cloudtrainer_default"},
    "training": {
        "epochs": 22,
        "steps_per_epoch": 200,
        "learning_rate": 3e-3,
        "early_stopping": False,
        "seed": 1,
    },
}


def main() -> None:
    """Train, calibrate and export."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HOME
    config = Config.from_dict(CONFIG)
    detector, validation = fit(config, logs=LOGS, resume=True)
    if folder.exists():
        shutil.rmtree(folder)
    origin = {
        "num_videos": 0,
        "trained_on": "simulated scenes alone, drawn between the limits of the section 'scenes'",
        "crops": config.training.epochs
        * config.training.steps_per_epoch
        * config.training.batch_size,
        "seed": config.training.seed,
    }
    export_model(detector, folder, scores=validation.numbers(), origin=origin)
    print(f"{folder}: {validation.numbers()}")


if __name__ == "__main__":
    main()
