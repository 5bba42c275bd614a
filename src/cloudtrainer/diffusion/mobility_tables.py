"""The tables of a population's mobility: effective diffusivities, fractions, the fastest tenth."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from cloudtrainer.diffusion.mobility_fastest import Fastest
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement
from cloudtrainer.diffusion.stokes_einstein import StokesEinstein
from cloudtrainer.diffusion.tracks import FloatArray, TrackArrays
from cloudtrainer.diffusion.transport import CLASSES
from cloudtrainer.diffusion.weighting import (
    TENTH,
    Population,
    highest_tenth,
    percentiles,
    weighted_median,
)

_CHANCE_REPEATS = 50


def effective_row(
    lag: int,
    time_s: float,
    values: FloatArray,
    people: dict[str, Population],
    free: StokesEinstein | None,
    alike: FloatArray,
) -> dict[str, float]:
    """Return a row of `Mobility.effective`; ``alike`` is what `all_alike` gives at the lag."""
    row: dict[str, float] = {"time_scale_s": time_s, "lag_frames": lag}
    row["particles"] = int(np.isfinite(values).sum())
    replicates = {}
    for weighting, population in people.items():
        mean, replicates[weighting] = population.mean(values)
        row |= _named(f"mean_by_{weighting}", mean)
    by_particle = np.float64(row["mean_by_particle"])
    if row["mean_by_particle_low"] <= 0:
        # What may be 0 has no ratio.
        by_particle = np.float64("nan")
        replicates["particle"] = np.full_like(replicates["particle"], np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Rounded, so that tracks of equal length give 1 and not nearly 1.
        ratio = np.round(row["mean_by_frame"] / by_particle, 12)
        drawn = np.round(replicates["frame"] / replicates["particle"], 12)
    row |= _named("frame_over_particle", (float(ratio), *percentiles(drawn)))
    for weighting, population in people.items():
        row |= _named(f"median_by_{weighting}", population.median(values))
        row[f"median_by_{weighting}_by_chance"] = row[f"mean_by_{weighting}"] * _by_chance(
            weighted_median, alike, population
        )
    if free is not None:
        row["free_um2_per_s"] = free.value
        for weighting in people:
            over = tuple(value / free.value for value in ends(row, f"mean_by_{weighting}"))
            row |= _named(f"over_free_by_{weighting}", over)
    return row


def fractions_table(found: pd.DataFrame, people: dict[str, Population]) -> pd.DataFrame:
    """Return `Mobility.fractions`."""
    rows = []
    for name in CLASSES:
        chosen = (found["class"] == name).to_numpy()
        row: dict[str, object] = {
            "class": name,
            "particles": int(chosen.sum()),
            "frames": int(found["frames"].to_numpy()[chosen].sum()),
        }
        shares = {}
        for weighting, population in people.items():
            shares[weighting] = population.share(chosen)
            row |= _named(f"by_{weighting}", shares[weighting][0])
        difference = shares["frame"][0][0] - shares["particle"][0][0]
        # Of a class that holds none, or all, no replicate differs: it has no interval.
        drawn = shares["frame"][1] - shares["particle"][1]
        known = chosen.any() and not chosen.all()
        interval = percentiles(drawn) if known else (np.nan, np.nan)
        row |= _named("difference", (difference, *interval))
        row["by_slope_alone"] = float((found["class_by_slope"] == name).mean())
        rows.append(row)
    return pd.DataFrame(rows)


def fastest_table(
    values: FloatArray,
    people: dict[str, Population],
    told: dict[str, Fastest],
    free: StokesEinstein | None,
    alike: FloatArray,
) -> pd.DataFrame:
    """Return `Mobility.fastest`; ``alike`` is what `all_alike` gives at the lag."""
    rows = []
    for weighting, population in people.items():
        (mean, _, _), _ = population.mean(values)
        one = told[weighting]
        interval = (one.value, one.low, one.high)
        observed = highest_tenth(values, population.weight)
        row: dict[str, object] = {
            "weighting": weighting,
            "particles": int(np.isfinite(values).sum()),
            **_named("without_noise", interval),
            "without_noise_over_mean": one.over_mean,
            "why_none": one.reason,
            "as_observed": observed,
            "as_observed_over_mean": observed / mean if mean > 0 else np.nan,
            "as_observed_over_mean_by_chance": _by_chance(highest_tenth, alike, population),
        }
        if free is not None:
            row |= _named("without_noise_over_free", tuple(end / free.value for end in interval))
            row["as_observed_over_free"] = observed / free.value
        rows.append(row)
    return pd.DataFrame(rows)


def all_alike(
    arrays: TrackArrays, msd: MeanSquaredDisplacement, noise: dict[int, float], seed: int
) -> dict[int, FloatArray]:
    """Return MSDs less offset, in units of their mean, of Brownian particles with one D.

    Each has the frames of a track, and the localisation error.

    Parameters
    ----------
    arrays : TrackArrays
        The tracks.
    msd : MeanSquaredDisplacement
        Of the same tracks.
    noise : dict of int to float
        For each lag the variance of the error of a position, per axis, over that of a step of one
        frame; NaN where D is not known, and so is the result.
    seed : int
        Of what is drawn.

    Returns
    -------
    dict of int to ndarray, shape (repeats, tracks)
        For each lag.
    """
    number = np.repeat(np.arange(len(arrays.particle)), arrays.lengths)
    first = np.repeat(arrays.frame[arrays.start[:-1]], arrays.lengths)
    since = arrays.frame - first
    track = np.cumsum(arrays.lengths > 1) - 1
    gap = np.maximum(np.diff(arrays.frame, prepend=0), 0).astype(np.float64)
    gap[arrays.start[:-1]] = 0
    pairs = {}
    for lag in noise:
        key = number * (int(since.max(initial=0)) + lag + 1) + since
        later = np.minimum(np.searchsorted(key, key + lag), max(len(key) - 1, 0))
        pair = np.flatnonzero(key[later] == key + lag)
        pairs[lag] = (pair, later[pair], track[number[pair]])
    generator = np.random.default_rng(seed)
    drawn = {lag: np.full((_CHANCE_REPEATS, len(msd.particle)), np.nan) for lag in noise}
    for repeat in range(_CHANCE_REPEATS):
        path = np.cumsum(generator.normal(size=(len(gap), 2)) * np.sqrt(gap)[:, None], axis=0)
        error = generator.normal(size=(len(gap), 2))
        for lag, (before, after, owner) in pairs.items():
            place = path + np.sqrt(noise[lag]) * error
            square = ((place[after] - place[before]) ** 2).sum(axis=1)
            sums = np.bincount(owner, square, minlength=len(msd.particle))
            held = np.bincount(owner, minlength=len(msd.particle))
            there = held > 0
            mean = sums[there] / held[there] - 4 * noise[lag]
            drawn[lag][repeat, there] = mean / (2 * lag)
    return drawn


def _by_chance(
    of: Callable[[FloatArray, FloatArray], float], alike: FloatArray, population: Population
) -> float:
    """Return what a measure of particles that are all alike is over their mean."""
    there = np.isfinite(alike[0])
    if not there.any():
        return float("nan")
    weight = population.weight[there]
    ratios = [
        of(values[there], weight) / np.average(values[there], weights=weight) for values in alike
    ]
    return float(np.mean(ratios))


def in_fastest_tenth(values: FloatArray) -> NDArray[np.bool_]:
    """Return which particles are the fastest tenth, each of equal weight."""
    known = np.flatnonzero(np.isfinite(values))
    chosen = np.zeros(len(values), dtype=bool)
    chosen[known[np.argsort(-values[known])][: max(round(TENTH * len(known)), 1)]] = True
    return chosen


def long_table(
    effective: pd.DataFrame, fractions: pd.DataFrame, fastest: pd.DataFrame
) -> pd.DataFrame:
    """Return the three tables as one, a row a number."""
    names = ["quantity", "time_scale_s", "class", "weighting", "value", "low", "high", "unit"]
    rows: list[tuple[object, ...]] = []

    def add(what: str, row: Mapping[Any, Any], weighting: str, value: str, unit: str) -> None:
        time, kind = row.get("time_scale_s", np.nan), row.get("class", "")
        rows.append((what, time, kind, weighting, *ends(row, value), unit))

    for row in effective.to_dict("records"):
        for weighting in ("particle", "frame"):
            for mean in ("mean", "median"):
                what = f"effective diffusivity, {mean}"
                add(what, row, weighting, f"{mean}_by_{weighting}", "um^2/s")
            what = "effective diffusivity, median of particles that are all alike"
            add(what, row, weighting, f"median_by_{weighting}_by_chance", "um^2/s")
            if "free_um2_per_s" in row:
                what = "effective over free diffusivity, mean"
                add(what, row, weighting, f"over_free_by_{weighting}", "1")
        add("effective diffusivity, mean", row, "frame / particle", "frame_over_particle", "1")
    for row in fractions.to_dict("records"):
        for weighting in ("particle", "frame"):
            add("fraction", row, weighting, f"by_{weighting}", "1")
        add("fraction", row, "frame - particle", "difference", "1")
        add("fraction by slope alone", row, "particle", "by_slope_alone", "1")
    for row in fastest.to_dict("records"):
        what, weighting = "effective diffusivity, fastest 10 %", row["weighting"]
        add(f"{what}, without noise", row, weighting, "without_noise", "um^2/s")
        add(f"{what}, as observed", row, weighting, "as_observed", "um^2/s")
        if "as_observed_over_free" in row:
            over = "effective over free diffusivity, fastest 10 %"
            add(f"{over}, without noise", row, weighting, "without_noise_over_free", "1")
            add(f"{over}, as observed", row, weighting, "as_observed_over_free", "1")
        ratio = f"{what}, over the mean of all"
        add(f"{ratio}, without noise", row, weighting, "without_noise_over_mean", "1")
        add(f"{ratio}, as observed", row, weighting, "as_observed_over_mean", "1")
        alike = f"{ratio}, of particles that are all alike"
        add(alike, row, weighting, "as_observed_over_mean_by_chance", "1")
    return pd.DataFrame(rows, columns=names)


def ends(row: Mapping[Any, Any], name: str) -> tuple[float, float, float]:
    """Return a value and its interval from a row of a table; NaN where it has no interval."""
    return row[name], row.get(f"{name}_low", np.nan), row.get(f"{name}_high", np.nan)


def _named(name: str, value: tuple[float, ...]) -> dict[str, float]:
    return dict(zip((name, f"{name}_low", f"{name}_high"), value, strict=True))
