"""Scores of tracks against known ones, as in the particle tracking challenge."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.evaluation.tables import checked_distance, tracks_in
from cloudtrainer.evaluation.track_pairs import offsets_of_pairs, pair_tracks


@dataclass(frozen=True)
class TrackScore:
    """How well tracks agree with known ones: measures of Chenouard et al. 2014.

    Attributes
    ----------
    alpha
        1 - d(X, Y) / d(X, 0), with X the true tracks, Y those found, and d(X, 0) the distance when
        nothing is found: 1 when every true position is found in its track and at its place, 0 when
        none is. Tracks that pair with no true one cost nothing.
    beta
        (d(X, 0) - d(X, Y)) / (d(X, 0) + d(S, 0)), with S the found tracks without a true one: alpha
        with a penalty for them; at most alpha.
    jsc
        Jaccard index of positions, TP / (TP + FN + FP). Positions match where their tracks are
        paired and they lie less than the gate apart.
    jsc_theta
        Jaccard index of tracks, TP / (TP + FN + FP).
    rmse_px
        Root mean square distance of matching positions, pixels, as the challenge has it: sqrt(2)
        times that of one axis. NaN without matches, as in the next three attributes.
    rmse_x_px, rmse_y_px
        Root mean square error along one axis, pixels.
    bias_px
        Mean of found minus true position along (x, y), pixels.
    positions_tp, positions_fn, positions_fp
        Matching positions, other true ones, other found ones.
    tracks_tp, tracks_fn, tracks_fp
        Pairs of tracks, other true tracks, other found tracks.
    """

    alpha: float
    beta: float
    jsc: float
    jsc_theta: float
    rmse_px: float
    rmse_x_px: float
    rmse_y_px: float
    bias_px: tuple[float, float]
    positions_tp: int
    positions_fn: int
    positions_fp: int
    tracks_tp: int
    tracks_fn: int
    tracks_fp: int


def score_tracks(found: pd.DataFrame, truth: pd.DataFrame, gate_px: float) -> TrackScore:
    """Score tracks against true ones with the measures of the particle tracking challenge.

    The distance of two tracks is the sum over frames of min(d, gate), d the distance of their
    positions; a frame in which only one of them has a position costs the gate, one in which
    neither has costs nothing. Each true track is paired with a found one or with none, which costs
    the gate for each of its positions, so that the sum over true tracks, d(X, Y), is smallest
    (Chenouard et al. 2014, Nature Methods 11:281, supplementary note on performance measures).
    Between pairings with the same sum neither the names of the particles nor the order of rows
    decide, and a pair that is no better than none is not made. The challenge took a gate of 5
    pixels.

    Parameters
    ----------
    found, truth
        Tables with the columns ``particle, frame, x, y`` (pixels), in any order of rows. A track
        may have gaps: it has no position there. Other columns are ignored.
    gate_px
        Distance from which on positions do not match, pixels.

    Returns
    -------
    TrackScore
        All four scores are 1 when there is nothing to find and nothing was found, and 0 when one of
        the two tables is empty.

    Raises
    ------
    LabelError
        When a table lacks one of the columns, holds something that is not a finite number or a
        frame that is not a whole one, or has a particle twice in a frame.
    ConfigError
        When the gate is not a positive number.
    """
    gate = checked_distance(gate_px, "gate_px")
    have, want = tracks_in(found, "found"), tracks_in(truth, "truth")
    pairs = pair_tracks(have, want, gate)
    offset = offsets_of_pairs(have, want, pairs)
    offset = offset[np.hypot(offset[:, 0], offset[:, 1]) < gate]
    x, y = offset.T
    gain = float(pairs.gain.sum())
    spurious = int(np.isin(have.track, pairs.found, invert=True).sum())
    tp, tracks_tp = len(offset), len(pairs.found)
    perfect = len(have) == 0 and len(want) == 0
    nothing = float("nan")
    return TrackScore(
        alpha=1.0 if perfect else gain / max(len(want), 1),
        beta=1.0 if perfect else gain / (len(want) + spurious),
        jsc=1.0 if perfect else tp / (len(want) + len(have) - tp),
        jsc_theta=1.0 if perfect else tracks_tp / (want.count + have.count - tracks_tp),
        rmse_px=float(np.sqrt(np.mean(x**2 + y**2))) if tp else nothing,
        rmse_x_px=float(np.sqrt(np.mean(x**2))) if tp else nothing,
        rmse_y_px=float(np.sqrt(np.mean(y**2))) if tp else nothing,
        bias_px=(float(x.mean()), float(y.mean())) if tp else (nothing, nothing),
        positions_tp=tp,
        positions_fn=len(want) - tp,
        positions_fp=len(have) - tp,
        tracks_tp=tracks_tp,
        tracks_fn=want.count - tracks_tp,
        tracks_fp=have.count - tracks_tp,
    )
