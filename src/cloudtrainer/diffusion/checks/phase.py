"""Whether the variance of displacements is the same in every frame."""

import numpy as np

from cloudtrainer.diffusion.checks.check import Curve, Finding, UnitSteps, untold

SMALLEST_PHASE_RATIO = 1.1
LONGEST_PERIOD = 16
FEWEST_OF_A_PHASE = 5


def phase_check(steps: UnitSteps) -> Finding:
    """Compare the variance of displacements between frames of one phase, for periods of 2 to 16.

    The mean square displacement of each frame, over all particles, is ranked (Kruskal & Wallis
    1952); the p-value is that of the best period times the number of periods tried.
    """
    from scipy.stats import kruskal

    name = "variance by frame phase"
    description = "largest over median variance of displacements by frame modulo the period"
    frame, square = steps.frame, (steps.displacement**2).sum(1)
    best_p, best_period = 1.0, 0
    periods = range(2, LONGEST_PERIOD + 1)
    if len(frame):
        count = np.bincount(frame - frame.min())
        total = np.bincount(frame - frame.min(), square)
        seen = np.flatnonzero(count)
        mean = total[seen] / count[seen]
        for period in periods:
            groups = [mean[seen % period == phase] for phase in range(period)]
            if min(map(len, groups)) < FEWEST_OF_A_PHASE or np.ptp(mean) == 0:
                continue
            p = float(kruskal(*groups).pvalue)
            if p < best_p or not best_period:
                best_p, best_period = p, period
    if not best_period:
        sentence = "The video is too short to test the variance of displacements by frame phase."
        return untold(name, description, sentence)
    phase = (frame - frame.min()) % best_period
    counts = np.bincount(phase, minlength=best_period)
    variance = np.bincount(phase, square, minlength=best_period) / counts
    loudest = int(np.argmax(variance))
    median = float(np.median(variance))
    ratio = float(variance.max()) / median
    number = (loudest + int(frame.min())) % best_period
    first = int(frame.min()) % best_period
    return Finding(
        name=name,
        number=ratio,
        description=description,
        p_value=min(1.0, best_p * len(periods)),
        matters=ratio >= SMALLEST_PHASE_RATIO,
        fine="The variance of displacements does not depend on the frame's phase.",
        wrong=(
            f"The variance of displacements is {ratio:.2f} times the usual one at every "
            f"{best_period}th frame (frame {number}, {number + best_period}, ...), as in "
            "compressed or interlaced video or where frames are repeated: go back to the "
            "uncompressed recording; D from long lags (stride 5 or more) suffers least."
        ),
        long_lags_help=True,
        curve=Curve(
            x=np.arange(best_period, dtype=np.float64),
            y=np.roll(variance, first) / median,
            error=np.roll(variance / np.sqrt(counts), first) / median,
            expected=np.ones(best_period),
            x_label=f"frame modulo {best_period}",
            y_label="variance over its median",
        ),
    )
