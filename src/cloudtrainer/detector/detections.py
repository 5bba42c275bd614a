"""Tables of detections from what a network answers."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cloudtrainer.detector.decode import positions_from_grid, positions_from_mask
from cloudtrainer.detector.normalise import noise_of
from cloudtrainer.detector.photon_fit import (
    Appearance,
    Seen,
    measure_appearance,
    refine,
    weigh,
    with_doubt,
    with_population,
)
from cloudtrainer.detector.targets import cell_centres, offset_errors

# Where the factor of stated errors is `error_scale` itself.
TYPICAL_ERROR_PX = 0.2
DETECTION_COLUMNS = ["frame", "x", "y", "x_error", "y_error", "probability", "intensity", "area"]


def detections_from_grid(
    answer: Tensor,
    raw: Tensor,
    threshold: float,
    errors: tuple[float, float],
    *,
    fit: bool = True,
    weighed: bool = True,
    appearance: Appearance | None = None,
) -> pd.DataFrame:
    """Read the answer of the grid network.

    Parameters
    ----------
    answer : Tensor
        Five numbers of each cell, (frames, 5, rows, columns).
    raw : Tensor
        Intensities with bright particles, (frames, height, width).
    threshold : float
        Least probability.
    errors : (float, float)
        ``error_scale`` and ``error_slope`` of `ParticleDetector`.
    fit : bool
        Refine positions by a fit to the photons.
    weighed : bool
        Where the appearance is measured here, whether doubtful spots may be weighed by it.
    appearance : Appearance, optional
        What the particles of the video have in common; default: measured on these frames.
    """
    size = raw.shape[-2:]
    seen = _seen(answer, size, errors)
    if fit:
        variance = noise_of(raw) ** 2
        if appearance is None:
            appearance = _appearance(raw, variance, seen, threshold, weighed)
        seen = weigh(raw, variance, seen, appearance)
        found = seen.of(seen.probability >= threshold)
        seen = _inside(refine(raw, variance, found, appearance), size)
    else:
        seen = seen.of(seen.probability >= threshold)
    order = torch.argsort(seen.frame, stable=True)
    columns = {name: values[order].cpu().numpy() for name, values in vars(seen).items()}
    table = pd.DataFrame(columns).astype({"frame": np.int64})
    table["intensity"] = _light_above_surroundings(
        raw, seen.frame[order], seen.x[order], seen.y[order]
    )
    return table


def appearance_from_grid(
    answer: Tensor, raw: Tensor, threshold: float, *, weighed: bool = True
) -> Appearance:
    """Measure what the particles of some frames have in common; arguments as above."""
    seen = _seen(answer, raw.shape[-2:], (1.0, 0.0))
    return _appearance(raw, noise_of(raw) ** 2, seen, threshold, weighed)


def _appearance(
    raw: Tensor, variance: Tensor, seen: Seen, threshold: float, weighed: bool
) -> Appearance:
    found = seen.of(seen.probability >= threshold)
    surest = found.of(torch.argsort(found.probability, descending=True, stable=True))
    appearance = measure_appearance(raw, variance, surest.frame, surest.x, surest.y)
    return with_population(appearance, raw, variance, seen) if weighed else appearance


def _seen(answer: Tensor, size: torch.Size, errors: tuple[float, float]) -> Seen:
    share = torch.sigmoid(answer[:, 0]).cpu().numpy()
    x = (answer[:, 1] + cell_centres(answer.shape[3], answer.device)).cpu().numpy()
    y = (answer[:, 2] + cell_centres(answer.shape[2], answer.device)[:, None]).cpu().numpy()
    error = offset_errors(answer).cpu().numpy()
    rows = [
        positions_from_grid(share[frame], x[frame], y[frame], error[frame, 0], error[frame, 1])
        for frame in range(len(share))
    ]
    frame = np.repeat(np.arange(len(rows)), [len(found) for found in rows])
    found = torch.as_tensor(np.concatenate(rows), device=answer.device)
    scale, slope = errors
    found[:, 2:4] = with_doubt(found[:, 2:4], found[:, 4:5])
    found[:, 2:4] *= scale * (found[:, 2:4] / TYPICAL_ERROR_PX) ** slope
    return _inside(Seen(torch.as_tensor(frame, device=answer.device), *found.unbind(1)), size)


def _inside(seen: Seen, size: torch.Size) -> Seen:
    height, width = size
    inside = (seen.x > -0.5) & (seen.x < width - 0.5) & (seen.y > -0.5) & (seen.y < height - 0.5)
    return seen.of(inside)


def detections_from_masks(
    answer: Tensor, seen: Tensor, threshold: float, min_area: int
) -> pd.DataFrame:
    """Read the answer of the U-Net.

    Parameters
    ----------
    answer : Tensor
        Logits of the mask, (frames, 1, height, width).
    seen : Tensor
        The normalised frames, (frames, height, width).
    threshold : float
        Probability above which a pixel belongs to a particle.
    min_area : int
        Least area, px².
    """
    probability = torch.sigmoid(answer[:, 0]).cpu().numpy()
    pixels = seen.cpu().numpy()
    tables = []
    for frame in range(len(probability)):
        found = positions_from_mask(probability[frame], pixels[frame], threshold, min_area)
        table = pd.DataFrame(found, columns=["x", "y", "probability", "area", "intensity"])
        table.insert(0, "frame", frame)
        table["x_error"] = table["y_error"] = np.nan
        tables.append(table[DETECTION_COLUMNS])
    return pd.concat(tables, ignore_index=True).astype({"frame": np.int64})


def _light_above_surroundings(
    frames: Tensor, frame: Tensor, x: Tensor, y: Tensor
) -> NDArray[np.float32]:
    """Sum the counts within 3 px of each position above the median 4 to 6 px away."""
    reach = 6
    steps = torch.arange(-reach, reach + 1, device=frames.device)
    distance = torch.sqrt((steps[:, None] ** 2 + steps**2).float())
    near, around = distance <= 3, (distance >= 4) & (distance <= 6)
    padded = functional.pad(frames[:, None], (reach,) * 4, mode="replicate")[:, 0]
    column, row = x.round().long() + reach, y.round().long() + reach
    patch = padded[
        frame[:, None, None], row[:, None, None] + steps[:, None], column[:, None, None] + steps
    ]
    ground = patch[:, around].median(dim=1).values if len(patch) else patch.new_zeros(0)
    light: NDArray[np.float32] = (patch[:, near] - ground[:, None]).sum(dim=1).cpu().numpy()
    return light
