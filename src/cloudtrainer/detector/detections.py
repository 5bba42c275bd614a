"""Tables of detections from what a network answers."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from cloudtrainer.detector.decode import positions_from_grid, positions_from_mask
from cloudtrainer.detector.targets import cell_centres, offset_errors

DETECTION_COLUMNS = ["frame", "x", "y", "x_error", "y_error", "probability", "intensity", "area"]


def detections_from_grid(
    answer: Tensor, raw: Tensor, threshold: float, error_scale: float
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
    error_scale : float
        Factor of the stated standard errors.
    """
    height, width = raw.shape[-2:]
    share = torch.sigmoid(answer[:, 0]).cpu().numpy()
    x = (answer[:, 1] + cell_centres(answer.shape[3], answer.device)).cpu().numpy()
    y = (answer[:, 2] + cell_centres(answer.shape[2], answer.device)[:, None]).cpu().numpy()
    error = (error_scale * offset_errors(answer)).cpu().numpy()
    tables = []
    for frame in range(len(share)):
        found = positions_from_grid(
            share[frame], x[frame], y[frame], error[frame, 0], error[frame, 1]
        )
        inside = (found[:, 0] > -0.5) & (found[:, 0] < width - 0.5)
        inside &= (found[:, 1] > -0.5) & (found[:, 1] < height - 0.5)
        found = found[inside & (found[:, 4] >= threshold)]
        table = pd.DataFrame(found, columns=DETECTION_COLUMNS[1:6])
        table["intensity"] = _light_above_surroundings(raw[frame], found[:, 0], found[:, 1])
        table.insert(0, "frame", frame)
        tables.append(table)
    return pd.concat(tables, ignore_index=True).astype({"frame": np.int64})


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
    frame: Tensor, x: NDArray[np.float32], y: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Sum the counts within 3 px of each position above the median 4 to 6 px away."""
    reach = 6
    steps = torch.arange(-reach, reach + 1, device=frame.device)
    distance = torch.sqrt((steps[:, None] ** 2 + steps**2).float())
    near, around = distance <= 3, (distance >= 4) & (distance <= 6)
    padded = functional.pad(frame[None, None], (reach,) * 4, mode="replicate")[0, 0]
    column = torch.as_tensor(np.round(x), device=frame.device).long() + reach
    row = torch.as_tensor(np.round(y), device=frame.device).long() + reach
    patch = padded[row[:, None, None] + steps[:, None], column[:, None, None] + steps]
    ground = patch[:, around].median(dim=1).values if len(patch) else patch.new_zeros(0)
    light: NDArray[np.float32] = (patch[:, near] - ground[:, None]).sum(dim=1).cpu().numpy()
    return light
