"""Analysis: videos in, tables, figures, estimates and a report out."""

from cloudtrainer.analysis.describe import describe_installation, describe_video
from cloudtrainer.analysis.result import Analysis
from cloudtrainer.analysis.run import analyze
from cloudtrainer.analysis.usage import visualize_tracking_results

__all__ = [
    "Analysis",
    "analyze",
    "describe_installation",
    "describe_video",
    "visualize_tracking_results",
]
