"""Drift: the motion that all particles share, taken out without making D too small."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import fdtrc

from cloudtrainer.arguments import choice
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking.at_rest import at_rest_in_frame
from cloudtrainer.tracking.tables import checked_positions

DriftMethod = Literal["auto", "none", "steady", "mean"]

_SIGNIFICANT = 1e-3
_BLOCKS = 8
_FEWEST_PARTICLES = 2
_MOST_ROUNDS = 5
# A row is kept of each frame: what reaches further is no frame number but a time.
_MOST_FRAMES = 10_000_000


@dataclass(frozen=True)
class Drift:
    """The drift of a set of tracks, and the tracks without it.

    Attributes
    ----------
    tracks
        The tracks with ``x, y`` corrected; other columns and the order of rows as given.
    table
        One row a frame: ``frame``, ``x_drift, y_drift`` (pixels since the first frame, what was
        taken out of all tracks but those at rest) and ``particles`` (those whose step into this
        frame was measured).
    method
        What was done: ``"none"``, ``"steady"`` or ``"mean"``.
    significant
        Whether the particles move together more than chance lets them (p < 0.001).
    speed_px_per_frame
        Length of the mean step of all particles, measured whatever was done.
    sentence
        What was found and done.
    at_rest
        Tracks that rest in the frame while the others drift: they keep their positions.
    """

    tracks: pd.DataFrame
    table: pd.DataFrame
    method: Literal["none", "steady", "mean"]
    significant: bool
    speed_px_per_frame: float
    sentence: str
    at_rest: int = 0


def subtract_drift(tracks: pd.DataFrame, method: DriftMethod = "auto") -> Drift:
    """Take out of tracks the motion that all particles share.

    ``"steady"`` subtracts one velocity, the mean of all steps; of S steps this takes 1/S of D.
    ``"mean"`` subtracts from each step the mean step of the M particles in that frame. A particle's
    own step is part of that mean, so what is left has only (1 - 1/M) of its mean square (leaving
    the particle out gives 1 + 1/(M - 1) instead); each corrected step is therefore stretched by
    sqrt(M / (M - 1)), and a step across a gap, which had no part in the mean, by
    sqrt(M / (M + 1)). The ensemble's D is then unbiased at every lag, also with localisation error
    and with particles of different D. Frames with fewer than two steps take the mean velocity.

    ``"auto"`` subtracts nothing unless the drift is significant, then ``"steady"``, and ``"mean"``
    only when the drift changes from frame to frame or over the video. The test is analysis of
    variance: the scatter between the means of frames, of an eighth of the video, and of the whole,
    against that between particles.

    Tracks that rest in the frame while the others drift (dirt, particles stuck to the glass while
    the liquid flows) have no part in the drift and keep their positions, as `at_rest_in_frame`
    tells them.

    Parameters
    ----------
    tracks
        Table with ``frame, x, y`` (pixels) and ``particle``.
    method
        ``"auto"``, ``"none"``, ``"steady"`` or ``"mean"``.

    Returns
    -------
    Drift

    Raises
    ------
    LabelError
        When the table lacks a column or holds something that is not a finite number, or its frames
        span more than ten million.
    ConfigError
        When the method is none of the four.
    """
    choice("drift method", method, ("auto", "none", "steady", "mean"))
    table = checked_positions(tracks, ("frame", "x", "y", "particle"), name="tracks")
    if len(table) and np.ptp(table["frame"]) > _MOST_FRAMES:
        raise LabelError(
            f"tracks: column frame reaches from {table['frame'].min()} to {table['frame'].max()}, "
            f"over more than {_MOST_FRAMES:,} frames; give frame numbers, not times."
        )
    drift = _subtracted(tracks, table, method)
    resting, others = _without_resting(tracks, table, drift, method)
    if not resting.any():
        return drift
    xy = table[["x", "y"]].to_numpy()
    xy[~resting] = others.tracks[["x", "y"]].to_numpy()
    path = others.table.set_index("frame").reindex(drift.table["frame"])
    path[["x_drift", "y_drift"]] = path[["x_drift", "y_drift"]].ffill().fillna(0.0)
    path["particles"] = path["particles"].fillna(0).astype(np.int64)
    number = int(table.loc[resting, "particle"].nunique())
    who, kept_by = (
        ("1 track rests", "keeps its place")
        if number == 1
        else (f"{number} tracks rest", "keep their places")
    )
    return replace(
        others,
        tracks=tracks.assign(x=xy[:, 0], y=xy[:, 1]),
        table=path.reset_index(),
        at_rest=number,
        sentence=f"{others.sentence} {who} in the frame meanwhile and {kept_by}: dirt, or "
        "particles that are stuck while the liquid flows.",
    )


def _without_resting(
    tracks: pd.DataFrame, table: pd.DataFrame, drift: Drift, method: DriftMethod
) -> tuple[NDArray[np.bool_], Drift]:
    """Return which rows are of tracks that rest in the frame, and the drift of the others.

    What rests makes the drift of all too small, so that more may be told to rest without it. Where
    the others show no drift by themselves, nothing rests.
    """
    resting = np.zeros(len(table), dtype=bool)
    if drift.method == "none" or not drift.significant:
        return resting, drift
    others = drift
    for _ in range(_MOST_ROUNDS):
        left = table[~resting]
        xy = others.tracks[["x", "y"]].to_numpy()
        told = at_rest_in_frame(left, left.assign(x=xy[:, 0], y=xy[:, 1]))
        if not len(told):
            break
        more = resting | table["particle"].isin(told).to_numpy()
        if table.loc[~more, "particle"].nunique() < _FEWEST_PARTICLES:
            break
        found = _subtracted(tracks[~more], table[~more], method)
        if not found.significant:
            break
        resting, others = more, found
    return resting, others


def _subtracted(tracks: pd.DataFrame, table: pd.DataFrame, method: DriftMethod) -> Drift:
    """Take out of tracks what they share; ``table`` is what of them was checked."""
    order = np.lexsort((table["frame"], table["particle"]))
    frame, particle = table["frame"].to_numpy()[order], table["particle"].to_numpy()[order]
    position = table[["x", "y"]].to_numpy()[order]

    same, gap = np.diff(particle) == 0, np.diff(frame)
    single = same & (gap == 1)
    step = np.diff(position, axis=0)[single]
    first = int(frame.min()) if len(frame) else 0
    at = (frame[1:][single] - first).astype(np.int64)
    n_frames = int(frame.max()) - first + 1 if len(frame) else 0
    owner = particle[1:][single]

    velocity = step.mean(axis=0) if len(step) else np.zeros(2)
    p_steady = _p_value(step, np.zeros_like(at), owner, np.zeros(2))
    jitter = _p_value(step, at, owner, None)
    slow = _p_value(step, at * _BLOCKS // max(n_frames, 1), owner, None)
    p_changing = min(1.0, 2 * min(jitter, slow))
    significant = min(p_steady, p_changing) < _SIGNIFICANT

    done: Literal["none", "steady", "mean"]
    if method != "auto":
        done = method
    elif p_changing < _SIGNIFICANT:
        done = "mean"
    else:
        done = "steady" if p_steady < _SIGNIFICANT else "none"

    counts = np.bincount(at, minlength=n_frames).astype(np.float64)
    path = np.zeros((n_frames, 2))
    if done != "none" and n_frames:
        per_frame = np.tile(velocity, (n_frames, 1))
        if done == "mean":
            for axis in (0, 1):
                sums = np.bincount(at, weights=step[:, axis], minlength=n_frames)
                shared = counts >= _FEWEST_PARTICLES
                per_frame[shared, axis] = sums[shared] / counts[shared]
        per_frame[0] = 0
        path = np.cumsum(per_frame, axis=0)

    corrected = position - path[frame - first]
    if done == "mean" and len(corrected):
        corrected = _stretched(corrected, frame - first, same, counts)
    xy = np.empty_like(corrected)
    xy[order] = corrected
    speed = float(np.hypot(*velocity))
    return Drift(
        tracks=tracks.assign(x=xy[:, 0], y=xy[:, 1]),
        table=pd.DataFrame(
            {
                "frame": np.arange(first, first + n_frames),
                "x_drift": path[:, 0],
                "y_drift": path[:, 1],
                "particles": counts.astype(np.int64),
            }
        ),
        method=done,
        significant=bool(significant),
        speed_px_per_frame=speed,
        sentence=_sentence(done, bool(significant), p_changing < _SIGNIFICANT, velocity),
    )


def _p_value(
    step: NDArray[np.float64],
    block: NDArray[np.int64],
    owner: NDArray[np.int64],
    expected: NDArray[np.float64] | None,
) -> float:
    """Test whether block means differ from the expected step, or (None) from each other.

    The unit is a particle's displacement within a block, so steps of one particle may depend on
    each other, as localisation error and persistent motion make them.
    """
    if len(step) == 0:
        return 1.0
    runs = pd.DataFrame({"block": block, "owner": owner, "x": step[:, 0], "y": step[:, 1], "n": 1})
    runs = runs.groupby(["block", "owner"], as_index=False).sum()
    _, member = np.unique(runs["block"].to_numpy(), return_inverse=True)
    n, moved = runs["n"].to_numpy(np.float64), runs[["x", "y"]].to_numpy()
    blocks = int(member.max()) + 1
    weight = np.bincount(member, weights=n)
    mean = np.stack([np.bincount(member, weights=moved[:, k]) / weight for k in (0, 1)], axis=1)
    inner = np.sum((moved - mean[member] * n[:, None]) ** 2 / n[:, None])
    centre = step.mean(axis=0) if expected is None else expected
    outer = np.sum((mean - centre) ** 2 * weight[:, None])
    free_outer = 2 * (blocks - 1 if expected is None else blocks)
    free_inner = 2 * (len(n) - blocks)
    if free_outer <= 0 or free_inner <= 0 or inner <= 0:
        return 1.0
    ratio = outer / free_outer / (inner / free_inner)
    return float(fdtrc(free_outer, free_inner, ratio))


def _stretched(
    position: NDArray[np.float64],
    frame: NDArray[np.int64],
    same: NDArray[np.bool_],
    counts: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Give corrected steps back the share of their mean square that the subtraction took."""
    members = np.maximum(counts, 1)
    # Of a step over several frames the noise of each frame's mean counts: its mean 1/M.
    inverse = np.concatenate([[0], np.cumsum(1 / members)])
    gap = np.where(same, np.diff(frame), 1)
    mean_inverse = np.where(same, (inverse[frame[1:] + 1] - inverse[frame[:-1] + 1]) / gap, 0)
    shared = np.where(gap == 1, counts[frame[1:]] >= _FEWEST_PARTICLES, mean_inverse < 1)
    part = np.where(gap == 1, -mean_inverse, mean_inverse)
    factor = np.where(same & shared, 1 / np.sqrt(1 + np.where(shared, part, 0)), 1.0)
    step = np.diff(position, axis=0)
    step[~same] = 0
    path = np.concatenate([np.zeros((1, 2)), np.cumsum(step * factor[:, None], axis=0)])
    starts = np.concatenate([[0], np.flatnonzero(~same) + 1])
    lengths = np.diff(np.concatenate([starts, [len(position)]]))
    result: NDArray[np.float64] = path + np.repeat(position[starts] - path[starts], lengths, axis=0)
    return result


def _sentence(done: str, significant: bool, changing: bool, velocity: NDArray[np.float64]) -> str:
    size = f"{np.hypot(*velocity):.3g} px a frame (x {velocity[0]:+.3g}, y {velocity[1]:+.3g})"
    if significant:
        found = f"The particles drift together by {size}" + (
            ", at a changing speed" if changing else ""
        )
    else:
        found = f"No significant drift was found (mean step {size})"
    action = {
        "none": "nothing was subtracted",
        "steady": "this velocity was subtracted",
        "mean": "the mean step of each frame was subtracted, without making D smaller",
    }[done]
    return f"{found}; {action}."
