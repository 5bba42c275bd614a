"""The methods section of real analyses: in its file, on the page, and true of what was done."""

import re
from html import escape

import numpy as np
import pandas as pd
import pytest
from bright_spots import DETECTOR, brownian_tracks, spots_video, write_video

from cloudtrainer.analysis import analyze
from cloudtrainer.config import Config

pytestmark = pytest.mark.usefixtures("without_pictures")
SCALE = {"pixel_size_um": 0.1, "frame_interval_s": 0.05}


def methods(found):
    """Return the text of the file, which the page shows as well."""
    text = (found.out / "methods.txt").read_text(encoding="utf-8")
    assert not re.search(r"\b(None|nan|NaN|inf)\b|  | [.,)]", text)
    page = (found.out / "report.html").read_text(encoding="utf-8")
    for paragraph in text.strip().split("\n\n"):
        assert escape(paragraph).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in page
    return text


def persistent_tracks():
    """Displacements that are alike over four frames, as video compression makes them."""
    rng = np.random.default_rng(0)
    tables = []
    for particle in range(30):
        step = rng.normal(size=(64, 2))
        xy = sum(step[k : k + 61] for k in range(4)).cumsum(axis=0) / 2
        tables.append(
            pd.DataFrame({"frame": range(61), "particle": particle, "x": xy[:, 0], "y": xy[:, 1]})
        )
    return pd.concat(tables, ignore_index=True)


def test_a_table_of_tracks(tmp_path):
    text = methods(analyze(brownian_tracks(12, 30, 1.0), tmp_path / "out"))
    assert text.startswith("A table of tracks was analysed with cloudtrainer")
    assert "in pixels and frames" in text
    assert "from 348 displacements of 12 tracks" in text
    for word in ("located", "linked", "over 5 frames", "Crocker", "masked"):
        assert word not in text


def test_the_numbers_are_those_of_the_analysis(tmp_path):
    found = analyze(brownian_tracks(20, 40, 1.0, 0.5), tmp_path / "out", **SCALE, exposure_s=0.05)
    text = methods(found)
    D, alpha = re.findall(r"= ([\d.]+)", text)
    assert float(D) == pytest.approx(found.diffusion.value, rel=0.03)
    assert float(alpha) == pytest.approx(found.alpha.value, rel=0.03)
    assert found.summary["measured"]["motion_type"] in text
    assert "averaged over the exposure" in text


def test_a_video(tmp_path, stand_in):
    video = write_video(tmp_path / "v.tif", spots_video(frames=30))
    config = Config.from_dict({"analysis": {"search_range_px": 9.0, "threshold": 0.31}})
    text = methods(analyze(video, tmp_path / "out", config=config, **SCALE))
    assert text.startswith("A video of 30 frames of 120 x 120 px was analysed")
    assert "a search range of 9.0 px and a memory of 3 frames." in text
    assert "least probability of a detection: 0.31" in text
    assert DETECTOR.weights_sha256()[:12] in text
    assert "which comes with cloudtrainer" in text
    assert "Semrau" not in text
    own = methods(analyze(video, tmp_path / "own", DETECTOR, **SCALE))
    assert "trained beforehand" in own
    assert "Semrau" in own


def test_long_lags(tmp_path):
    found = analyze(persistent_tracks(), tmp_path / "out", **SCALE)
    assert found.diffusion.stride == 5
    text = methods(found)
    assert "displacements over 5 frames" in text
    assert "to hold what 8 and 12 frames give" in text
    assert "These checks failed: the correlations of displacements" in text
    assert found.summary["measured"]["long_lags_frames"] == [5, 8, 12]


def test_too_short_tracks_have_no_method_of_estimation(tmp_path):
    text = methods(analyze(brownian_tracks(4, 3, 1.0), tmp_path / "out"))
    assert "No value of D and alpha could be given." in text
    assert "likelihood" not in text


def test_several_recordings_with_a_name_that_is_html(tmp_path):
    paths = [tmp_path / f"r<b>{number}.csv" for number in range(3)]
    for number, path in enumerate(paths):
        frames = 3 if number == 1 else 30
        brownian_tracks(12, frames, 1.0, seed=number).to_csv(path, index=False)
    found = analyze(paths, tmp_path / "out", **SCALE)
    text = methods(found)
    assert text.startswith("3 tables of tracks were analysed")
    assert "bootstrap over recordings, with Student's t" in text
    assert "r<b>1.csv gave no D." in text
    assert "bootstrap samples" not in text
    page = (found.out / "report.html").read_text(encoding="utf-8")
    assert "<b>" not in page
    for single in found.videos:
        assert (single.out / "methods.txt").is_file()
