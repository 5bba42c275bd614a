"""Train the bundled model on simulated scenes alone, and score it.

    python scripts/train_default_model.py [folder]

Two stages: a long one, which needs a GPU (11 minutes on an H200, days on two cores), and a short
one at a falling learning rate (half an hour on two cores). Writes an export (weights, settings,
scores, model card) to ``src/cloudtrainer/models/default`` or to the given folder.

The weights that are bundled are of this recipe but for two things: the first stage ended after 23
of its 28 epochs, followed by 1,600 steps of 8 crops, and particles that move while a frame is
exposed came with the second.
"""

import shutil
import sys
from pathlib import Path

from cloudtrainer.config import Config
from cloudtrainer.detector import ParticleDetector, export_model
from cloudtrainer.training import fit
from cloudtrainer.training.start import Start
from cloudtrainer.training.validation import calibrate, validation_sets

HOME = Path(__file__).resolve().parents[1] / "src" / "cloudtrainer" / "models" / "default"
# An interrupted training goes on from its last epoch.
LOGS = Path("build") / "default_model"
NOT_BUNDLED = ("weights.safetensors", "model.onnx", "training_progress.png")
ALIKE = {"early_stopping": False}
# F1 on the validation scenes is flat around its best: within that, dim particles decide. It was
# chosen on spots apart of 60 and 150 photons, which are found more, or more surely, the lower or
# the higher it is.
THRESHOLD = 0.36
# Wide crops: the network sums up what all particles of a crop have in common.
STAGES = (
    {
        "crop_px": 256,
        "batch_size": 64,
        "epochs": 28,
        "steps_per_epoch": 1000,
        "learning_rate": 3e-3,
        "seed": 1,
    },
    {
        "crop_px": 192,
        "batch_size": 8,
        "epochs": 12,
        "steps_per_epoch": 200,
        "learning_rate": 3e-4,
        "seed": 4,
    },
)


def main() -> None:
    """Train, calibrate and export."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HOME
    start = Start("random weights")
    crops = 0
    for number, stage in enumerate(STAGES, start=1):
        config = Config.from_dict(
            {"model": {"name": "cloudtrainer_default"}, "training": {**ALIKE, **stage}}
        )
        detector, _ = fit(config, start=start, logs=LOGS / f"stage_{number}", resume=True)
        start = Start(f"stage {number}", detector)
        crops += stage["epochs"] * stage["steps_per_epoch"] * stage["batch_size"]
    export(detector, folder, crops)


def export(detector: ParticleDetector, folder: Path, crops: int) -> None:
    """Calibrate the detector at its threshold, and write what is bundled."""
    sets, gate = validation_sets(detector.config, [], []), detector.config.training.gate_px
    validation = calibrate(detector, sets, gate, threshold=THRESHOLD)
    if folder.exists():
        shutil.rmtree(folder)
    origin = {
        "num_videos": 0,
        "trained_on": "simulated scenes alone, drawn between the limits of the section 'scenes'",
        "crops": crops,
        "seed": STAGES[0]["seed"],
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
