"""The offset of the MSD that is taken out before moduli are, and what is known of its scatter."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.arguments import checked_seed, is_number, shown
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement, mean_squared_displacement
from cloudtrainer.diffusion.resample import REPLICATES, bootstrap_weights
from cloudtrainer.diffusion.tracks import FloatArray
from cloudtrainer.errors import CalibrationError, ConfigError

# Vibration and drift of the stage grow with the lag: the shortest lags are the error alone.
_SHORTEST = 3


@dataclass(frozen=True)
class Offset:
    """An offset of the two-dimensional MSD.

    Attributes
    ----------
    value : float
        um^2; 0 where it was not told.
    told : bool
        Whether it was told.
    static : bool
        Whether it is that of particles that do not move, which show no motion blur.
    replicates : ndarray
        Bootstrap replicates over stuck beads, or draws of a normal distribution with its standard
        error; empty where it is known without scatter.
    """

    value: float
    told: bool
    static: bool
    replicates: FloatArray

    def drawn(self, number: int) -> FloatArray:
        """Return the offsets of so many replicates; the first 400 draws serve the particles."""
        if len(self.replicates) < 2 * number:
            return np.full(number, self.value)
        return self.replicates[number : 2 * number]


def offset_of(
    stuck: pd.DataFrame | None,
    static_error_um: float | None,
    offset_um2: float | None,
    offset_error_um2: float,
    frame_interval_s: float,
    pixel_size_um: float,
    seed: int,
) -> Offset:
    """Return the offset that `shear_moduli` was told of.

    Raises
    ------
    ConfigError
        More than one way of telling it was used, or the stuck beads tell none.
    CalibrationError
        A number that cannot be.
    LabelError
        `stuck` is not a table of tracks.
    """
    if sum(one is not None for one in (stuck, static_error_um, offset_um2)) > 1:
        raise ConfigError(
            "give the tracks of stuck beads, static_error_um or offset_um2, not both or all"
        )
    if not (is_number(offset_error_um2) and 0 <= offset_error_um2 < np.inf):
        raise CalibrationError(
            f"offset_error_um2 is {shown(offset_error_um2)}: give a number in um^2, 0 or more"
        )
    if offset_error_um2 and offset_um2 is None:
        raise ConfigError("offset_error_um2 says nothing without offset_um2: give both, or neither")
    nothing = np.zeros(0)
    if static_error_um is not None:
        if not (is_number(static_error_um) and 0 <= static_error_um < 1e6):
            raise CalibrationError(
                f"static_error_um is {shown(static_error_um)}: give a number of um, 0 or more, or "
                "None"
            )
        return Offset(4 * static_error_um**2, True, True, nothing)
    if stuck is None:
        if offset_um2 is not None and not is_number(offset_um2):
            raise CalibrationError(
                f"offset_um2 is {shown(offset_um2)}: give a number in um^2, or None"
            )
        value = offset_um2 or 0.0
        if offset_um2 is None or offset_error_um2 == 0:
            return Offset(value, offset_um2 is not None, False, nothing)
        drawn = np.random.default_rng((checked_seed(seed), 1)).normal(size=REPLICATES)
        return Offset(value, True, False, value + offset_error_um2 * drawn)
    still = mean_squared_displacement(
        stuck, _SHORTEST, frame_interval_s=frame_interval_s, pixel_size_um=pixel_size_um
    )
    if not np.isfinite(still.ensemble).any():
        raise ConfigError(
            "the tracks of stuck beads have no two positions one to three frames apart: they tell "
            "no localisation error"
        )
    return Offset(float(np.nanmean(still.ensemble)), True, True, _replicates(still, seed))


def _replicates(still: MeanSquaredDisplacement, seed: int) -> FloatArray:
    if len(still.particle) < 2:
        return np.zeros(0)
    weights = bootstrap_weights(len(still.particle), seed)
    sums = weights @ (np.nan_to_num(still.per_track) * still.pairs)
    pairs = weights @ still.pairs
    seen = pairs > 0
    mean = np.divide(sums, pairs, out=np.zeros_like(sums), where=seen)
    # A replicate without pairs tells nothing: that of all stands for it.
    lags = np.maximum(seen.sum(1), 1)
    of_all = float(np.nanmean(still.ensemble))
    return np.asarray(np.where(seen.any(1), mean.sum(1) / lags, of_all))
