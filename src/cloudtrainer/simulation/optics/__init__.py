"""Particles seen through a microscope: their images from DeepTrack2, placed where they are.

DeepTrack2 is imported only where a stack is not in the cache.
"""

from cloudtrainer.simulation.optics.cache import cache_folder, load_stack
from cloudtrainer.simulation.optics.microscope import Microscope, Placed, microscope_for
from cloudtrainer.simulation.optics.scenes import draw_optical_scenes, draw_simulated_scenes
from cloudtrainer.simulation.optics.stack import DefocusStack, compute_stack

__all__ = [
    "DefocusStack",
    "Microscope",
    "Placed",
    "cache_folder",
    "compute_stack",
    "draw_optical_scenes",
    "draw_simulated_scenes",
    "load_stack",
    "microscope_for",
]
