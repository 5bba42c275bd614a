"""A stand-in for the detector, and the helper module of this folder made importable."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bright_spots import DETECTOR, find_bright_spots


@pytest.fixture
def stand_in(monkeypatch):
    """Find bright spots without a network: these tests are of the analysis, not of a model."""
    monkeypatch.setattr(
        "cloudtrainer.analysis.tracks.extract_particles_from_predictions", find_bright_spots
    )
    monkeypatch.setattr("cloudtrainer.analysis.run.load_model", lambda model: DETECTOR)


@pytest.fixture
def without_pictures(monkeypatch):
    """Draw no figures, which take most of the time."""
    monkeypatch.setattr("cloudtrainer.analysis.single.draw", lambda *_: [])
