"""Crops a second seen through a microscope, beside DeepTrack2 rendering the same particles.

    python benchmarks/optics.py

Crops of 64 x 64 px with 10 spheres each (points in fluorescence) at random positions and heights.
DeepTrack2 renders each crop as a whole, with the same positions; the package places the stack that
was computed with it. ``scenes`` are whole training scenes: with background, noise and camera. The
time for computing a stack, which is done once and cached, is given apart. Without a GPU, seconds
are those of one core at work, so that another program beside does not count.
"""

import json
import os
import platform
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from cloudtrainer.config import CameraSettings, OpticsSettings, SceneSettings
from cloudtrainer.simulation.optics import Microscope, Placed, compute_stack, draw_optical_scenes
from cloudtrainer.simulation.optics.deeptrack2 import amplitude_factor
from cloudtrainer.simulation.random_scenes import draw_scenes

SIDE_PX = 64
PARTICLES = 10
CROPS = 32
THEIR_CROPS = 5
MARGIN_PX = 48
SETTINGS = {
    "fluorescence": {"kind": "fluorescence", "particle_radius_um": 0.0},
    "brightfield": {"kind": "brightfield"},
    "darkfield": {"kind": "darkfield"},
}


def now() -> float:
    """Return seconds: of work on a core, or, where a GPU does the work, of the clock."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
        return time.perf_counter()
    return time.process_time()


def per_second(crops: int, draw: Callable[[], object], repeats: int = 5) -> float:
    """Return crops a second: the best of a few repeats, after a first one that is not counted."""
    draw()
    seconds = []
    for _ in range(repeats):
        begun = now()
        draw()
        seconds.append(now() - begun)
    return crops / min(seconds)


def rendered_by_deeptrack(optics: OpticsSettings, places: np.ndarray) -> np.ndarray:
    """Return one crop of particles (x, y in pixels, height in um)."""
    import deeptrack as dt

    pixel = optics.pixel_size_um * 1e-6
    kinds = {
        "fluorescence": dt.Fluorescence,
        "brightfield": dt.Brightfield,
        "darkfield": dt.Darkfield,
    }
    microscope = kinds[optics.kind](
        NA=optics.numerical_aperture,
        wavelength=optics.wavelength_nm * 1e-9,
        refractive_index_medium=optics.refractive_index_medium,
        magnification=1,
        resolution=pixel,
        output_region=(0, 0, SIDE_PX, SIDE_PX),
        padding=(MARGIN_PX,) * 4,
    )
    sample = None
    for x, y, height in places:
        place = {"position": (y, x), "z": height * 1e-6 / pixel}
        if optics.kind == "fluorescence":
            one = dt.PointParticle(**place, intensity=1.0)
        else:
            one = dt.MieSphere(
                **place,
                radius=optics.particle_radius_um * 1e-6,
                refractive_index=optics.refractive_index_particle,
                input_polarization="circular",
                output_polarization=None,
                mode="hybrid",
                amp_factor=amplitude_factor(optics),
            )
        sample = one if sample is None else sample & one
    return np.asarray(microscope(sample)())


def measure(kind: str, device: torch.device) -> dict[str, float | str]:
    """Return crops a second of one kind of microscope."""
    optics = OpticsSettings(**SETTINGS[kind])
    begun = now()
    stack = compute_stack(optics)
    seconds = now() - begun
    view = Microscope(stack, optics, device)
    rng = np.random.default_rng(0)
    places = rng.uniform([0, 0, -1], [SIDE_PX, SIDE_PX, 1], (CROPS, PARTICLES, 3))
    x, y, height = torch.tensor(places, dtype=torch.float32, device=device).unbind(2)
    placed = Placed(x, y, height, torch.ones_like(x))
    generator = torch.Generator(device=device).manual_seed(0)
    camera, scenes = CameraSettings(), SceneSettings()
    return {
        "kind": kind,
        "stack_s": seconds,
        "placed": per_second(CROPS, lambda: view.light(placed, SIDE_PX, SIDE_PX, MARGIN_PX)),
        "scenes": per_second(
            CROPS, lambda: draw_optical_scenes(scenes, optics, camera, CROPS, SIDE_PX, generator)
        ),
        "deeptrack": per_second(
            THEIR_CROPS,
            lambda: [rendered_by_deeptrack(optics, one) for one in places[:THEIR_CROPS]],
            repeats=2,
        ),
    }


def main() -> None:
    """Measure every kind, print the table, write the numbers as JSON."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    generator = torch.Generator(device=device).manual_seed(0)
    spots = per_second(CROPS, lambda: draw_scenes(SceneSettings(), CROPS, SIDE_PX, generator))
    name = torch.cuda.get_device_name() if device.type == "cuda" else platform.processor()
    print(f"{SIDE_PX} x {SIDE_PX} px crops a second, {PARTICLES} particles each, on {device}")
    print(f"scenes of Gaussian spots: {spots:.0f}")
    print("kind          placed   scenes   DeepTrack2   placed / DeepTrack2   stack once")
    rows = []
    for kind in SETTINGS:
        row = measure(kind, device)
        rows.append(row)
        ratio = row["placed"] / row["deeptrack"]
        print(
            f"{kind:<12} {row['placed']:7.0f}  {row['scenes']:7.0f}   {row['deeptrack']:10.1f}"
            f"   {ratio:19.0f}   {row['stack_s']:8.1f} s"
        )
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    written = {
        "machine": name,
        "gaussian_scenes": spots,
        "kinds": rows,
    }
    (results / "optics.json").write_text(json.dumps(written, indent=2) + "\n")


if __name__ == "__main__":
    # The stacks of the scenes, too, are computed for this run and not kept.
    with tempfile.TemporaryDirectory() as folder:
        os.environ["CLOUDTRAINER_CACHE"] = folder
        main()
