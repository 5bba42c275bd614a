"""The bundled detector, and the helper module of this folder made importable."""

import sys
from pathlib import Path

import pytest

from cloudtrainer.detector import load_model

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def detector():
    return load_model()
