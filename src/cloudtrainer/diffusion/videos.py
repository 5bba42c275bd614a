"""Means over videos: the video is the replicate, because its tracks share its faults."""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.resample import NORMAL_95, student_quantile
from cloudtrainer.diffusion.tracks import FloatArray

# From so many videos on their scatter is told apart from that of the particles.
FEWEST_VIDEOS = 3


@dataclass(frozen=True)
class VideoValues:
    """One quantity in several videos.

    Attributes
    ----------
    value, low, high : ndarray of float64, shape (videos,)
        The estimate of each video with its 95% interval over particles. Videos without a value are
        not here; an interval that is not known is NaN, and counts as exact. One with a single
        finite end is open.
    weight : ndarray of float64, shape (videos,)
        What each rests on, such as its number of particles.
    positive : bool
        Whether the quantity is positive by nature, as D is: intervals are then made in logarithms,
        unless that of a video reaches 0.
    lowest, highest : float
        Where an interval ends at the latest.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray
    weight: FloatArray
    positive: bool = True
    lowest: float = -np.inf
    highest: float = np.inf

    def __len__(self) -> int:
        return len(self.value)

    @property
    def logarithmic(self) -> bool:
        """Whether intervals are made in logarithms."""
        return self.positive and bool(len(self)) and bool((np.fmin(self.value, self.low) > 0).all())

    @property
    def any_open(self) -> bool:
        """Whether the interval of a video has one end only: its particles may leave any error."""
        return bool((np.isfinite(self.low) != np.isfinite(self.high)).any())

    def particle_variance(self, *, logarithmic: bool) -> FloatArray:
        """Return the variance of each value that the particles leave, by its own interval.

        0 where the interval is not known or open: see `any_open`.
        """
        known = np.isfinite(self.low) & np.isfinite(self.high)
        low, high = np.where(known, (self.low, self.high), 1.0)
        width = np.log(high / low) if logarithmic else high - low
        return np.asarray((width / (2 * NORMAL_95)) ** 2)


@dataclass(frozen=True)
class MeanOverVideos:
    """A mean over videos with its 95% interval.

    Attributes
    ----------
    value, low, high : float
        The mean, each video with equal weight, and its 95% interval; NaN where there is none.
    standard_error : float
        Of the mean, in its unit, from the scatter between videos, and no less than the particles
        leave; of one video, by its own interval.
    between : float
        Standard deviation between videos beyond what their particles explain, as a share of the
        mean where intervals are made in logarithms, otherwise in the quantity's unit; NaN for
        fewer than three videos.
    by_particles : float
        The mean with the videos' weights: what all tracks in one pot would say.
    videos : int
    interval : str
        How the interval was made.
    """

    value: float
    low: float
    high: float
    standard_error: float
    between: float
    by_particles: float
    videos: int
    interval: str


def mean_over_videos(videos: VideoValues) -> MeanOverVideos:
    """Return the mean over videos, each with equal weight, with its 95% interval.

    Notes
    -----
    A bootstrap over videos, and then over the particles of each, in closed form. Over videos its
    standard error is s / sqrt(k), corrected by sqrt(k / (k - 1)) for the few that there are, and
    Student's t with k - 1 degrees of freedom takes the place of the normal quantile. Over the
    particles of the k videos it is that of their own intervals. The wider interval is given: the
    scatter between videos holds that of their particles already, so that drawing both at once
    would count it twice (Davison & Hinkley 1997, Bootstrap Methods and Their Application, section
    3.8), but a few videos that agree by chance do not make the particles more certain. Of a
    positive quantity the interval is symmetric in the logarithm.

    The interval of a single video is its own: it holds nothing of how videos differ. Where that of
    a video is open at one end, the mean has none.
    """
    number = len(videos)
    nan = float("nan")
    if number == 0:
        return MeanOverVideos(nan, nan, nan, nan, nan, nan, 0, "no video gave an estimate")
    value = float(videos.value.mean())
    by_particles = value
    if videos.weight.sum() > 0:
        by_particles = float(np.average(videos.value, weights=videos.weight))
    logarithmic = videos.logarithmic
    # In logarithms errors are shares of the mean.
    unit = value if logarithmic else 1.0
    particles = float(videos.particle_variance(logarithmic=logarithmic).mean())
    if number == 1:
        return MeanOverVideos(
            value,
            float(videos.low[0]),
            float(videos.high[0]),
            float(np.sqrt(particles)) * unit,
            nan,
            by_particles,
            1,
            "over the particles of the one video",
        )
    spread = float(videos.value.std(ddof=1)) / unit
    of_videos, of_particles = spread / np.sqrt(number), float(np.sqrt(particles / number))
    half = max(student_quantile(number - 1) * of_videos, NORMAL_95 * of_particles)
    low, high = (value - half, value + half)
    if logarithmic:
        low, high = value * float(np.exp(-half)), value * float(np.exp(half))
    between = float(np.sqrt(max(spread**2 - particles, 0.0))) if number >= FEWEST_VIDEOS else nan
    if videos.any_open:
        return MeanOverVideos(
            value, nan, nan, nan, nan, by_particles, number,
            "none: that of a video is open at one end",
        )  # fmt: skip
    return MeanOverVideos(
        value,
        max(low, videos.lowest),
        min(high, videos.highest),
        max(of_videos, of_particles) * unit,
        between,
        by_particles,
        number,
        f"over {number} videos, then their particles, with Student's t",
    )
