"""Train the bundled model on simulated scenes alone, and score it.

    python scripts/train_default_model.py [folder]

Writes an export (weights, settings, scores, model card) to ``src/cloudtrainer/models/default`` or
to the given folder. About 35 minutes on two cores that compute bfloat16.
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
NOT_BUNDLED = ("weights.safetensors", "model.onnx", "training_progress.png")
CONFIG = {
    "model": {"name": "cloudtrainer_default"},
    # Those were not drawn yet when the bundled weights were trained.
    "scenes": {"smeared_share": 0.0},
    "training": {
        # Wide crops: the network sums up what all particles of a crop have in common.
        "crop_px": 128,
        "batch_size": 8,
        "epochs": 60,
        "steps_per_epoch": 400,
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
    keep_what_is_bundled(folder)
    print(f"{folder}: {validation.numbers()}")


def keep_what_is_bundled(folder: Path) -> None:
    """Leave out the other forms of the weights: the package would be three times as large."""
    card = folder / "MODEL_CARD.md"
    lines = card.read_text(encoding="utf-8").splitlines(keepends=True)
    for name in NOT_BUNDLED:
        (folder / name).unlink(missing_ok=True)
        lines = [line for line in lines if f"`{name}`" not in line]
    text = "".join(lines).replace(f'load_model("{folder.name}")', "load_model()")
    head, _, rest = text.partition("The path is relative")
    card.write_text(head + rest[rest.index("`cloudtrainer.extract") :], encoding="utf-8")


if __name__ == "__main__":
    main()
