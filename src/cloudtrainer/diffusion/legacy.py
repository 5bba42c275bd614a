"""The two functions of version 3.0, with its names and keys and this version's estimates."""

from typing import Any

import numpy as np
import pandas as pd

from cloudtrainer.arguments import is_number, shown
from cloudtrainer.diffusion.anomalous import estimate_anomalous
from cloudtrainer.diffusion.coefficient import estimate_diffusion
from cloudtrainer.diffusion.motion import UNDETERMINED, motion_type
from cloudtrainer.diffusion.msd import mean_squared_displacement
from cloudtrainer.errors import CalibrationError, LabelError

LONGEST_LAG = 100
FITTED_LAGS = 10
SOURCE = "cloudtrainer_tracks"


class MsdSource(dict[str, float]):
    """What an MSD was made from: carried in the ``attrs`` of the Series.

    The items are plain numbers (``frame_interval_s``, ``pixel_size_um``, ``particles``,
    ``displacements``), because pandas compares attrs and writes them to files; the tracks
    themselves are beside them, and copies of the Series share them.
    """

    def __init__(
        self, tracks: pd.DataFrame, msd: pd.Series, frame_interval_s: float, pixel_size_um: float
    ) -> None:
        rows = len(tracks)
        particles = int(tracks["particle"].nunique())
        super().__init__(
            frame_interval_s=frame_interval_s,
            pixel_size_um=pixel_size_um,
            particles=particles,
            displacements=rows - particles,
        )
        self.tracks = tracks
        self.msd = msd

    def __deepcopy__(self, memo: dict[int, Any]) -> "MsdSource":
        return self

    def describes(self, emsd: pd.Series) -> bool:
        """Return whether the values are still those that were computed from these tracks."""
        known = self.msd.reindex(emsd.index).to_numpy()
        return bool(np.array_equal(known, emsd.to_numpy(), equal_nan=True))


def calculate_msd(
    tracks: pd.DataFrame, fps: float = 30, pixel_size: float = 0.1
) -> "pd.Series[float]":
    """Return the ensemble MSD up to 100 frames, each track weighted by its pairs of positions.

    Parameters
    ----------
    tracks : DataFrame
        Columns ``particle, frame, x, y``; positions in pixels.
    fps : float
        Frames per second.
    pixel_size : float
        Micrometres a pixel.

    Returns
    -------
    Series
        MSD in um^2, indexed by the lag time in s. Its ``attrs`` carry the tracks and the
        calibration, from which `fit_diffusion_models` makes its intervals.

    Raises
    ------
    LabelError
        The table is not one of tracks.
    CalibrationError
        `fps` or `pixel_size` is not positive.
    """
    if not (is_number(fps) and fps > 0):
        raise CalibrationError(f"fps is {shown(fps)}: give a positive number of frames per second")
    if pixel_size is None:
        raise CalibrationError("pixel_size is None: give the micrometres of a pixel")
    msd = mean_squared_displacement(
        tracks, LONGEST_LAG, frame_interval_s=1 / fps, pixel_size_um=pixel_size
    )
    index = pd.Index(msd.lag_time, name="lag time [s]")
    series = pd.Series(msd.ensemble, index=index, name="msd", dtype=np.float64)
    kept = tracks[["particle", "frame", "x", "y"]].copy()
    kept.attrs = {}
    series.attrs[SOURCE] = MsdSource(kept, series.copy(), 1 / fps, float(pixel_size))
    return series


def fit_diffusion_models(emsd: "pd.Series[float]") -> dict[str, Any]:
    """Fit D and the anomalous exponent, with the keys of version 3.0.

    Parameters
    ----------
    emsd : Series
        MSD in um^2 indexed by the lag time in s. As `calculate_msd` returns it, D and alpha are
        those of `estimate_diffusion` and `estimate_anomalous`, with an unknown exposure; a
        Series that was changed, or made elsewhere, is fitted by least squares over its first 10
        lags as in version 3.0, without intervals.

    Returns
    -------
    dict
        ``D`` (um^2/s), ``offset`` (um^2), ``alpha``, ``motion_type``, ``t_fit`` and ``msd_fit``
        (the first 10 lags), ``linear_params`` (slope 4 D, offset: the line ``slope * t +
        offset``), ``power_params`` (4 K, alpha) with ``power_offset``: the curve ``4 K t^alpha +
        power_offset``, whose offset is 0 for least squares. New keys: ``D_estimate``,
        ``alpha_estimate``, ``K_estimate`` (`Estimate` or None) and ``motion_model``.

    Raises
    ------
    LabelError
        `emsd` is no Series of numbers.
    """
    if not isinstance(emsd, pd.Series):
        raise LabelError(
            f"the MSD is a {type(emsd).__name__}: give the Series that calculate_msd returns"
        )
    try:
        time = np.asarray(emsd.index, dtype=np.float64)
        msd = emsd.to_numpy(np.float64)
    except (TypeError, ValueError):
        raise LabelError(
            "the MSD holds text: give a Series of numbers indexed by lag time in seconds"
        ) from None
    usable = np.isfinite(time) & np.isfinite(msd) & (time > 0)
    time, msd = time[usable][:FITTED_LAGS], msd[usable][:FITTED_LAGS]
    result: dict[str, Any] = {"t_fit": time, "msd_fit": msd}
    source = emsd.attrs.get(SOURCE)
    if isinstance(source, MsdSource) and source.describes(emsd):
        return result | _likelihood(source)
    return result | _least_squares(time, msd)


def _likelihood(source: MsdSource) -> dict[str, Any]:
    calibration = (source["frame_interval_s"], source["pixel_size_um"])
    D = estimate_diffusion(source.tracks, *calibration)
    anomalous = estimate_anomalous(source.tracks, *calibration)
    motion = motion_type(anomalous)
    return {
        "D": D.value,
        "offset": D.offset,
        "alpha": anomalous.alpha.value,
        "motion_type": motion.motion_type,
        "motion_model": motion.motion_model,
        "linear_params": (4 * D.value, D.offset),
        "power_params": (4 * anomalous.K.value, anomalous.alpha.value),
        "power_offset": anomalous.K.offset,
        "D_estimate": D,
        "alpha_estimate": anomalous.alpha,
        "K_estimate": anomalous.K,
    }


def _least_squares(time: np.ndarray, msd: np.ndarray) -> dict[str, Any]:
    slope = offset = alpha = prefactor = float("nan")
    if len(time) > 1:
        slope, offset = (float(value) for value in np.polyfit(time, msd, 1))
        if (msd > 0).all():
            alpha, log_prefactor = (float(v) for v in np.polyfit(np.log(time), np.log(msd), 1))
            prefactor = float(np.exp(log_prefactor))
    return {
        "D": slope / 4,
        "offset": offset,
        "alpha": alpha,
        "motion_type": UNDETERMINED,
        "motion_model": "undetermined",
        "linear_params": (slope, offset),
        "power_params": (prefactor, alpha),
        "power_offset": 0.0,
        "D_estimate": None,
        "alpha_estimate": None,
        "K_estimate": None,
    }
