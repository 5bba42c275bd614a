"""What a training will take on this machine: a few steps are done, and the rest is reckoned.

``python -m cloudtrainer.studio.cost config.json`` does the steps in a process of its own, so that
its memory is that of a training, and prints a `Measured` as JSON.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cloudtrainer.atomic import write_json
from cloudtrainer.config import Config
from cloudtrainer.errors import TrainingError

_WARM_UP_STEPS, _LEAST_STEPS, _MOST_STEPS, _LONGEST_S = 1, 3, 20, 6.0
# As in training.validation_sets: what each epoch is scored on where nothing is labelled.
_VALIDATION_BATCHES = 8
_VALIDATION_PIXELS = 8 * 128**2
_LONGEST_MEASUREMENT_S = 300.0
# Threshold and errors are chosen at the end, on the validation scenes.
_LAST_PASSES = 3


@dataclass(frozen=True)
class Measured:
    """What a few steps of training took.

    Attributes
    ----------
    seconds_a_step, seconds_a_validation : float
        Time of a step, and of a batch of validation scenes.
    memory_mb, memory_before_mb : float
        Most memory of the process (on a GPU: of its own memory), and before the first step.
    start_s : float
        From the start of the process to the first step.
    work : float
        Pixels times multiplications for each, of a step.
    work_a_pixel : float
        Multiplications for each pixel.
    device : str
        Where it was computed.
    settings : dict
        The settings measured.
    """

    seconds_a_step: float
    seconds_a_validation: float
    memory_mb: float
    memory_before_mb: float
    start_s: float
    work: float
    work_a_pixel: float
    device: str
    settings: dict[str, Any]


@dataclass(frozen=True)
class Cost:
    """What a training is expected to take.

    Attributes
    ----------
    seconds : float
        Time, of all epochs: early stopping may end it before.
    memory_mb : float
        Memory.
    measured : bool
        Whether just these settings were measured; otherwise it is scaled with the pixels of a step
        and the size of the network.
    device : str
        Where.
    """

    seconds: float
    memory_mb: float
    measured: bool
    device: str

    def __str__(self) -> str:
        memory = f"{self.memory_mb / 1024:.1f} GB" if self.memory_mb >= 1000 else (
            f"{self.memory_mb:.0f} MB"
        )  # fmt: skip
        how = "from a few steps of it" if self.measured else "scaled from other settings"
        return f"about {in_words(self.seconds)}, {memory} of memory, on {self.device} ({how})"


def in_words(seconds: float) -> str:
    """Return a time as a person would say it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"


def expected(config: Config, measured: Measured) -> Cost:
    """Reckon what a training of these settings takes, from a measurement of the same or others."""
    training = config.training
    a_pixel = work_a_pixel(config)
    ratio = a_pixel * _pixels(config) / measured.work
    validation = measured.seconds_a_validation * a_pixel / measured.work_a_pixel
    epoch = training.steps_per_epoch * measured.seconds_a_step * ratio
    epoch += _VALIDATION_BATCHES * validation
    seconds = training.epochs * epoch + _LAST_PASSES * _VALIDATION_BATCHES * validation
    grown = measured.memory_mb - measured.memory_before_mb
    return Cost(
        seconds=measured.start_s + training.ensemble * seconds,
        memory_mb=measured.memory_before_mb + grown * ratio,
        measured=_what_counts(config) == measured.settings,
        device=measured.device,
    )


def measure(config: Config) -> Measured:
    """Do a few steps of training in a process of its own.

    Raises
    ------
    TrainingError
        The steps fail, as they would in a training; the message says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.json"
        write_json(path, config.to_dict())
        try:
            done = subprocess.run(
                [sys.executable, "-m", "cloudtrainer.studio.cost", str(path)],
                capture_output=True,
                text=True,
                timeout=_LONGEST_MEASUREMENT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise TrainingError(
                f"a few steps took longer than {_LONGEST_MEASUREMENT_S / 60:.0f} min: make "
                "training.batch_size or training.crop_px smaller"
            ) from None
    try:
        return Measured(**json.loads(done.stdout.splitlines()[-1]))
    except (IndexError, ValueError, TypeError):
        why = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise TrainingError(f"a few steps of these settings do not run here: {why}") from None


def work_a_pixel(config: Config) -> float:
    """Return the multiplications of the network for each pixel of a frame, roughly.

    Of each level two convolutions of 3 x 3 on the way down and two on the way up, at the resolution
    of that level.
    """
    model = config.model
    grid = model.architecture == "grid"
    channels = model.grid_channels if grid else model.unet_channels
    total, before = 0.0, 1 + 2 * model.context_frames
    for level, count in enumerate(channels):
        share = 0.25 ** (level + grid)
        total += 9 * share * (before * count + 3 * count * count)
        before = count
    return total


def _pixels(config: Config) -> float:
    return float(config.training.batch_size * config.training.crop_px**2)


def _what_counts(config: Config) -> dict[str, Any]:
    """Return the settings that decide how long a step takes."""
    training = config.training
    return {
        "model": {**config.model.model_dump(mode="json"), "name": ""},
        "batch_size": training.batch_size,
        "crop_px": training.crop_px,
        "mixed_precision": training.mixed_precision,
        "optics": config.optics.kind,
    }


def _measure_here(config: Config, begun: float) -> Measured:
    import torch

    from cloudtrainer.simulation.optics import draw_simulated_scenes
    from cloudtrainer.training.batches import BatchMaker
    from cloudtrainer.training.fitting import precision
    from cloudtrainer.training.metrics import look
    from cloudtrainer.training.module import TrainableDetector

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    batches = BatchMaker(config)
    module = TrainableDetector(config, batches, []).to(device)
    optimizer = torch.optim.AdamW(module.parameters())
    half = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(
        precision(config.training.mixed_precision)
    )

    def step(number: int) -> None:
        scenes = batches.draw(number, device)
        with torch.autocast(device.type, dtype=half, enabled=half is not None):
            loss = look(module, scenes).loss
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    before = _most_memory_mb(device)
    start_s = time.monotonic() - begun
    for number in range(_WARM_UP_STEPS):
        step(number)
    first, done = time.monotonic(), 0
    while done < _LEAST_STEPS or (done < _MOST_STEPS and time.monotonic() - first < _LONGEST_S):
        step(_WARM_UP_STEPS + done)
        done += 1
    a_step = (time.monotonic() - first) / done

    generator = torch.Generator().manual_seed(0)
    context = config.model.context_frames
    scenes = draw_simulated_scenes(config, 8, 128, generator, context).to(device)
    first = time.monotonic()
    with torch.no_grad():
        look(module, scenes)
    a_validation = time.monotonic() - first
    a_pixel = work_a_pixel(config)
    return Measured(
        seconds_a_step=a_step,
        seconds_a_validation=a_validation,
        memory_mb=_most_memory_mb(device),
        memory_before_mb=before,
        start_s=start_s,
        work=a_pixel * _pixels(config),
        work_a_pixel=a_pixel,
        device=_device_in_words(device),
        settings=_what_counts(config),
    )


def _device_in_words(device: Any) -> str:
    import torch

    if device.type == "cuda":
        return str(torch.cuda.get_device_name())
    threads = torch.get_num_threads()
    return f"{threads} core{'s' if threads > 1 else ''} of the processor"


def _most_memory_mb(device: Any) -> float:
    if device.type == "cuda":
        import torch

        return torch.cuda.max_memory_reserved() / 2**20
    try:
        import resource
    except ImportError:
        # Windows has another way, which needs a package of its own.
        return float("nan")
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / (2**20 if sys.platform == "darwin" else 2**10)


if __name__ == "__main__":
    _begun = time.monotonic()
    print(json.dumps(asdict(_measure_here(Config.load(sys.argv[1]), _begun))))
