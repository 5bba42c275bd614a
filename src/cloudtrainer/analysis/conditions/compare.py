"""`compare_conditions`: result folders in; means, ratios, tests, a figure and a report out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from cloudtrainer.analysis.conditions.doubts import doubts
from cloudtrainer.analysis.conditions.recordings import Recording, read_recordings
from cloudtrainer.analysis.readings import Quantity, quantities_of, together
from cloudtrainer.diffusion.checks.check import holm
from cloudtrainer.diffusion.contrast import Contrast, contrast
from cloudtrainer.diffusion.videos import MeanOverVideos, VideoValues, mean_over_videos


@dataclass(frozen=True)
class Pair:
    """One condition against another, in one quantity.

    Attributes
    ----------
    quantity : Quantity
    first, second : str
        Conditions; the ratio is that of the first over the second.
    contrast : Contrast
        Ratio or difference with its interval and p-value.
    adjusted_p_value : float
        The p-value adjusted for the number of pairs of this quantity (Holm 1979, Scand. J. Stat.
        6, 65); NaN where there is no test.
    """

    quantity: Quantity
    first: str
    second: str
    contrast: Contrast
    adjusted_p_value: float


@dataclass(frozen=True)
class Comparison:
    """Conditions side by side; of one condition its means.

    Attributes
    ----------
    conditions : tuple of str
        In the order given.
    recordings : tuple of Recording
        The videos of all conditions.
    quantities : tuple of Quantity
        What two conditions or more have, the leading ones first.
    means : dict of (Quantity, str) to MeanOverVideos
        The mean of each quantity and condition.
    pairs : tuple of Pair
        Each condition against each before it.
    warnings : tuple of str
        What else differs, and what too few videos cannot tell.
    """

    conditions: tuple[str, ...]
    recordings: tuple[Recording, ...]
    quantities: tuple[Quantity, ...]
    means: dict[tuple[Quantity, str], MeanOverVideos]
    pairs: tuple[Pair, ...]
    warnings: tuple[str, ...]

    def of(self, condition: str) -> list[Recording]:
        """Return the videos of a condition."""
        return [one for one in self.recordings if one.condition == condition]

    @cached_property
    def leading(self) -> tuple[Quantity, ...]:
        """The quantities of the report."""
        return tuple(one for one in self.quantities if one.leading)

    def table(self) -> pd.DataFrame:
        """Return means and pairs in one table, a row a number; ``against`` is empty for means."""
        rows: list[dict[str, object]] = []
        for quantity in self.quantities:
            for condition in self.conditions:
                mean = self.means[quantity, condition]
                rows.append(
                    {
                        "quantity": quantity.key, "condition": condition, "against": "",
                        "what": "mean over videos", "videos": mean.videos,
                        "value": mean.value, "low": mean.low, "high": mean.high,
                        "unit": quantity.unit, "standard_error": mean.standard_error,
                        "between_videos_sd": self.between(quantity, condition),
                        "weighted_by_particles": mean.by_particles, "note": mean.interval,
                    }
                )  # fmt: skip
            for pair in self.pairs:
                found = pair.contrast
                if pair.quantity == quantity:
                    rows.append(
                        {
                            "quantity": quantity.key, "condition": pair.first,
                            "against": pair.second, "what": found.kind,
                            "value": found.value, "low": found.low, "high": found.high,
                            "unit": "1" if found.kind == "ratio" else quantity.unit,
                            "p_value": found.p_value, "p_value_holm": pair.adjusted_p_value,
                            "degrees_of_freedom": found.degrees_of_freedom, "note": found.reason,
                        }
                    )  # fmt: skip
        return pd.DataFrame(rows, columns=_COLUMNS)

    def between(self, quantity: Quantity, condition: str) -> float:
        """Return the standard deviation between videos, in the quantity's own unit."""
        mean = self.means[quantity, condition]
        share = values_of(self, quantity, condition).logarithmic
        return mean.between * mean.value if share else mean.between

    def videos(self) -> pd.DataFrame:
        """Return the values of all videos, a row a number."""
        rows = [
            {
                "condition": one.condition, "video": one.name, "quantity": quantity.key,
                "value": reading.value, "low": reading.low, "high": reading.high,
                "unit": quantity.unit, "particles": reading.particles,
            }
            for quantity in self.quantities
            for one in self.recordings
            if (reading := one.readings.get(quantity)) is not None
        ]  # fmt: skip
        return pd.DataFrame(rows)


_COLUMNS = [
    "quantity", "condition", "against", "what", "videos", "value", "low", "high", "unit",
    "standard_error", "between_videos_sd", "weighted_by_particles", "p_value", "p_value_holm",
    "degrees_of_freedom", "note",
]  # fmt: skip


def compare_conditions(
    conditions: Mapping[str, Sequence[str | Path]],
    out: str | Path | None = None,
    *,
    overwrite: bool = False,
) -> Comparison:
    """Compare conditions, each with the result folders of its videos.

    The video is the replicate: tracks within it share its temperature, focus, drift and
    calibration. Means weight videos equally (`mean_over_videos`), conditions are tested by Welch's
    test over videos from three videos each (`contrast`), with Holm's adjustment for the number of
    pairs.

    Parameters
    ----------
    conditions : mapping of str to sequence of path
        Names of conditions to output folders of `analyze`, one for each video; the folder of
        several videos gives each of them. The first is the one that others are held against.
    out : path, optional
        Folder for ``report.html``, ``comparison.csv``, ``videos.csv``, ``methods.txt`` and the
        figure; it appears whole or not at all. None: nothing is written.
    overwrite : bool
        Replace the comparison that ``out`` holds.

    Raises
    ------
    ConfigError
        There are fewer than two conditions, or a folder or video is given twice.
    WorkspaceError
        A folder holds no results, or ``out`` cannot be written.
    CalibrationError
        Some videos are calibrated and others are not.
    """
    recordings = read_recordings(conditions)
    comparison = _compared(tuple(conditions), recordings)
    if out is not None:
        # The report draws, and takes Jinja2 and Matplotlib.
        from cloudtrainer.analysis.conditions.outputs import write_comparison

        write_comparison(comparison, Path(out), overwrite=overwrite)
    return comparison


def of_one_condition(recordings: list[Recording]) -> Comparison:
    """Return the means of the videos of one condition; what has two units is left out."""
    return _compared((recordings[0].condition,), recordings)


def _compared(conditions: tuple[str, ...], recordings: list[Recording]) -> Comparison:
    by_condition = {
        condition: [one.readings for one in recordings if one.condition == condition]
        for condition in conditions
    }
    found_in = quantities_of(one.readings for one in recordings)
    keys = [one.key for one in found_in]
    quantities = [
        quantity
        for quantity in found_in
        if keys.count(quantity.key) == 1
        and sum(any(quantity in video for video in by_condition[c]) for c in conditions)
        >= min(2, len(conditions))
    ]
    means, pairs = {}, []
    for quantity in quantities:
        values = {c: together(quantity, videos) for c, videos in by_condition.items()}
        for condition, one in values.items():
            means[quantity, condition] = mean_over_videos(one)
        # The first condition is what the others are held against.
        named = [(second, first) for first, second in combinations(conditions, 2)]
        found = [contrast(values[first], values[second]) for first, second in named]
        adjusted = holm(np.array([one.p_value for one in found]))
        pairs += [
            Pair(quantity, *names, one, float(p))
            for names, one, p in zip(named, found, adjusted, strict=True)
        ]
    return Comparison(
        conditions,
        tuple(recordings),
        tuple(quantities),
        means,
        tuple(pairs),
        (*doubts(recordings), *_weighted_otherwise(means)),
    )


def values_of(comparison: Comparison, quantity: Quantity, condition: str) -> VideoValues:
    """Return a quantity of the videos of a condition."""
    return together(quantity, [one.readings for one in comparison.of(condition)])


def _weighted_otherwise(means: dict[tuple[Quantity, str], MeanOverVideos]) -> list[str]:
    """Say where all particles in one pot would give a mean outside the interval."""
    return [
        f"{condition}: weighted by their particles the videos would give {mean.by_particles:.3g} "
        f"for {quantity.label}, outside the interval of the mean over videos: videos with many "
        "particles differ from those with few."
        for (quantity, condition), mean in means.items()
        if quantity.key == "D" and not mean.low <= mean.by_particles <= mean.high
        and np.isfinite(mean.low)
    ]  # fmt: skip
