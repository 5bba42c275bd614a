"""What every test may ask for."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real videos, named by CLOUDTRAINER_TEST_DATA or beside the checkout."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("CLOUDTRAINER_TEST_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no folder of real videos at {folder}; set CLOUDTRAINER_TEST_DATA")
    return folder
