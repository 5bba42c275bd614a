"""What the tests of the Studio share."""

import time
from pathlib import Path

import tifffile

from cloudtrainer.atomic import write_json
from cloudtrainer.config import ExperimentSettings
from cloudtrainer.simulation import simulate_experiment
from cloudtrainer.studio import jobs


def write_video(
    path: Path, *, seed: int = 1, frames: int = 30, side: int = 128, particles: int = 12
):
    """Write a simulated video with its calibration; return the truth."""
    simulated = simulate_experiment(
        ExperimentSettings(
            frames=frames, height_px=side, width_px=side, particles=particles, seed=seed
        )
    )
    tifffile.imwrite(
        path, simulated.frames, imagej=True, resolution=(10, 10),
        metadata={"unit": "um", "finterval": 1 / 30, "axes": "TYX"},
    )  # fmt: skip
    return simulated.truth[["frame", "x", "y"]]


def wait_until(true, seconds: float = 60.0):
    """Wait until a function returns something true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        result = true()
        if result:
            return result
        time.sleep(0.2)
    raise AssertionError(f"did not happen within {seconds:g} s")


def pretend(place, kind, asked_at, state=None, *, result=None, **asked):
    """Make the folder of a job without its process."""
    job = jobs.Job(place.logs / "studio" / f"{kind}_{asked_at:.0f}")
    job.folder.mkdir(parents=True)
    write_json(
        job.folder / "request.json",
        {"workspace": str(place.root), "asked_at": asked_at, **asked},
    )
    if state:
        write_json(job.folder / "state.json", {"state": state, "result": result or {}})
    return job
