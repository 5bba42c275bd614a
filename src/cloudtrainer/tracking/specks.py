"""Static specks: hot pixels and dirt that are found at the same place all along."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from cloudtrainer.arguments import is_number, number, shown, whole_number
from cloudtrainer.errors import ConfigError
from cloudtrainer.tracking.tables import checked_positions

# In shorter videos a slow particle's walk cannot be told from noise about a point.
_FEWEST_FRAMES = 100


@dataclass(frozen=True)
class StaticSpecks:
    """Detections without static specks, and the specks.

    Attributes
    ----------
    detections
        The rows that are not of a speck, with their index and columns as given.
    specks
        One row a speck: ``x, y`` (median position, pixels), ``frame_share`` (share of the frames in
        which it was found) and ``scatter_px`` (standard deviation per axis).
    """

    detections: pd.DataFrame
    specks: pd.DataFrame


def static_specks(
    detections: pd.DataFrame,
    radius_px: float = 1.0,
    min_frame_share: float = 0.5,
    n_frames: int | None = None,
) -> StaticSpecks:
    """Take out detections of hot pixels and dirt, which never move.

    A speck is a place within whose radius there is a detection in most frames, and where positions
    scatter like noise about a fixed point: successive positions differ as much as any two do (the
    ratio of von Neumann 1941, Ann. Math. Stat. 12:367, is 1; that of a slow particle's random walk
    is near 0 and leaves it in). A particle stuck to the glass cannot be told from a speck by its
    positions: it is taken out too, so do not mask specks where the stuck share is what you measure.

    Parameters
    ----------
    detections
        Table with ``frame, x, y`` (pixels), before drift is removed.
    radius_px
        How far from its median position a speck's detections may lie, pixels.
    min_frame_share
        In which share of the frames it must be found.
    n_frames
        Number of frames of the video; None takes those from the first to the last of the table.
        With fewer than 100 frames nothing is taken out.

    Returns
    -------
    StaticSpecks

    Raises
    ------
    LabelError
        When the table lacks a column or holds something that is not a finite number.
    ConfigError
        When the radius is not positive or the share not between 0 and 1.
    """
    radius_px = number("radius_px", radius_px, "pixels", above=True)
    if not (is_number(min_frame_share) and 0 < min_frame_share <= 1):
        raise ConfigError(
            f"min_frame_share is {shown(min_frame_share)}: give a share above 0, 1 at most"
        )
    if n_frames is not None:
        n_frames = whole_number("n_frames", n_frames, "frames")
    table = checked_positions(detections)
    frame, xy = table["frame"].to_numpy(), table[["x", "y"]].to_numpy()
    if n_frames is None:
        n_frames = int(frame.max() - frame.min()) + 1 if len(frame) else 0
    speck_rows = np.zeros(len(table), dtype=bool)
    specks: list[tuple[float, float, float, float]] = []
    if n_frames >= _FEWEST_FRAMES:
        tree = cKDTree(xy)
        for place in _crowded_places(xy, radius_px, min_frame_share * n_frames):
            rows = np.array(tree.query_ball_point(place, 2 * radius_px), dtype=np.int64)
            rows = rows[~speck_rows[rows]]
            if rows.size < min_frame_share * n_frames:
                continue
            centre = np.median(xy[rows], axis=0)
            distance = np.hypot(*(xy[rows] - centre).T)
            # Particles that pass by are no part of it: five standard deviations hold the speck.
            reach = min(radius_px, max(5 * float(np.median(distance)) / 1.177, 0.1))
            rows = rows[distance <= reach]
            share = np.unique(frame[rows]).size / n_frames
            if share < min_frame_share or not _is_noise(frame[rows], xy[rows]):
                continue
            speck_rows[rows] = True
            scatter = float(np.sqrt(xy[rows].var(axis=0).mean()))
            specks.append((float(centre[0]), float(centre[1]), share, scatter))
    return StaticSpecks(
        detections=detections.loc[~speck_rows],
        specks=pd.DataFrame(specks, columns=["x", "y", "frame_share", "scatter_px"], dtype=float),
    )


def _crowded_places(xy: NDArray[np.float64], radius: float, least: float) -> NDArray[np.float64]:
    """Find centres of squares, two radii wide, that hold enough detections: fullest first."""
    found = []
    # Squares shifted by half their width: one of the four has a speck well inside.
    for shift in ((0.0, 0.0), (0.0, radius), (radius, 0.0), (radius, radius)):
        cell = np.floor((xy + shift) / (2 * radius)).astype(np.int64)
        places, counts = np.unique(cell, axis=0, return_counts=True)
        # Of a speck that straddles the squares' edges the fullest may hold less than all.
        enough = counts >= 0.8 * least
        centres = (places[enough] + 0.5) * 2 * radius - np.array(shift)
        found.append(np.column_stack([counts[enough], centres]))
    ranked = np.concatenate(found)
    result: NDArray[np.float64] = ranked[np.argsort(-ranked[:, 0], kind="stable"), 1:]
    return result


def _is_noise(frame: NDArray[np.int64], xy: NDArray[np.float64]) -> bool:
    """Compare successive differences of positions with their variance: as much as noise has."""
    ordered = xy[np.argsort(frame, kind="stable")]
    variance = ordered.var(axis=0).sum()
    if variance < 1e-6:
        return True
    ratio = np.mean(np.sum(np.diff(ordered, axis=0) ** 2, axis=1)) / (2 * variance)
    # Of n positions of pure noise the ratio has a standard deviation of 1 / sqrt(2 n).
    return bool(ratio > np.clip(1 - 4 / np.sqrt(2 * len(xy)), 0.6, 0.8))
