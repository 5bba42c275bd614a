"""A simulated experiment: a video of Brownian particles, and the truth about it."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from cloudtrainer.config import CameraSettings, Config, ExperimentSettings, OpticsSettings
from cloudtrainer.simulation.camera import Camera, FixedPattern
from cloudtrainer.simulation.motion import Paths, brownian_paths
from cloudtrainer.simulation.optics import Microscope, Placed, microscope_for
from cloudtrainer.simulation.spots import gaussian_spots, render_spots

_FRAMES_AT_ONCE = 16
# Of the faint rings of coherent light around the frame, what is left out.
_WIDEST_MARGIN_PX = 64


@dataclass(frozen=True)
class Experiment:
    """A simulated video and the truth about it.

    Attributes
    ----------
    frames : ndarray
        Camera counts, uint16, (frames, height, width).
    truth : DataFrame
        ``particle, frame, x, y`` (pixels; the mean position during the exposure) of every particle
        whose centre is in view, and ``photons`` (integrated over the spot). Seen through a
        microscope also ``z_um`` (over the focal plane); in brightfield, instead of ``photons``,
        ``contrast``: the light, less the lamp's and over it, where it differs most from it.
    settings : ExperimentSettings
        What was simulated.
    """

    frames: NDArray[np.uint16]
    truth: pd.DataFrame
    settings: ExperimentSettings


def simulate_experiment(
    settings: ExperimentSettings,
    optics: OpticsSettings | None = None,
    camera: CameraSettings | None = None,
) -> Experiment:
    """Film Brownian particles that move in and out of view.

    The particles diffuse in a field larger than the frame, whose borders are joined (a particle
    that leaves on one side of the field returns on the other as a new particle), so that their
    number in view stays the same on average. Their brightness is drawn between the limits of
    ``peak_snr``, evenly in its logarithm.

    Parameters
    ----------
    settings : ExperimentSettings
        The experiment.
    optics : OpticsSettings, optional
        A microscope to see the particles through; default: Gaussian spots of ``spot_sigma_px``.
        Its pixel size is that of ``settings``. Each particle keeps a height of its own, drawn from
        ``defocus_um``; ``peak_snr`` is that of a particle where it is sharpest. In brightfield
        ``background_photons`` is the lamp's light and contrast is the microscope's.
    camera : CameraSettings, optional
        The camera; default: one without a fixed pattern that has ``read_noise_photons``.

    Returns
    -------
    Experiment
        Frames and truth.

    Raises
    ------
    ConfigError
        DeepTrack2 is not installed, or the microscope is not possible with this pixel size.
    """
    rng = np.random.default_rng(settings.seed)
    view = _microscope(optics, settings)
    size = np.array([settings.width_px, settings.height_px], float)
    reach = 10 * settings.spot_sigma_px
    if view is not None:
        reach = min(view.reach_px, _WIDEST_MARGIN_PX)
    margin = np.ceil(reach + 0.1 * size)
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
    paths = Paths(x, y)

    snr = settings.peak_snr.low * (settings.peak_snr.high / settings.peak_snr.low) ** rng.uniform(
        size=number
    )
    taken_with = _camera(camera, settings)
    noise_squared = settings.background_photons + float(taken_with.read_noise) ** 2
    peak = (snr**2 + np.sqrt(snr**4 + 4 * snr**2 * noise_squared)) / 2
    lit: _Spots | _Seen
    if view is None:
        lit = _Spots(peak, settings)
    else:
        heights = view.settings.defocus_um
        lit = _Seen(peak, rng.uniform(heights.low, heights.high, number), view, settings)
    frames = _film(paths, lit, taken_with, settings)
    return Experiment(frames, _truth(paths, laps, lit.truth(), settings), settings)


@dataclass(frozen=True)
class _Spots:
    """Gaussian spots of these peaks, photons, (particles,)."""

    peak: NDArray[np.float64]
    settings: ExperimentSettings

    def truth(self) -> dict[str, NDArray[np.float64]]:
        return {"photons": 2 * np.pi * self.settings.spot_sigma_px**2 * self.peak}

    def expected(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the expected photons, positions given as (frames, particles, moments)."""
        moments = x.shape[2]
        share = torch.as_tensor(np.repeat(self.peak / moments, moments), dtype=torch.float32)
        spots = gaussian_spots(
            x.flatten(1), y.flatten(1), share.expand(len(x), -1), self.settings.spot_sigma_px
        )
        light = render_spots(spots, self.settings.height_px, self.settings.width_px)
        return light + self.settings.background_photons


@dataclass(frozen=True)
class _Seen:
    """Particles at these heights, um, seen through a microscope; peaks where they are sharpest."""

    peak: NDArray[np.float64]
    height_um: NDArray[np.float64]
    view: Microscope
    settings: ExperimentSettings

    def truth(self) -> dict[str, NDArray[np.float64]]:
        if self.view.settings.kind == "brightfield":
            heights = torch.as_tensor(self.height_um, dtype=torch.float32)
            return {"z_um": self.height_um, "contrast": self.view.peak_at(heights).numpy()}
        return {"z_um": self.height_um, "photons": self._photons}

    @property
    def _photons(self) -> NDArray[np.float64]:
        return self.peak / float(self.view.peaks.max())

    def expected(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the expected photons, positions given as (frames, particles, moments)."""
        frames, particles, moments = x.shape
        background = self.settings.background_photons
        height = torch.as_tensor(self.height_um, dtype=torch.float32)
        if self.view.settings.kind == "brightfield":
            strength = torch.ones(particles)
        else:
            photons = torch.as_tensor(self._photons, dtype=torch.float32)
            strength = photons.sqrt() if self.view.coherent else photons
        # Fields of one moment interfere; what different moments leave on the camera adds up.
        x, y = (part.permute(0, 2, 1).flatten(0, 1) for part in (x, y))
        placed = Placed(x, y, height.expand(len(x), -1), strength.expand(len(x), -1))
        size = self.settings.height_px, self.settings.width_px
        light = self.view.light(placed, *size, margin_px=_WIDEST_MARGIN_PX)
        light = light.view(frames, moments, *size).mean(dim=1)
        if self.view.settings.kind == "brightfield":
            return background * light
        return background + light


def _microscope(optics: OpticsSettings | None, settings: ExperimentSettings) -> Microscope | None:
    if optics is None or optics.kind == "gaussian":
        return None
    own = {**optics.model_dump(mode="json"), "pixel_size_um": settings.pixel_size_um}
    checked = Config.from_dict({"optics": own}).optics
    return microscope_for(checked, torch.device("cpu"))


def _camera(camera: CameraSettings | None, settings: ExperimentSettings) -> Camera:
    if camera is not None:
        return Camera.of(camera)
    # Real cameras add an offset, so that read noise does not go below 0.
    offset = math.ceil(10 * settings.read_noise_photons)
    return Camera(offset=offset, read_noise=settings.read_noise_photons)


def _film(
    paths: Paths, lit: _Spots | _Seen, camera: Camera, settings: ExperimentSettings
) -> NDArray[np.uint16]:
    generator = torch.Generator().manual_seed(settings.seed)
    pattern: FixedPattern | None = None
    if camera.gain_spread or camera.offset_spread:
        pattern = camera.draw_pattern((settings.height_px, settings.width_px), generator)
    filmed = []
    for first in range(0, settings.frames, _FRAMES_AT_ONCE):
        x = torch.as_tensor(paths.x[first : first + _FRAMES_AT_ONCE], dtype=torch.float32)
        y = torch.as_tensor(paths.y[first : first + _FRAMES_AT_ONCE], dtype=torch.float32)
        counts = camera.expose(lit.expected(x, y), generator, pattern)
        filmed.append(counts.numpy().astype(np.uint16))
    return np.concatenate(filmed)


def _truth(
    paths: Paths,
    laps: NDArray[np.float64],
    each: dict[str, NDArray[np.float64]],
    settings: ExperimentSettings,
) -> pd.DataFrame:
    centre = paths.mean
    frame, which = np.indices(centre.shape[:2])
    table = pd.DataFrame(
        {
            "particle": which.ravel(),
            "frame": frame.ravel(),
            "x": centre[..., 0].ravel(),
            "y": centre[..., 1].ravel(),
            **{name: np.broadcast_to(own, which.shape).ravel() for name, own in each.items()},
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
