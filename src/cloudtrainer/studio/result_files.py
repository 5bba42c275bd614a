"""What the folder of an analysis holds, read for the page: nothing is estimated here anew."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.annotations import as_in_video
from cloudtrainer.errors import WorkspaceError

# With more lines a browser is slow, and none can be told from another.
MOST_LINES = 200
# As in the figures of the report.
_SHOWN_SHARE_OF_LAGS = 0.25
_FEWEST_SHOWN_LAGS = 10
_NORMAL_95 = 1.96
FEWEST_FRAMES_FOR_HISTOGRAM = 20
# What reading raises where a file is damaged, changed by hand or of another program.
DAMAGED = (
    ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RecursionError
)  # fmt: skip


@dataclass(frozen=True)
class TrackCurves:
    """The time-averaged MSD of some tracks.

    Attributes
    ----------
    particle : ndarray, shape (tracks,)
        Their numbers.
    lag_time : ndarray of float64, shape (lags,)
        s, or frames.
    msd : ndarray of float64, shape (tracks, lags)
        um², or px²; NaN where a track has no such pair.
    of : int
        How many tracks there are.
    """

    particle: NDArray[Any]
    lag_time: NDArray[np.float64]
    msd: NDArray[np.float64]
    of: int


class ResultFiles:
    """The results in a folder.

    Parameters
    ----------
    folder : Path
        The folder of one video.

    Raises
    ------
    WorkspaceError
        Its ``summary.json`` is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        try:
            text = (folder / "summary.json").read_text(encoding="utf-8")
            self.summary: dict[str, Any] = json.loads(text)
            self.measured: dict[str, Any] = dict(self.summary["measured"])
            self.video_name = str(self.summary["video"]["name"])
        except (OSError, *DAMAGED) as error:
            raise WorkspaceError(
                f"{folder.name}: its summary.json cannot be read ({error}); analyse again"
            ) from None

    @property
    def is_of_one_video(self) -> bool:
        """Whether tracks, particles and MSD of one video lie here, and not a mean over several."""
        return (self.folder / "msd.csv").is_file()

    @property
    def length_unit(self) -> str:
        """Unit of length: "um" or "px"."""
        return "um" if any(name == "D_um2_per_s" for name in self.measured) else "px"

    @property
    def time_unit(self) -> str:
        """Unit of time: "s" or "frame"."""
        return "s" if self.length_unit == "um" else "frame"

    @property
    def diffusion_unit(self) -> str:
        """Unit of D, as it is shown."""
        return {"um": "µm²/s", "px": "px²/frame"}[self.length_unit]

    def estimate(self, beginning: str) -> dict[str, Any] | None:
        """Return the estimate whose name begins so: ``value``, ``low``, ``high``, ``unit``, ..."""
        for name, entry in self.measured.items():
            if name.startswith(beginning) and name != "D_spread":
                return entry if isinstance(entry, dict) else None
        return None

    def number(self, beginning: str) -> float | None:
        """Return the number whose name begins so; None where there is none."""
        for name, value in self.measured.items():
            if name.startswith(beginning) and isinstance(value, int | float):
                return float(value)
        return None

    def particles(self) -> pd.DataFrame:
        """Return one row a particle; empty where there are none."""
        return _table(self.folder / "particles.parquet")

    def msd(self) -> pd.DataFrame:
        """Return ``lag, msd, low, high, pairs`` of the ensemble, as far as the figures show it."""
        try:
            table = pd.read_csv(self.folder / "msd.csv")
        except (OSError, ValueError):
            return pd.DataFrame(columns=["lag", "msd", "low", "high", "pairs"])
        _, lag, msd, error, _ = table.columns
        shown = max(_FEWEST_SHOWN_LAGS, int(_SHOWN_SHARE_OF_LAGS * len(table)))
        band = _NORMAL_95 * table[error]
        return pd.DataFrame(
            {
                "lag": table[lag],
                "msd": table[msd],
                "low": table[msd] - band,
                "high": table[msd] + band,
                "pairs": table["pairs"],
            }
        ).iloc[:shown]

    def tracks(self, *more: str) -> pd.DataFrame:
        """Return ``particle, frame, x, y`` (px) of the measured tracks, and more columns."""
        return _table(self.folder / "tracks.parquet", ["particle", "frame", "x", "y", *more])

    def tracks_in_video(self) -> pd.DataFrame:
        """Return ``particle, frame, x, y`` as the tracks lie in the frames of the video.

        Raises
        ------
        WorkspaceError
            Drift was taken out of the positions, and an earlier version did not keep where they
            were.
        """
        table = self.tracks("video_frame", "video_x", "video_y")
        moved = self.measured.get("drift_method", "none") != "none"
        if moved and "video_x" not in table:
            raise WorkspaceError(
                f"{self.folder.name}: drift was taken out of these tracks by an earlier version, "
                "and they lie beside the particles; analyse again to play them"
            )
        return as_in_video(table)

    def track_curves(self, lags: int) -> TrackCurves:
        """Return the MSD of tracks that are chosen evenly among all, for so many lags.

        The same function made the ensemble's from the same tracks; it is the average over time of
        each track, and nothing is fitted.
        """
        from cloudtrainer.diffusion import mean_squared_displacement

        tracks = self.tracks()
        chosen = evenly(np.unique(tracks["particle"].to_numpy()))
        calibration = self.summary.get("calibration", {}) if self.length_unit == "um" else {}
        msd = mean_squared_displacement(
            tracks[tracks["particle"].isin(chosen)],
            max(lags, 1),
            frame_interval_s=calibration.get("frame_interval_s"),
            pixel_size_um=calibration.get("pixel_size_um"),
        )
        count = tracks["particle"].nunique()
        return TrackCurves(msd.particle, msd.lag_time, msd.per_track, count)

    def pictures(self) -> list[str]:
        """Return the names of the figures that were drawn."""
        return sorted(path.stem for path in (self.folder / "figures").glob("*.png"))

    def picture(self, name: str) -> bytes:
        """Return a figure as PNG."""
        return (self.folder / "figures" / f"{name}.png").read_bytes()


def evenly(numbers: NDArray[Any], most: int = MOST_LINES) -> NDArray[Any]:
    """Return at most so many of the numbers, evenly spread among them."""
    if len(numbers) <= most:
        return numbers
    chosen = np.linspace(0, len(numbers) - 1, most).round().astype(int)
    return np.asarray(numbers[chosen])


def _table(path: Path, columns: list[str] | None = None) -> pd.DataFrame:
    """Read a table; it is empty where there is no such file, or it lacks a column."""
    from pyarrow import ArrowException, parquet

    try:
        there = parquet.read_schema(path).names
        wanted = None if columns is None else [name for name in columns if name in there]
        return pd.read_parquet(path, columns=wanted)
    except (OSError, ValueError, ArrowException):
        return pd.DataFrame(columns=columns or [])
