"""Two conditions against each other: their ratio or difference, and a test over videos."""

from dataclasses import dataclass

import numpy as np

from cloudtrainer.diffusion.resample import NORMAL_95
from cloudtrainer.diffusion.videos import FEWEST_VIDEOS, VideoValues


@dataclass(frozen=True)
class Contrast:
    """One condition against another.

    Attributes
    ----------
    kind : str
        ``ratio`` (first over second, of means of logarithms) or ``difference`` (first less second).
    value, low, high : float
        With its 95% interval, not adjusted for several comparisons; NaN where there is none.
    p_value : float
        Of the test that both conditions have the same mean; NaN where none is made.
    degrees_of_freedom : float
        Of the test.
    reason : str
        Why there is no ratio, test or interval; otherwise empty.
    """

    kind: str
    value: float
    low: float
    high: float
    p_value: float
    degrees_of_freedom: float
    reason: str = ""


def contrast(first: VideoValues, second: VideoValues) -> Contrast:
    """Compare two conditions, with videos as replicates.

    Notes
    -----
    Welch's test, of logarithms where all values are positive and no interval of a video reaches 0.
    Otherwise a ratio could be of any size or sign: the difference is given in its place, and of a
    quantity that is positive by nature ``reason`` says why. Where the interval of a video is open
    at one end there is no interval and no test.
    The p-value is the larger of it and of a normal test with the uncertainty that the particles of
    the videos leave by themselves, and the interval the wider of both, so that few videos that
    agree by chance prove nothing; an interval excludes equality just where p < 0.05. It is made
    from three videos in each condition: fewer say too little of how videos differ. Tracks are never
    replicates here: those of one video share its temperature, focus, drift and calibration.
    """
    logarithmic = first.logarithmic and second.logarithmic
    kind = "ratio" if logarithmic else "difference"
    nan = float("nan")
    if not len(first) or not len(second):
        return Contrast(kind, nan, nan, nan, nan, nan, "a condition has no video with an estimate")
    no_ratio = _why_no_ratio(first, second)
    sides = [np.log(one.value) if logarithmic else one.value for one in (first, second)]
    distance = float(sides[0].mean() - sides[1].mean())
    shown = np.exp if logarithmic else np.float64
    fewest = min(len(first), len(second))
    if fewest < 2:
        reason = (
            "one video of a condition cannot tell how videos differ: no interval and no p-value; "
            "film three or more of each"
        )
        return Contrast(
            kind, float(shown(distance)), nan, nan, nan, nan, _together(no_ratio, reason)
        )
    if first.any_open or second.any_open:
        reason = "the 95% interval of a video is open at one end: no interval and no p-value"
        return Contrast(
            kind, float(shown(distance)), nan, nan, nan, nan, _together(no_ratio, reason)
        )
    of_videos = [float(side.var(ddof=1)) / len(side) for side in sides]
    of_particles = sum(
        float(one.particle_variance(logarithmic=logarithmic).mean()) / len(one)
        for one in (first, second)
    )
    freedom = _welch_freedom(of_videos, [len(side) for side in sides])
    p_value, half = _welch(distance, sum(of_videos), freedom, of_particles)
    low, high = float(shown(distance - half)), float(shown(distance + half))
    reason = ""
    if fewest < FEWEST_VIDEOS:
        p_value = nan
        reason = (
            "a test between conditions needs three videos of each: two tell next to nothing of how "
            "videos differ"
        )
    elif half == 0:
        p_value = nan
        reason = "the videos of each condition do not differ at all: are they copies?"
    reason = _together(no_ratio, reason)
    return Contrast(kind, float(shown(distance)), low, high, p_value, freedom, reason)


def _why_no_ratio(first: VideoValues, second: VideoValues) -> str:
    """Say why a quantity that is positive by nature has no ratio; nothing where it has one."""
    if not (first.positive and second.positive) or (first.logarithmic and second.logarithmic):
        return ""
    doubtful = sum(int((np.fmin(one.value, one.low) <= 0).sum()) for one in (first, second))
    videos = "1 video" if doubtful == 1 else f"{doubtful} videos"
    return (
        f"no ratio, for in {videos} the value is not above 0 or its 95% interval reaches 0; this "
        "is the difference"
    )


def _together(*reasons: str) -> str:
    return "; ".join(reason for reason in reasons if reason)


def _welch_freedom(variances: list[float], numbers: list[int]) -> float:
    """Return the degrees of freedom of Welch and Satterthwaite."""
    total = sum(variances)
    if total == 0:
        return float(min(numbers) - 1)
    parts = sum(
        (variance / total) ** 2 / (number - 1)
        for variance, number in zip(variances, numbers, strict=True)
    )
    return 1 / parts


def _welch(
    distance: float, of_videos: float, freedom: float, of_particles: float
) -> tuple[float, float]:
    """Return the p-value and half of the interval: the more cautious of videos and particles."""
    from scipy import stats

    quantile = float(stats.t.ppf(0.975, freedom))
    half = max(quantile * np.sqrt(of_videos), NORMAL_95 * np.sqrt(of_particles))
    p_values = [0.0]
    if of_videos > 0:
        p_values.append(2 * float(stats.t.sf(abs(distance) / np.sqrt(of_videos), freedom)))
    if of_particles > 0:
        p_values.append(2 * float(stats.norm.sf(abs(distance) / np.sqrt(of_particles))))
    return max(p_values), float(half)
