"""Estimates of diffusion from tracks: MSD, D, anomalous exponent, kind of motion, checks."""

from cloudtrainer.diffusion.anomalous import AnomalousEstimate, estimate_anomalous
from cloudtrainer.diffusion.bound import diffusion_bound
from cloudtrainer.diffusion.checks import (
    Check,
    DisplacementCorrelations,
    check_model,
    displacement_correlations,
)
from cloudtrainer.diffusion.ensemble import estimate_diffusion
from cloudtrainer.diffusion.estimate import Estimate
from cloudtrainer.diffusion.legacy import calculate_msd, fit_diffusion_models
from cloudtrainer.diffusion.mobility import TIME_SCALES_S, Mobility, check_time_scales, mobility
from cloudtrainer.diffusion.moduli import ShearModuli, shear_moduli
from cloudtrainer.diffusion.motion import Motion, motion_type
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement, mean_squared_displacement
from cloudtrainer.diffusion.stokes_einstein import (
    BOLTZMANN,
    StokesEinstein,
    free_diffusion,
    stokes_einstein,
)
from cloudtrainer.diffusion.transport import TransportLimits

__all__ = [
    "BOLTZMANN",
    "TIME_SCALES_S",
    "AnomalousEstimate",
    "Check",
    "DisplacementCorrelations",
    "Estimate",
    "MeanSquaredDisplacement",
    "Mobility",
    "Motion",
    "ShearModuli",
    "StokesEinstein",
    "TransportLimits",
    "calculate_msd",
    "check_model",
    "check_time_scales",
    "diffusion_bound",
    "displacement_correlations",
    "estimate_anomalous",
    "estimate_diffusion",
    "fit_diffusion_models",
    "free_diffusion",
    "mean_squared_displacement",
    "mobility",
    "motion_type",
    "shear_moduli",
    "stokes_einstein",
]
