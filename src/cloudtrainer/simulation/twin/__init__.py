"""The twin of a video: simulated scenes that look like it, made from the raw video alone."""

from cloudtrainer.simulation.twin.focus import Focus, peaks_in_video
from cloudtrainer.simulation.twin.measure import measure_twin
from cloudtrainer.simulation.twin.scenes import draw_frame, draw_twin
from cloudtrainer.simulation.twin.twin import SpotShape, Twin

__all__ = [
    "Focus",
    "SpotShape",
    "Twin",
    "draw_frame",
    "draw_twin",
    "measure_twin",
    "peaks_in_video",
]
