"""Conditions side by side: the video is the replicate, and a test needs three of each."""

from cloudtrainer.analysis.conditions.compare import Comparison, Pair, compare_conditions
from cloudtrainer.analysis.conditions.recordings import read_conditions

__all__ = ["Comparison", "Pair", "compare_conditions", "read_conditions"]
