"""The Studio: the form, the frames, the runs and their results, in a notebook and in a browser.

One implementation serves both: `cloudtrainer studio` puts these parts on a page, and the notebook
shows the same parts in its cells.
"""

from importlib import import_module
from typing import Any

_HOMES = {
    "AnalysisPart": "cloudtrainer.studio.analysis_part",
    "ComparePart": "cloudtrainer.studio.compare_part",
    "DataPart": "cloudtrainer.studio.data_part",
    "SettingsForm": "cloudtrainer.studio.form",
    "TrainingPart": "cloudtrainer.studio.training_part",
    "open_in_notebook": "cloudtrainer.studio.notebook",
    "serve": "cloudtrainer.studio.server",
    "take_along": "cloudtrainer.studio.notebook",
}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    # A run is a process of its own, which needs none of the widgets.
    if name not in _HOMES:
        raise AttributeError(f"module 'cloudtrainer.studio' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
