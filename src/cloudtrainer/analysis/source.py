"""What is analysed: a video or a table of tracks, its calibration, and the part that is used."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.analysis.ranges import check_ranges
from cloudtrainer.annotations import checked_tracks, read_tracks
from cloudtrainer.errors import CalibrationError, LabelError, VideoError
from cloudtrainer.tracking import FrameClock, number_frames
from cloudtrainer.video import Video, check_frames
from cloudtrainer.video.calibration import UM_PER_INCH, is_print_resolution

# Frames a second that cameras and movies have, and intervals in seconds seldom are.
_FRAME_RATES = (24.0, 25.0, 29.97, 30.0, 50.0, 59.94, 60.0, 100.0, 120.0)
TABLE_ENDINGS = {".csv", ".parquet", ".pq", ".xml"}


@dataclass(frozen=True)
class Given:
    """What the user says about the videos; None leaves it to the file.

    Attributes
    ----------
    pixel_size_um : float or None
        Pixel size, um.
    frame_interval_s : float or None
        Time between frames, s.
    exposure_s : float or None
        Exposure of a frame, s; None: unknown.
    frames : (int, int or None) or None
        First frame, and the first one after the last (None: to the end).
    region : (int, int, int, int) or None
        x, y, width and height of the part that is used, px.
    channel, plane : int or None
        Channel and Z-plane of files that have several.
    """

    pixel_size_um: float | None = None
    frame_interval_s: float | None = None
    exposure_s: float | None = None
    frames: tuple[int, int | None] | None = None
    region: tuple[int, int, int, int] | None = None
    channel: int | None = None
    plane: int | None = None

    def __post_init__(self) -> None:
        check_ranges(self, "pixel_size_um", "frame_interval_s", "exposure_s")


@dataclass(frozen=True)
class Source:
    """One video or table of tracks, ready to be analysed.

    Attributes
    ----------
    name : str
        Name of the file, for people.
    video : Video or None
        The part of the video that is used; None where a table of tracks was given.
    tracks : DataFrame or None
        The tracks, where they were given.
    pixel_size_um, frame_interval_s, exposure_s : float or None
        The calibration; None where it is unknown.
    calibration_source : str
        Where the calibration comes from.
    sha256 : str
        Of the file.
    shape : tuple of int or None
        Frames, height and width of what is analysed.
    origin : (int, int, int)
        Frame, x and y at which the part begins in the whole video.
    numbers : ndarray of int64, shape (T,), or None
        Number of each frame in intervals from the whole video's first, where frames are missing
        from it; None: they follow each other.
    warnings : tuple of str
        What the user should know about the input.
    """

    name: str
    video: Video | None
    tracks: pd.DataFrame | None
    pixel_size_um: float | None
    frame_interval_s: float | None
    exposure_s: float | None
    calibration_source: str
    sha256: str
    shape: tuple[int, ...] | None
    origin: tuple[int, int, int] = (0, 0, 0)
    numbers: NDArray[np.int64] | None = None
    warnings: tuple[str, ...] = ()

    @property
    def calibrated(self) -> bool:
        """Whether both pixel size and frame interval are known."""
        return self.pixel_size_um is not None and self.frame_interval_s is not None

    @property
    def first_number(self) -> int:
        """Number of the first frame, counted in intervals from the whole video's first."""
        return self.origin[0] if self.numbers is None else int(self.numbers[0])


def open_source(thing: Video | pd.DataFrame | NDArray[Any] | str | Path, given: Given) -> Source:
    """Open a video or a table of tracks, and check that it can be analysed.

    Raises
    ------
    VideoError, LabelError
        The file is missing or not usable.
    CalibrationError
        The exposure is longer than the frame interval.
    """
    if isinstance(thing, pd.DataFrame):
        source = _from_tracks("table of tracks", checked_tracks(thing), "", given)
    elif isinstance(thing, str | Path) and Path(thing).suffix.lower() in TABLE_ENDINGS:
        path = Path(thing)
        tracks = read_tracks(path, given.pixel_size_um)
        source = _from_tracks(path.name, tracks, _file_hash(path), given)
    else:
        source = _from_video(thing, given)
    if (
        source.exposure_s is not None
        and source.frame_interval_s is not None
        and source.exposure_s > source.frame_interval_s * (1 + 1e-9)
    ):
        raise CalibrationError(
            f"{source.name}: the exposure of {source.exposure_s:g} s is longer than the frame "
            f"interval of {source.frame_interval_s:g} s; check both"
        )
    return replace(
        source,
        warnings=(*source.warnings, *_missing_calibration(source), *_odd_calibration(source)),
    )


def _from_video(thing: Video | NDArray[Any] | str | Path, given: Given) -> Source:
    whole = thing
    if not isinstance(whole, Video):
        whole = Video(
            whole,
            channel=given.channel,
            plane=given.plane,
            pixel_size_um=given.pixel_size_um,
            frame_interval_s=given.frame_interval_s,
        )
    video = whole
    if given.frames is not None or given.region is not None:
        part = None
        if given.frames is not None:
            first, after = given.frames
            part = (first, len(whole) if after is None else after)
        video = whole.crop(frames=part, region=given.region)
    check_frames(video)
    hint = whole.calibration_hint
    pixel = given.pixel_size_um or whole.pixel_size_um
    first = given.frames[0] if given.frames else 0
    clock = _clock(whole, first, first + len(video), given.frame_interval_s)
    interval = given.frame_interval_s or (clock.interval_s if clock else whole.frame_interval_s)
    known = pixel is not None and interval is not None
    said = given.pixel_size_um is not None or given.frame_interval_s is not None
    return Source(
        name=whole.name,
        video=video,
        tracks=None,
        pixel_size_um=pixel,
        frame_interval_s=interval,
        exposure_s=given.exposure_s,
        calibration_source="given" if said else whole.calibration_source,
        sha256=whole.sha256,
        shape=video.shape,
        origin=(
            first,
            given.region[0] if given.region else 0,
            given.region[1] if given.region else 0,
        ),
        numbers=clock.numbers if clock and clock.numbers[-1] - first >= len(video) else None,
        warnings=((hint,) if hint and not known else ()) + (clock.warnings if clock else ()),
    )


def _clock(whole: Video, first: int, after: int, interval_s: float | None) -> FrameClock | None:
    """Return when the frames of a part were taken, where the file says it and nobody otherwise."""
    times = whole.timestamps_s
    if times is None or len(times) < 2:
        return None
    clock = number_frames(times)
    if interval_s is not None and abs(interval_s - clock.interval_s) > 0.01 * interval_s:
        return None
    if clock.regular:
        return clock.part(first, after)
    return number_frames(times[first:after]) if after - first > 1 else None


def _from_tracks(name: str, tracks: pd.DataFrame, sha256: str, given: Given) -> Source:
    if given.region is not None:
        raise VideoError(f"{name}: a region can be cut from a video, not from a table of tracks")
    if given.frames is not None:
        first, after = given.frames
        chosen = tracks["frame"] >= first
        if after is not None:
            chosen &= tracks["frame"] < after
        if len(tracks) and not (first >= 0 and chosen.any()):
            raise LabelError(
                f"{name}: frames {first}:{'' if after is None else after} hold no track; choose "
                f"within {tracks['frame'].min()}:{tracks['frame'].max() + 1}"
            )
        tracks = tracks[chosen].reset_index(drop=True)
    known = given.pixel_size_um is not None and given.frame_interval_s is not None
    return Source(
        name=name,
        video=None,
        tracks=tracks,
        pixel_size_um=given.pixel_size_um,
        frame_interval_s=given.frame_interval_s,
        exposure_s=given.exposure_s,
        calibration_source="given" if known else "unknown",
        sha256=sha256,
        shape=None,
    )


def _missing_calibration(source: Source) -> list[str]:
    missing = []
    if source.pixel_size_um is None:
        missing.append("pixel size (--pixel-size-um)")
    if source.frame_interval_s is None:
        missing.append("frame interval (--frame-interval-s)")
    if not missing:
        return []
    unused = "" if source.exposure_s is None else " The exposure is not used."
    return [
        f"The {' and the '.join(missing)} "
        f"{'is' if len(missing) == 1 else 'are'} unknown: results are in pixels and frames.{unused}"
    ]


def _odd_calibration(source: Source) -> list[str]:
    """Ask whether numbers that look like something else are the calibration."""
    said = []
    pixel, interval = source.pixel_size_um, source.frame_interval_s
    if pixel is not None and is_print_resolution(UM_PER_INCH / pixel):
        said.append(
            f"The pixel size of {pixel:.5g} um is that of a print at {UM_PER_INCH / pixel:.0f} "
            "dpi, which programs write without any calibration: check it with a stage micrometer."
        )
    if interval is not None and any(np.isclose(interval, rate) for rate in _FRAME_RATES):
        said.append(
            f"The frame interval is {interval:g} s, which would be a common frame rate: if there "
            f"were {interval:g} frames a second, give --frame-interval-s {1 / interval:.4g}."
        )
    return said


def in_video(table: pd.DataFrame) -> pd.DataFrame:
    """Return positions at the frames of the video, where they are numbered past missing ones."""
    return table.assign(frame=table["video_frame"]) if "video_frame" in table else table


def _file_hash(path: Path) -> str:
    import hashlib

    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
