"""Estimates of diffusion from tracks: MSD, D, anomalous exponent, kind of motion, checks."""

from cloudtrainer.diffusion.alpha_spread import AlphaSpread, alpha_spread
from cloudtrainer.diffusion.anomalous import estimate_anomalous
from cloudtrainer.diffusion.anomalous_ensemble import AnomalousEstimate
from cloudtrainer.diffusion.bound import diffusion_bound
from cloudtrainer.diffusion.checks import (
    Check,
    Curve,
    DisplacementCorrelations,
    check_model,
    displacement_correlations,
)
from cloudtrainer.diffusion.classify import MotionClass, classify_motion
from cloudtrainer.diffusion.coefficient import estimate_diffusion
from cloudtrainer.diffusion.diffusion_spread import DiffusionSpread, diffusion_spread
from cloudtrainer.diffusion.estimate import Estimate
from cloudtrainer.diffusion.field_of_view import with_distance_to_border
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
from cloudtrainer.diffusion.van_hove import (
    DisplacementDistribution,
    NonGaussianParameter,
    displacement_distribution,
    non_gaussian_parameter,
)

__all__ = [
    "BOLTZMANN",
    "TIME_SCALES_S",
    "AlphaSpread",
    "AnomalousEstimate",
    "Check",
    "Curve",
    "DiffusionSpread",
    "DisplacementCorrelations",
    "DisplacementDistribution",
    "Estimate",
    "MeanSquaredDisplacement",
    "Mobility",
    "Motion",
    "MotionClass",
    "NonGaussianParameter",
    "ShearModuli",
    "StokesEinstein",
    "TransportLimits",
    "alpha_spread",
    "calculate_msd",
    "check_model",
    "check_time_scales",
    "classify_motion",
    "diffusion_bound",
    "diffusion_spread",
    "displacement_correlations",
    "displacement_distribution",
    "estimate_anomalous",
    "estimate_diffusion",
    "fit_diffusion_models",
    "free_diffusion",
    "mean_squared_displacement",
    "mobility",
    "motion_type",
    "non_gaussian_parameter",
    "shear_moduli",
    "stokes_einstein",
    "with_distance_to_border",
]
