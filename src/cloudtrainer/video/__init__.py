"""Videos of any microscope format as lazy greyscale frames (T, Y, X) with their calibration."""

from cloudtrainer.video.checks import check_frames
from cloudtrainer.video.video import Video

__all__ = ["Video", "check_frames"]
