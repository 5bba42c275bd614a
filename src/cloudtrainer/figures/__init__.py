"""Every plot: matplotlib figures without pyplot, ready for a report or a paper."""

from cloudtrainer.figures.checks import correlation_figure, counts_figure, linking_figure
from cloudtrainer.figures.distributions import histogram_figure
from cloudtrainer.figures.field import diffusion_field_figure, parts_of_field
from cloudtrainer.figures.frames import (
    detections_figure,
    trajectories_figure,
    visualize_tracking_results,
)
from cloudtrainer.figures.model_tests import model_tests_figure, van_hove_figure
from cloudtrainer.figures.moduli import moduli_figure
from cloudtrainer.figures.msd import msd_figure, visualize_msd_analysis
from cloudtrainer.figures.numbers import (
    PX_FRAME,
    UM_S,
    Units,
    display_sentence,
    display_unit,
    with_interval,
)
from cloudtrainer.figures.style import to_png, to_svg
from cloudtrainer.figures.training import training_figure

__all__ = [
    "PX_FRAME",
    "UM_S",
    "Units",
    "correlation_figure",
    "counts_figure",
    "detections_figure",
    "diffusion_field_figure",
    "display_sentence",
    "display_unit",
    "histogram_figure",
    "linking_figure",
    "model_tests_figure",
    "moduli_figure",
    "msd_figure",
    "parts_of_field",
    "to_png",
    "to_svg",
    "training_figure",
    "trajectories_figure",
    "van_hove_figure",
    "visualize_msd_analysis",
    "visualize_tracking_results",
    "with_interval",
]
