"""Frames of particles and their exact positions: training scenes and whole experiments."""

from cloudtrainer.simulation.experiment import Experiment, simulate_experiment
from cloudtrainer.simulation.files import write_experiment
from cloudtrainer.simulation.scenes import Scenes, draw_scenes

__all__ = ["Experiment", "Scenes", "draw_scenes", "simulate_experiment", "write_experiment"]
