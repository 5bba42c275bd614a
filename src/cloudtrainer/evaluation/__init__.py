"""Scores of detections and tracks against known ones, and the bound no detector can pass."""

from cloudtrainer.evaluation.bound import localisation_bound_px
from cloudtrainer.evaluation.detections import DetectionScore, score_detections
from cloudtrainer.evaluation.matching import isolated, match_detections
from cloudtrainer.evaluation.tracks import TrackScore, score_tracks

__all__ = [
    "DetectionScore",
    "TrackScore",
    "isolated",
    "localisation_bound_px",
    "match_detections",
    "score_detections",
    "score_tracks",
]
