"""Exponent and coefficient of each track alone, as a table."""

import numpy as np
import pandas as pd

from cloudtrainer.diffusion.calibration import Calibration
from cloudtrainer.diffusion.fractional import SHORTEST_RUN
from cloudtrainer.diffusion.fractional_tracks import fit_tracks
from cloudtrainer.diffusion.resample import NORMAL_95
from cloudtrainer.diffusion.steps import Steps, longest_runs, still_axes
from cloudtrainer.diffusion.surface import surface_of


@np.errstate(invalid="ignore", divide="ignore")
def table_of_tracks(steps: Steps, calibration: Calibration) -> pd.DataFrame:
    """Return one row a particle; too short tracks have NaN and the reason."""
    particles = len(steps.particle)
    log_tau = float(np.log(calibration.time * steps.stride))
    reason = np.full(particles, "", dtype=object)
    still = still_axes(steps)
    reason[still.any(axis=1)] = "every displacement along one axis is exactly zero"
    reason[longest_runs(steps) < SHORTEST_RUN] = f"fewer than {SHORTEST_RUN + 1} positions in a row"
    reason[still.all(axis=1)] = "every displacement is exactly zero"
    names = ("alpha", "alpha_standard_error", "alpha_low", "alpha_high", "K", "K_low", "K_high")
    columns = {name: np.full(particles, np.nan) for name in names}
    good = reason == ""
    if good.any():
        fits = fit_tracks(surface_of(steps, calibration), steps.stride, log_tau)
        K = np.exp(fits.log_coefficient) * calibration.length**2
        ratio = np.exp(np.minimum(NORMAL_95 * fits.coefficient_error, 700))
        still = ~fits.moves & (fits.alpha_low == 0) & (fits.alpha_high == 2)
        reason[good & fits.at_end] = (
            "no power law describes the MSD: alpha is at the end of what was searched"
        )
        reason[good & still] = "alpha can be anything from 0 to 2"
        K[fits.at_end | still] = np.nan
        error = (fits.alpha_high - fits.alpha_low) / (2 * NORMAL_95)
        columns = {
            "alpha": np.where(fits.at_end | still, np.nan, fits.alpha),
            "alpha_standard_error": np.where(fits.at_end | still, np.nan, error),
            "alpha_low": fits.alpha_low,
            "alpha_high": fits.alpha_high,
            "K": K,
            "K_low": K / ratio,
            "K_high": K * ratio,
        }
    return pd.DataFrame(
        {
            "particle": steps.particle,
            **{name: np.where(good, values, np.nan) for name, values in columns.items()},
            "displacements": steps.per_particle,
            "unit": f"{calibration.diffusion_unit}^alpha",
            "reason": reason,
        }
    )
