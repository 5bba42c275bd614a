"""A detector without a network, videos that it finds everything in, and tracks by plain NumPy."""

import numpy as np
import pandas as pd
import tifffile
from scipy import ndimage

from cloudtrainer.detector import ParticleDetector

BACKGROUND, NOISE, PEAK, SIGMA_PX = 100.0, 5.0, 600.0, 1.5
# Its network is never asked: `find_bright_spots` answers instead.
DETECTOR = ParticleDetector()


def find_bright_spots(
    model, video, threshold=None, min_area=3, *, polarity="auto", appearance=None, progress=None
):
    """Centroids of what stands far above the background; the detector's signature and columns."""
    tables = []
    for number in range(len(video)):
        frame = video.frames(number, number + 1)[0].astype(float) - BACKGROUND
        labels, count = ndimage.label(frame > 10 * NOISE)
        centres = np.array(ndimage.center_of_mass(frame, labels, range(1, count + 1)))
        centres = centres.reshape(-1, 2)
        tables.append(pd.DataFrame({"frame": number, "x": centres[:, 1], "y": centres[:, 0]}))
        if progress is not None:
            progress(number + 1, len(video))
    found = pd.concat(tables, ignore_index=True).astype({"frame": "int64"})
    return found.assign(x_error=0.05, y_error=0.05, probability=0.9, intensity=PEAK)


def brownian_tracks(particles, frames, step_sd_px, noise_px=0.0, seed=0, spread_px=1000.0):
    """Tracks of a strobe: x(t) = start + sum of steps + noise."""
    rng = np.random.default_rng(seed)
    tables = []
    for particle in range(particles):
        start = rng.uniform(0, spread_px, 2)
        xy = start + rng.normal(0, step_sd_px, (frames, 2)).cumsum(axis=0)
        xy += rng.normal(0, noise_px, xy.shape)
        tables.append(
            pd.DataFrame(
                {"frame": np.arange(frames), "particle": particle, "x": xy[:, 0], "y": xy[:, 1]}
            )
        )
    return pd.concat(tables, ignore_index=True)


def spots_video(frames=20, seed=0, step_sd_px=1.5, grid=3, spacing_px=40):
    """Particles that start on a grid, so that none touches another; (T, Y, X) uint16."""
    rng = np.random.default_rng(seed)
    start = np.arange(grid) * spacing_px + spacing_px / 2
    place = np.stack(np.meshgrid(start, start), axis=-1).reshape(-1, 2)
    path = place + rng.normal(0, step_sd_px, (frames, len(place), 2)).cumsum(axis=0)
    side = grid * spacing_px
    y, x = np.mgrid[:side, :side]
    light = np.zeros((frames, side, side))
    for particle in range(len(place)):
        at = path[:, particle, :, None, None]
        light += PEAK * np.exp(-((x - at[:, 0]) ** 2 + (y - at[:, 1]) ** 2) / (2 * SIGMA_PX**2))
    return (light + BACKGROUND + rng.normal(0, NOISE, light.shape)).clip(0).astype(np.uint16)


def write_video(path, frames):
    tifffile.imwrite(path, frames, photometric="minisblack")
    return path
