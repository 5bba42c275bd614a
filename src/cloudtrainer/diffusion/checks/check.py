"""What a test of the model is: what it found, and what it says once all tests are counted."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.tracks import FloatArray, IntArray, TrackArrays, as_floats

# All tests of one data set together fail a clean one at 1%: p-values are adjusted after Holm.
LEVEL = 0.01
# Scatter between fewer particles says too little about the error of a mean.
FEWEST_PARTICLES = 12


@dataclass(frozen=True)
class Curve:
    """What a test looked at, to be drawn: points, and where the model has them.

    Attributes
    ----------
    x, y : ndarray of float64, shape (points,)
    error : ndarray of float64, shape (points,)
        Standard error of `y`; NaN where there is none.
    expected : ndarray of float64, shape (points,)
        What the model says; NaN where it says nothing.
    x_label, y_label : str
    """

    x: FloatArray
    y: FloatArray
    error: FloatArray
    expected: FloatArray
    x_label: str
    y_label: str


@dataclass(frozen=True)
class Check:
    """One test of the model.

    Attributes
    ----------
    name : str
    passed : bool or None
        None where it cannot be told, because there are too few data or what is tested for was
        taken out of the tracks; the sentence says so.
    number : float
        What was measured; NaN where it could not be.
    description : str
        What `number` is.
    p_value : float
        Of the test, adjusted for all tests made (Holm 1979, Scand. J. Stat. 6, 65); NaN where
        there is none.
    sentence : str
        What was found and, where the check failed, what to do.
    long_lags_help : bool
        True where the check failed and what was found dies away over longer displacements.
    curve : Curve or None
        What was looked at; None where there are too few data.
    """

    name: str
    passed: bool | None
    number: float
    description: str
    p_value: float
    sentence: str
    long_lags_help: bool = False
    curve: Curve | None = field(default=None, compare=False, repr=False)

    @property
    def failed(self) -> bool:
        """Whether the test was made and the tracks did not pass."""
        return self.passed is False


@dataclass(frozen=True)
class Finding:
    """What one test found, before it is judged together with the others.

    Attributes
    ----------
    name, number, description, long_lags_help, curve
        As in `Check`.
    p_value : float
        Of this test alone; NaN where there are too few data.
    matters : bool
        Whether the effect is large enough to fail for, were it certain.
    fine, wrong : str
        The sentence of a check that passed, and of one that failed.
    """

    name: str
    number: float
    description: str
    p_value: float
    matters: bool
    fine: str
    wrong: str
    long_lags_help: bool = False
    curve: Curve | None = None


def untold(name: str, description: str, sentence: str) -> Finding:
    """Return the finding of a test that could not be made."""
    return Finding(name, float("nan"), description, float("nan"), False, sentence, sentence)


def judged(findings: list[Finding]) -> list[Check]:
    """Return the checks: those fail whose adjusted p-value is below 1%, if the effect matters."""
    adjusted = holm(np.array([finding.p_value for finding in findings]))
    checks = []
    for finding, p in zip(findings, adjusted, strict=True):
        failed = finding.matters and p < LEVEL
        checks.append(
            Check(
                name=finding.name,
                passed=not failed if np.isfinite(p) else None,
                number=finding.number,
                description=finding.description,
                p_value=float(p),
                sentence=finding.wrong if failed else finding.fine,
                long_lags_help=failed and finding.long_lags_help,
                curve=finding.curve,
            )
        )
    return checks


def holm(p_values: FloatArray) -> FloatArray:
    """Return p-values adjusted for their number (Holm 1979); NaN are not counted and stay."""
    adjusted = np.full(len(p_values), np.nan)
    tested = np.flatnonzero(np.isfinite(p_values))
    order = tested[np.argsort(p_values[tested], kind="stable")]
    times = np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(p_values[order] * times), 1.0)
    return adjusted


@dataclass(frozen=True)
class UnitSteps:
    """Displacements between consecutive frames, in the order of particles and frames.

    Attributes
    ----------
    displacement : ndarray of float64, shape (steps, 2)
        Pixels.
    frame : ndarray of int64, shape (steps,)
        The frame that a displacement leads to.
    owner : ndarray of int64, shape (steps,)
        Number of the particle, 0 to `particles` - 1.
    run : ndarray of int64, shape (steps,)
        Number of the run of consecutive frames; ascending.
    particles : int
        Tracks of the table, also those without such a displacement.
    """

    displacement: FloatArray
    frame: IntArray
    owner: IntArray
    run: IntArray
    particles: int


def unit_steps(arrays: TrackArrays) -> UnitSteps:
    """Return the displacements between consecutive frames."""
    track = np.repeat(np.arange(len(arrays.particle)), arrays.lengths)
    unit = (np.diff(track) == 0) & (np.diff(arrays.frame) == 1)
    return UnitSteps(
        displacement=np.diff(arrays.position, axis=0)[unit],
        frame=arrays.frame[1:][unit],
        owner=track[1:][unit],
        run=np.cumsum(~unit)[unit],
        particles=len(arrays.particle),
    )


def particle_means(tracks: pd.DataFrame, column: str, particle: np.ndarray) -> FloatArray:
    """Return the mean of a column over each particle's positions, in the order of `particle`."""
    values = pd.Series(as_floats(tracks, column))
    means = values.groupby(tracks["particle"].to_numpy()).mean()
    return np.asarray(means.reindex(particle), dtype=np.float64)
