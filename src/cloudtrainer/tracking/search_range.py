"""How far to look for a particle in the next frame, measured from the steps themselves."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.spatial import cKDTree

from cloudtrainer.arguments import whole_number
from cloudtrainer.tracking.steps import StepFit, fit_steps
from cloudtrainer.tracking.tables import checked_positions

# A Gaussian step is cut off at 4.8 standard deviations: D loses 0.012%, and where the measured
# standard deviation is 10% too small still only 0.09% (4.3 standard deviations).
RANGE_IN_SD = 4.8
FALLBACK_PX = 10.0
SMALLEST_PX = 1.0
_FEWEST_STEPS = 30
_LEAST_SEEN_AGAIN = 0.5
_FRAMES = 250
_SOURCES = 40_000
# Less of D than this is not told.
_WORTH_SAYING = 0.01


@dataclass(frozen=True)
class SearchRange:
    """A suggested search range and what it rests on.

    Attributes
    ----------
    value_px
        The range, pixels.
    step_sd_px
        Standard deviation per axis of the steps of moving particles from one frame to the next,
        pixels: localisation error included, mean flow not. Where particles differ in speed it is
        that of the one Gaussian which would lose the same share of D at this range. NaN when too
        few steps were found to measure it.
    flow_px
        Mean step along (x, y), pixels: the drift or flow common to the particles.
    nearest_neighbour_px
        Median distance from a detection to the nearest other one in its frame, pixels; infinite
        when no frame holds two.
    reason
        One sentence: where the value comes from.
    warnings
        Sentences: what may go wrong with it.
    """

    value_px: float
    step_sd_px: float
    flow_px: tuple[float, float]
    nearest_neighbour_px: float
    reason: str
    warnings: tuple[str, ...]


def suggest_search_range(detections: pd.DataFrame, memory: int = 3) -> SearchRange:
    """Suggest a search range that does not cut off steps, from detections before any linking.

    The distances of all pairs of detections in successive frames are those of particles from
    themselves plus those of particles from strangers; what strangers contribute is known from the
    pairs within one frame (particle image correlation spectroscopy: Semrau & Schmidt 2007,
    Biophys. J. 92:613). What exceeds it is fitted by up to three Gaussian steps (stuck, slow,
    fast), so crowding, false detections and blinking do not bias it as they do a fit to linked
    tracks. The range is 4.8 standard deviations per axis of the steps, plus the mean flow.

    Parameters
    ----------
    detections
        Table with ``frame, x, y`` (pixels).
    memory
        The memory that linking will use, frames.

    Returns
    -------
    SearchRange

    Raises
    ------
    LabelError
        When the table lacks a column or holds something that is not a finite number.
    ConfigError
        When the memory is no whole number of 0 or more.
    """
    memory = whole_number("memory", memory, "frames")
    return range_from_frames(_sampled(checked_positions(detections)), memory)


def nearest_neighbour_px(detections: pd.DataFrame) -> float:
    """Return the median distance from a detection to the nearest other one in its frame, pixels.

    Parameters
    ----------
    detections
        Table with ``frame, x, y`` (pixels).

    Returns
    -------
    float
        Infinite when no frame holds two.

    Raises
    ------
    LabelError
        When the table lacks a column or holds something that is not a finite number.
    """
    return _median_neighbour_px(_sampled(checked_positions(detections)))


def search_range_doubts(value_px: float, measured: SearchRange, memory: int = 3) -> tuple[str, ...]:
    """Say what may go wrong with a search range that was chosen by hand.

    Parameters
    ----------
    value_px
        The range, pixels.
    measured
        What `suggest_search_range` found in the same detections; of its own value, its own
        warnings are returned.
    memory
        The memory that linking will use, frames.

    Returns
    -------
    tuple of str
        Sentences; none where the range neither cuts off steps nor reaches to the neighbours.
    """
    if value_px == measured.value_px:
        return measured.warnings
    said = []
    reach = max(value_px - float(np.hypot(*measured.flow_px)), 0.0)
    if np.isfinite(measured.step_sd_px):
        lost = _lost_share(reach, measured.step_sd_px)
        if lost > _WORTH_SAYING:
            said.append(
                f"{value_px:.1f} px cuts off steps, whose standard deviation is "
                f"{measured.step_sd_px:.2f} px per axis: this alone takes about "
                f"{100 * lost:.0f}% of D."
            )
    neighbour = measured.nearest_neighbour_px
    if value_px > neighbour / 2:
        likely = "likely" if value_px > neighbour else "possible"
        gaps = f", the more so with a memory of {memory} frames" if memory > 0 else ""
        said.append(
            f"{value_px:.1f} px is {value_px / neighbour:.1f} times the distance to the nearest "
            f"neighbour ({neighbour:.1f} px, median): swaps between particles are {likely}{gaps}."
        )
    return tuple(said)


def range_from_frames(groups: list[tuple[int, NDArray[np.float64]]], memory: int) -> SearchRange:
    """Suggest a search range from the positions (n, 2) of single frames, with their numbers."""
    neighbour = _median_neighbour_px(groups)
    fit = fit_steps(_successive(groups), neighbour)
    if fit is None or fit.steps < _FEWEST_STEPS:
        found = 0 if fit is None else round(fit.steps)
        return SearchRange(
            value_px=FALLBACK_PX,
            step_sd_px=float("nan"),
            flow_px=(0.0, 0.0),
            nearest_neighbour_px=neighbour,
            reason=f"only about {found} steps were found, so {FALLBACK_PX:g} px was taken.",
            warnings=(
                f"The search range of {FALLBACK_PX:g} px is a guess: only about {found} steps "
                f"could be measured and {_FEWEST_STEPS} are needed; give search_range.",
            ),
        )
    reach = _reach_px(fit)
    sd = reach / RANGE_IN_SD
    warnings = []
    if fit.seen_again < _LEAST_SEEN_AGAIN:
        warnings.append(
            f"Only {100 * fit.seen_again:.0f}% of the detections are seen again in the next frame: "
            "most are false, blink, or move too far between frames to be measured."
        )
    speed = float(np.hypot(*fit.flow_px))
    wanted = max(reach + speed, SMALLEST_PX)
    value = min(wanted, neighbour)
    told = f"{reach:.1f}" != f"{reach + speed:.1f}" or speed > 0.1 * sd
    reason = (
        f"steps have a standard deviation of {sd:.2f} px per axis"
        + (f" around a mean flow of {speed:.2f} px a frame" if told else "")
        + f"; {RANGE_IN_SD:g} standard deviations "
        + (f"and the flow are {reach + speed:.1f} px." if told else f"are {reach:.1f} px.")
    )
    return SearchRange(
        value_px=float(value),
        step_sd_px=float(sd),
        flow_px=fit.flow_px,
        nearest_neighbour_px=neighbour,
        reason=reason[0].upper() + reason[1:],
        warnings=(*warnings, *_crowding_warnings(wanted, value, sd, neighbour, memory)),
    )


def sampled_frames(frames: int, detections: int) -> NDArray[np.int64]:
    """Return which of so many frames to measure steps in: runs of them where there are many."""
    keep = int(min(_FRAMES, max(20, _SOURCES * frames / max(detections, 1))))
    if frames <= keep:
        return np.arange(frames, dtype=np.int64)
    # Runs of ten frames spread over the video see slow changes and still give steps.
    firsts = np.linspace(0, frames - 10, max(keep // 10, 1)).astype(np.int64)
    return np.unique(firsts[:, None] + np.arange(10))


def _sampled(table: pd.DataFrame) -> list[tuple[int, NDArray[np.float64]]]:
    """Split a table into its frames, or the sampled ones of them."""
    if table.empty:
        return []
    table = table.sort_values("frame", kind="stable")
    numbers, starts = np.unique(table["frame"].to_numpy(), return_index=True)
    groups = np.split(table[["x", "y"]].to_numpy(), starts[1:])
    chosen = sampled_frames(len(numbers), len(table))
    return [(int(numbers[k]), groups[k]) for k in chosen]


def _successive(
    groups: list[tuple[int, NDArray[np.float64]]],
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    return [(before, after) for (t, before), (u, after) in pairwise(groups) if u == t + 1]


def _median_neighbour_px(groups: list[tuple[int, NDArray[np.float64]]]) -> float:
    distances = [np.asarray(cKDTree(xy).query(xy, k=2)[0])[:, 1] for _, xy in groups if len(xy) > 1]
    return float(np.median(np.concatenate(distances))) if distances else float("inf")


def _reach_px(fit: StepFit) -> float:
    """Find the range at which the fitted steps lose what one Gaussian loses at 4.8 sd.

    The loss is that of D, 1 - <r^2 | r < R> / <r^2>: u exp(-u) / (1 - exp(-u)) for one Gaussian
    with u = R^2 / (2 sd^2).
    """
    sd, share = np.array(fit.sd_px), np.array(fit.share)

    def loss(reach: float) -> float:
        u = reach**2 / (2 * sd**2)
        inside = np.sum(share * -np.expm1(-u))
        second_moment = np.sum(share * sd**2 * (1 - (1 + u) * np.exp(-u)))
        return float(1 - second_moment / inside / np.sum(share * sd**2))

    u = RANGE_IN_SD**2 / 2
    allowed = u * np.exp(-u) / -np.expm1(-u)
    low, high = RANGE_IN_SD * sd.min() / 2, RANGE_IN_SD * sd.max() * 1.5
    return float(brentq(lambda reach: loss(reach) - allowed, low, high, xtol=1e-4))


def _lost_share(reach: float, sd: float) -> float:
    """Return the share of D that Gaussian steps lose when those beyond a reach are cut off."""
    u = reach**2 / (2 * sd**2)
    return float(u * np.exp(-u) / -np.expm1(-u)) if u > 0 else 1.0


def _crowding_warnings(
    wanted: float, value: float, sd: float, neighbour: float, memory: int
) -> tuple[str, ...]:
    if wanted <= neighbour / 2:
        return ()
    crowded = (
        f"Particles are crowded for their speed: a step has a standard deviation of {sd:.2f} px "
        f"per axis and the nearest neighbour is {neighbour:.1f} px away (median), so swaps "
        "between particles are likely"
    )
    if memory > 0:
        crowded += f", the more so with a memory of {memory} frames"
    crowded += "; record faster or dilute."
    if value == wanted:
        return (crowded,)
    lost = _lost_share(value, sd)
    return (
        crowded,
        f"The search range was capped at the nearest-neighbour distance, {value:.1f} px, instead "
        f"of {wanted:.1f} px: this alone takes about {100 * lost:.1f}% of D.",
    )
