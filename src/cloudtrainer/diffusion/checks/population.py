"""Whether D depends on the track's length, its brightness or its place."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.checks.check import Curve, Finding, particle_means, untold
from cloudtrainer.diffusion.covariance import displacement_sums
from cloudtrainer.diffusion.steps import Steps
from cloudtrainer.diffusion.tracks import FloatArray, as_floats

# Difference of D between the lower and the upper half of the particles.
SMALLEST_DIFFERENCE = 0.10
FEWEST_FOR_A_SLOPE = 20
_ALLOWED = f"{100 * SMALLEST_DIFFERENCE:.0f}%"
_DRAWN_GROUPS = 5


@dataclass(frozen=True)
class ParticleD:
    """Covariance-based D of each particle, in px^2 a frame: unbiased for any length of track.

    Attributes
    ----------
    particle : ndarray, shape (particles,)
        Those with three consecutive frames.
    D, displacements : ndarray of float64, shape (particles,)
    """

    particle: np.ndarray
    D: FloatArray
    displacements: FloatArray


def diffusion_of_particles(steps: Steps) -> ParticleD:
    """Return D of each particle (Vestergaard et al. 2014, eq. 14)."""
    sums = displacement_sums(steps)
    known = sums[:, 3] > 0
    sums = sums[known]
    D = sums[:, 0] / sums[:, 1] / 2 + sums[:, 2] / sums[:, 3]
    return ParticleD(steps.particle[known], D, sums[:, 1] / 2)


def length_check(found: ParticleD) -> Finding:
    """Test D against the number of displacements of a track."""
    name = "D against track length"
    description = "difference of D between the longer and the shorter half of the tracks, over D"
    slope = _slope(found, found.displacements)
    if slope is None:
        return untold(name, description, "Too few tracks of different lengths to compare their D.")
    return Finding(
        name=name,
        number=slope.difference,
        description=description,
        p_value=slope.p_value,
        matters=abs(slope.difference) >= SMALLEST_DIFFERENCE,
        fine=_fine(
            slope,
            f"D of the longer tracks is {_spoken(slope.difference)} than that of the shorter",
        ),
        wrong=f"D of the longer tracks is {_spoken(slope.difference)} than that of the shorter. "
        + (
            "Fast particles leave the focus sooner, and tracks of noise are short: D of all tracks "
            "weights long ones more. Compare D for several shortest lengths (--min-track-frames), "
            "and give the range."
            if slope.difference < 0
            else "Short tracks are broken where steps are long, or the search range cuts steps "
            "off: look at D against the search range."
        ),
        curve=_groups(found, found.displacements, "displacements of a track"),
    )


def brightness_check(found: ParticleD, tracks: pd.DataFrame) -> Finding:
    """Test D against the particles' mean intensity."""
    name = "D against brightness"
    description = (
        "difference of D between the brighter and the dimmer half of the particles, over D"
    )
    if "intensity" not in tracks.columns or np.isnan(as_floats(tracks, "intensity")).all():
        sentence = "The table of tracks has no intensities to compare D with."
        return untold(name, description, sentence)
    intensity = particle_means(tracks, "intensity", found.particle)
    # Dark particles on a bright ground have negative ones.
    intensity = np.abs(intensity)
    slope = _slope(found, intensity)
    if slope is None:
        sentence = "Too few particles of different brightness to compare their D."
        return untold(name, description, sentence)
    return Finding(
        name=name,
        number=slope.difference,
        description=description,
        p_value=slope.p_value,
        matters=abs(slope.difference) >= SMALLEST_DIFFERENCE,
        fine=_fine(
            slope,
            f"D of the brighter particles is {_spoken(slope.difference)} than that of the dimmer",
        ),
        wrong=(
            f"D of the brighter particles is {_spoken(slope.difference)} than that of the dimmer: "
            "particles of several sizes (the larger are brighter and slower), particles out of "
            "focus, or dim ones that are confused with noise. Measure bright and dim ones apart, "
            "and say which D is meant."
        ),
        curve=_groups(found, intensity, "intensity"),
    )


def position_check(found: ParticleD, in_place: pd.DataFrame) -> Finding:
    """Test D from left to right, from top to bottom, and from the centre to the edge."""
    name = "D against position"
    description = "difference of D between two halves of the field, over D"
    x, y = (particle_means(in_place, axis, found.particle) for axis in ("x", "y"))
    if not len(x) or in_place.empty:
        return untold(name, description, "Too few particles to compare D over the field.")
    field = [as_floats(in_place, axis) for axis in ("x", "y")]
    middle = [(place.max() + place.min()) / 2 for place in field]
    half = [max(float(np.ptp(place)) / 2, 1e-12) for place in field]
    away = np.maximum(np.abs(x - middle[0]) / half[0], np.abs(y - middle[1]) / half[1])
    ways = {
        "in the right half of the field than in the left": (x, "mean x (px)"),
        "in the lower half of the field than in the upper": (y, "mean y (px)"),
        "at the edge of the field than at its centre": (away, "distance from the centre (1: edge)"),
    }
    slopes = {
        way: slope
        for way, (place, _) in ways.items()
        if (slope := _slope(found, place)) is not None
    }
    if not slopes:
        return untold(name, description, "Too few particles to compare D over the field.")
    way = min(slopes, key=lambda name: slopes[name].p_value)
    slope = slopes[way]
    return Finding(
        name=name,
        number=slope.difference,
        description=description,
        p_value=min(1.0, slope.p_value * len(slopes)),
        matters=abs(slope.difference) >= SMALLEST_DIFFERENCE,
        fine=_fine(slope, f"D is {_spoken(slope.difference)} {way}"),
        wrong=(
            f"D is {_spoken(slope.difference)} {way}: a tilted or curved chamber (walls slow "
            "particles), a gradient of temperature or concentration, uneven light, or optics that "
            "distort. Look at the map of D; measure the parts of the field apart (--region)."
        ),
        curve=_groups(found, *ways[way]),
    )


@dataclass(frozen=True)
class _Slope:
    difference: float
    p_value: float


def _slope(found: ParticleD, covariate: FloatArray) -> _Slope | None:
    """Regress D on the rank of a covariate, each particle weighted by its displacements.

    The difference is that between the upper and the lower half of the particles, over the mean D.
    The standard error is robust to particles of different uncertainty (HC3; MacKinnon & White
    1985, J. Econometrics 29, 305), the test Student's.
    """
    from scipy.stats import rankdata, t

    known = np.isfinite(covariate)
    if known.sum() < FEWEST_FOR_A_SLOPE or np.ptp(covariate[known]) == 0:
        return None
    D, weight = found.D[known], found.displacements[known]
    rank = (rankdata(covariate[known]) - 0.5) / known.sum()
    mean = np.average(D, weights=weight)
    about = rank - np.average(rank, weights=weight)
    spread = (weight * about**2).sum()
    slope = (weight * about * D).sum() / spread
    leverage = weight / weight.sum() + weight * about**2 / spread
    residual = (D - mean - slope * about) / np.maximum(1 - leverage, 0.05)
    error = np.sqrt(((weight * about * residual) ** 2).sum()) / spread
    if not (mean > 0 and error > 0):
        return None
    p_value = 2 * t.sf(abs(slope) / error, known.sum() - 2)
    return _Slope(float(slope / mean / 2), float(p_value))


def _groups(found: ParticleD, covariate: FloatArray, label: str) -> Curve:
    """Return D of fifths of the particles over that of all, to be drawn."""
    known = np.flatnonzero(np.isfinite(covariate))
    order = known[np.argsort(covariate[known], kind="stable")]
    mean = np.average(found.D[known], weights=found.displacements[known])
    x, y, error = [], [], []
    for group in np.array_split(order, _DRAWN_GROUPS):
        weight = found.displacements[group] / found.displacements[group].sum()
        D = float(weight @ found.D[group])
        x.append(float(np.median(covariate[group])))
        y.append(D / mean)
        error.append(float(np.sqrt(((weight * (found.D[group] - D)) ** 2).sum()) / mean))
    return Curve(
        np.array(x), np.array(y), np.array(error), np.ones(len(x)), label, "D over its mean"
    )


def _fine(slope: _Slope, found: str) -> str:
    if abs(slope.difference) < SMALLEST_DIFFERENCE:
        return f"{found}: less than {_ALLOWED}, at which it would matter."
    return f"{found}, as it may be by chance."


def _spoken(difference: float) -> str:
    return f"{100 * abs(difference):.0f}% {'higher' if difference > 0 else 'lower'}"
