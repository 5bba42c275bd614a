"""Tracking: detections in, tracks out."""

from cloudtrainer.tracking.clock import FrameClock, number_frames
from cloudtrainer.tracking.drift import Drift, subtract_drift
from cloudtrainer.tracking.filters import filter_tracks
from cloudtrainer.tracking.linking import link_detections, track_particles
from cloudtrainer.tracking.missed import GapSteps, gap_steps, missed_while_moving
from cloudtrainer.tracking.range_scan import search_range_scan, search_range_warning
from cloudtrainer.tracking.search_range import (
    SearchRange,
    nearest_neighbour_px,
    search_range_doubts,
    suggest_search_range,
)
from cloudtrainer.tracking.smeared import SmearedJoined, join_smeared
from cloudtrainer.tracking.specks import StaticSpecks, static_specks
from cloudtrainer.tracking.streaming import LinkedFile, link_parquet

__all__ = [
    "Drift",
    "FrameClock",
    "GapSteps",
    "LinkedFile",
    "SearchRange",
    "SmearedJoined",
    "StaticSpecks",
    "filter_tracks",
    "gap_steps",
    "join_smeared",
    "link_detections",
    "link_parquet",
    "missed_while_moving",
    "nearest_neighbour_px",
    "number_frames",
    "search_range_doubts",
    "search_range_scan",
    "search_range_warning",
    "static_specks",
    "subtract_drift",
    "suggest_search_range",
    "track_particles",
]
