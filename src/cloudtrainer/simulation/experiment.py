"""A simulated experiment: a video of Brownian particles, and the truth about it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from cloudtrainer.config import ExperimentSettings
from cloudtrainer.simulation.camera import photon_noise, read_noise
from cloudtrainer.simulation.motion import Paths, brownian_paths
from cloudtrainer.simulation.spots import gaussian_spots, render_spots

_FRAMES_AT_ONCE = 16


@dataclass(frozen=True)
class Experiment:
    """A simulated video and the truth about it.

    Attributes
    ----------
    frames : ndarray
        Camera counts, uint16, (frames, height, width).
    truth : DataFrame
        ``particle, frame, x, y`` (pixels; the mean position during the exposure) and ``photons``
        (integrated over the spot), of every particle whose centre is in view.
    settings : ExperimentSettings
        What was simulated.
    """

    frames: NDArray[np.uint16]
    truth: pd.DataFrame
    settings: ExperimentSettings


def simulate_experiment(settings: ExperimentSettings) -> Experiment:
    """Film Brownian particles that move in and out of view.

    The particles diffuse in a field larger than the frame, whose borders are joined (a particle
    that leaves on one side of the field returns on the other as a new particle), so that their
    number in view stays the same on average. Their brightness is drawn between the limits of
    ``peak_snr``, evenly in its logarithm.

    Returns
    -------
    Experiment
        Frames and truth.
    """
    rng = np.random.default_rng(settings.seed)
    size = np.array([settings.width_px, settings.height_px], float)
    margin = np.ceil(10 * settings.spot_sigma_px + 0.1 * size)
    field = size + 2 * margin
    number = int(np.round(settings.particles * field.prod() / size.prod()))
    step_variance = 2 * settings.D_um2_per_s * settings.frame_interval_s / settings.pixel_size_um**2
    start = rng.uniform(0, 1, (number, 2)) * field - margin - 0.5
    paths = brownian_paths(
        start,
        settings.frames,
        step_variance,
        settings.exposure_s / settings.frame_interval_s,
        rng,
    )
    # Wrapped by the mean position of a frame, so that no exposure is torn apart.
    laps = np.floor((paths.mean + margin + 0.5) / field)
    x = paths.x - (laps[..., 0] * field[0])[..., None]
    y = paths.y - (laps[..., 1] * field[1])[..., None]

    snr = settings.peak_snr.low * (settings.peak_snr.high / settings.peak_snr.low) ** rng.uniform(
        size=number
    )
    noise_squared = settings.background_photons + settings.read_noise_photons**2
    peak = (snr**2 + np.sqrt(snr**4 + 4 * snr**2 * noise_squared)) / 2
    frames = _film(Paths(x, y), peak, settings)
    return Experiment(frames, _truth(Paths(x, y), laps, peak, settings), settings)


def _film(
    paths: Paths, peak: NDArray[np.float64], settings: ExperimentSettings
) -> NDArray[np.uint16]:
    generator = torch.Generator().manual_seed(settings.seed)
    moments = paths.x.shape[2]
    # Real cameras add an offset, so that read noise does not go below 0.
    offset = int(np.ceil(10 * settings.read_noise_photons))
    filmed = []
    for first in range(0, settings.frames, _FRAMES_AT_ONCE):
        x = torch.as_tensor(paths.x[first : first + _FRAMES_AT_ONCE], dtype=torch.float32)
        y = torch.as_tensor(paths.y[first : first + _FRAMES_AT_ONCE], dtype=torch.float32)
        share = torch.as_tensor(np.repeat(peak / moments, moments), dtype=torch.float32)
        spots = gaussian_spots(
            x.flatten(1), y.flatten(1), share.expand(len(x), -1), settings.spot_sigma_px
        )
        light = render_spots(spots, settings.height_px, settings.width_px)
        photons = photon_noise(light + settings.background_photons, generator)
        counts = read_noise(photons, settings.read_noise_photons, generator).round() + offset
        filmed.append(counts.clamp(0, np.iinfo(np.uint16).max).numpy().astype(np.uint16))
    return np.concatenate(filmed)


def _truth(
    paths: Paths,
    laps: NDArray[np.float64],
    peak: NDArray[np.float64],
    settings: ExperimentSettings,
) -> pd.DataFrame:
    centre = paths.mean
    photons = 2 * np.pi * settings.spot_sigma_px**2 * peak
    frame, which = np.indices(centre.shape[:2])
    table = pd.DataFrame(
        {
            "particle": which.ravel(),
            "frame": frame.ravel(),
            "x": centre[..., 0].ravel(),
            "y": centre[..., 1].ravel(),
            "photons": np.broadcast_to(photons, which.shape).ravel(),
            "lap_x": laps[..., 0].ravel(),
            "lap_y": laps[..., 1].ravel(),
        }
    )
    inside = table["x"].between(-0.5, settings.width_px - 0.5, inclusive="left")
    inside &= table["y"].between(-0.5, settings.height_px - 0.5, inclusive="left")
    table = table[inside]
    # A particle that went around the field is a new one: its path is not continuous.
    table["particle"] = table.groupby(["particle", "lap_x", "lap_y"]).ngroup()
    order = ["particle", "frame"]
    return table.drop(columns=["lap_x", "lap_y"]).sort_values(order, ignore_index=True)
