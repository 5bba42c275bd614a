"""Frames of particles and their exact positions: training scenes and whole experiments."""

from cloudtrainer.simulation.backdrop import Backdrop, draw_over, measure_backdrop
from cloudtrainer.simulation.experiment import Experiment, simulate_experiment
from cloudtrainer.simulation.files import write_experiment
from cloudtrainer.simulation.random_scenes import draw_scenes
from cloudtrainer.simulation.scenes import Scenes

__all__ = [
    "Backdrop",
    "Experiment",
    "Scenes",
    "draw_over",
    "draw_scenes",
    "measure_backdrop",
    "simulate_experiment",
    "write_experiment",
]
