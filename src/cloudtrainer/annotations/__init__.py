"""Labels in and out, and tracks of and for other programs."""

from cloudtrainer.annotations.exports import write_tracks
from cloudtrainer.annotations.labels import convert_labels, read_labels, write_labels
from cloudtrainer.annotations.tracks import as_in_video, checked_tracks, read_tracks

__all__ = [
    "as_in_video",
    "checked_tracks",
    "convert_labels",
    "read_labels",
    "read_tracks",
    "write_labels",
    "write_tracks",
]
