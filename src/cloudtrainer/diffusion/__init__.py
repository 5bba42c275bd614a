"""Estimates of diffusion from tracks: MSD, D, anomalous exponent, kind of motion, checks."""

from cloudtrainer.diffusion.anomalous import AnomalousEstimate, estimate_anomalous
from cloudtrainer.diffusion.bound import diffusion_bound
from cloudtrainer.diffusion.checks import (
    Check,
    DisplacementCorrelations,
    check_model,
    displacement_correlations,
)
from cloudtrainer.diffusion.classify import MotionClass, classify_motion
from cloudtrainer.diffusion.ensemble import estimate_diffusion
from cloudtrainer.diffusion.estimate import Estimate
from cloudtrainer.diffusion.legacy import calculate_msd, fit_diffusion_models
from cloudtrainer.diffusion.moduli import ShearModuli, shear_moduli
from cloudtrainer.diffusion.motion import Motion, motion_type
from cloudtrainer.diffusion.msd import MeanSquaredDisplacement, mean_squared_displacement
from cloudtrainer.diffusion.stokes_einstein import BOLTZMANN, StokesEinstein, stokes_einstein

__all__ = [
    "BOLTZMANN",
    "AnomalousEstimate",
    "Check",
    "DisplacementCorrelations",
    "Estimate",
    "MeanSquaredDisplacement",
    "Motion",
    "MotionClass",
    "ShearModuli",
    "StokesEinstein",
    "calculate_msd",
    "check_model",
    "classify_motion",
    "diffusion_bound",
    "displacement_correlations",
    "estimate_anomalous",
    "estimate_diffusion",
    "fit_diffusion_models",
    "mean_squared_displacement",
    "motion_type",
    "shear_moduli",
    "stokes_einstein",
]
