"""The methods section: every sentence holds for the analysis that it is about, and no other."""

import copy
import re

import pandas as pd
import pytest

from cloudtrainer.diffusion import check_model
from cloudtrainer.report import methods_text
from cloudtrainer.report.estimation_methods import _CHECKS
from cloudtrainer.report.references import PAPERS, References


def estimate(value, unit, **changes):
    return {
        "value": value, "standard_error": value / 20, "low": 0.9 * value, "high": 1.1 * value,
        "method": "mle, bootstrap", "interval": "bootstrap", "stride_frames": 1, "unit": unit,
        "near_border": 0.0, "links_lost": 0.0, "particles": 40, "displacements": 1900,
    } | changes  # fmt: skip


def check(name, number=0.01, passed=True):
    return {"name": name, "number": number, "passed": passed, "p_value": 0.4, "sentence": "..."}


def video(**changes):
    """A summary of a video; changes are of entries of ``measured``."""
    summary = {
        "measured": {
            "D_um2_per_s": estimate(0.4, "um^2/s"),
            "alpha": estimate(1.0, "1"),
            "tracks": 40,
            "tracks_linked": 52,
            "tracks_left_out": 12,
            "tracks_left_out_by": "whose mean probability was below 0.93 times the surest tenth's",
            "localisation_error_um": 0.021,
            "localisation_error_from": "offset of the MSD and the exposure",
            "motion_type": "Normal Brownian diffusion",
            "long_lags_frames": [],
            "search_range_px": 12.34,
            "search_range_measured": True,
            "static_specks": 3,
            "smeared_joined": 2,
            "drift_px_per_frame": 0.0123,
            "drift_method": "steady",
        },
        "calibration": {"pixel_size_um": 0.1, "frame_interval_s": 0.05, "exposure_s": 0.01},
        "checks": [check("displacement correlations"), check("variance by frame phase", 1.05)],
        "config": {"linking_engine": "trackpy",
            "memory_frames": 3, "min_track_frames": 5, "drift": "auto", "search_range_px": None,
            "min_area": 3,
        },
        "model": {
            "bundled": True, "architecture": "grid", "networks": 1, "context_frames": 0,
            "weights_sha256": "0123456789abcdef" * 4, "threshold": 0.43, "polarity": "bright",
            "doubtful_spots_weighed": False,
        },
        "version": "4.0.0",
        "video": {"name": "gel.tif", "sha256": "f" * 64, "shape": [20000, 512, 640]},
    }  # fmt: skip
    summary["measured"] |= changes
    return summary


def table():
    """A summary of a table of tracks."""
    summary = video(
        search_range_px=None, search_range_measured=False, static_specks=0,
        tracks_left_out=0, tracks_left_out_by=None, tracks_linked=40,
    )  # fmt: skip
    summary["model"] = None
    summary["video"]["shape"] = None
    return summary


def several(*singles, **changes):
    interval = {"interval": f"Student's t over {len(singles)} videos"}
    measured = {
        "D_um2_per_s": estimate(0.4, "um^2/s", **interval),
        "alpha": estimate(1.0, "1", **interval),
        "localisation_error_um": 0.02,
        "motion_type": "Undetermined",
    }
    return {**singles[0], "measured": measured | changes, "videos": list(singles)}


def sound(text):
    """Check what holds for every methods section, and return it."""
    assert not re.search(r"\b(None|nan|NaN|inf|null|True|False)\b", text)
    assert not re.search(r" [,.;)]|\( |\(\)|  |\.\.| of in|[ (]to[ )]?$", text)
    body, _, listed = text.partition("References\n")
    cited = {int(n) for group in re.findall(r"\[([\d, ]+)\]", body) for n in group.split(",")}
    numbers = [int(line[1 : line.index("]")]) for line in listed.splitlines()]
    # Each paper that is cited is listed, and no other.
    assert numbers == list(range(1, len(numbers) + 1)) == sorted(cited)
    for paragraph in body.split("\n\n"):
        assert not paragraph.strip() or paragraph.strip().endswith(".")
    return text


def test_tracks_without_a_displacement_that_enters_D_are_counted():
    """Tracks less those that the estimate rests on; where the border is left out, that is why."""
    said = methods_text(video(tracks=43, D_um2_per_s=estimate(0.4, "um^2/s", near_border=0.2)))
    assert (
        "of 40 tracks; 3 tracks have no displacement that begins away from the border of the "
        "field of view." in sound(said)
    )
    said = methods_text(video(tracks=41, D_um2_per_s=estimate(0.4, "um^2/s", stride_frames=5)))
    assert "of 40 tracks; 1 track has no displacement over 5 frames." in sound(said)


def test_a_video_in_full():
    text = sound(methods_text(video()))
    for part in (
        "A video of 20000 frames of 640 x 512 px was analysed with cloudtrainer 4.0.0, at 0.1 µm a "
        "pixel, 0.05 s between frames and an exposure of 0.01 s.",
        "Particles, bright on dark ground, were located by a convolutional neural network, which "
        "comes with cloudtrainer (SHA-256 of the weights begins with 0123456789ab; least "
        "probability of a detection: 0.43).",
        "3 static specks",
        "2 pairs of detections that were one particle in other frames",
        "at a search range of 12.3 px and a memory of 3 frames.",
        "Across missing frames squared steps were divided by the number of frames passed.",
        "4.8 standard deviations",
        "Tracks seen in fewer than 5 frames were dropped.",
        "12 of 52 tracks were left out, whose mean probability was below",
        "drift of the particles, 0.0123 px a frame, was significant at the 0.1% level "
        "and was subtracted.",
        "from 1,900 displacements of 40 tracks.",
        "Motion blur was calculated from the exposure",
        "2000 bootstrap samples",
        "nothing spoke against it.",
        "This gave D = 0.400 µm²/s (95% interval 0.360 to 0.440) and alpha = 1.00 (95% interval "
        "0.90 to 1.10). Kind of motion: Normal Brownian diffusion.",
        "0.021 µm (offset of the MSD and the exposure)",
    ):
        assert part in text
    assert "over 5 frames" not in text
    without_doi = sum(PAPERS[paper] in text for paper in WITHOUT_DOI)
    assert text.count("doi:") + without_doi == text.count("\n[")
    assert "Ronneberger" not in text


def test_every_check_of_the_model_has_its_words():
    tracks = pd.DataFrame(
        [(p, f, 10.0 * p + 0.1 * f, 5.0) for p in range(3) for f in range(4)],
        columns=["particle", "frame", "x", "y"],
    )
    assert {check.name for check in check_model(tracks)} <= set(_CHECKS)


def test_a_table_of_tracks_says_nothing_of_detection_or_linking():
    text = sound(methods_text(table()))
    assert text.startswith("A table of tracks was analysed")
    for word in ("located", "network", "SHA", "linked", "search range", "speck", "left out"):
        assert word not in text
    assert "Crocker" not in text
    assert "Tracks seen in fewer than 5 frames were dropped." in text


@pytest.mark.parametrize(
    ("pixel", "interval", "exposure", "said", "not_said"),
    [
        (0.1, 0.05, None, ["an unknown exposure", "either sign", "then taken to be short"],
         ["Motion blur was", "Backlund"]),
        (0.1, 0.05, 0, ["exposure of 0 s", "taken as instantaneous"],
         ["Motion blur was", "Backlund", "either sign"]),
        (0.1, 0.05, 0.05, ["exposure of 0.05 s", "averaged over the exposure", "Backlund"],
         ["either sign", "instantaneous"]),
        (0.1, None, 0.05, ["in pixels and frames", "either sign"],
         ["0.05 s", "Motion blur was", "Backlund"]),
        (None, None, None, ["in pixels and frames", "either sign"], [" s between", "Backlund"]),
    ],
)  # fmt: skip
def test_exposure_and_calibration(pixel, interval, exposure, said, not_said):
    summary = video()
    summary["calibration"] = {
        "pixel_size_um": pixel, "frame_interval_s": interval, "exposure_s": exposure
    }  # fmt: skip
    text = sound(methods_text(summary))
    assert all(part in text for part in said)
    assert not any(part in text for part in not_said)


def test_long_lags_are_named_only_where_they_were_used():
    summary = video(
        D_um2_per_s=estimate(0.4, "um^2/s", stride_frames=5), long_lags_frames=[5, 8, 12]
    )
    summary["checks"][0] = check("displacement correlations", 0.123, passed=False)
    text = sound(methods_text(summary))
    assert "displacements over 5 frames, beginning in every frame, were used, and" in text
    assert "to hold what 8 and 12 frames give" in text
    assert "failed: the correlations of displacements" in text
    assert "(largest correlation 0.123)" in text
    assert "nevertheless" not in text
    summary["measured"]["long_lags_frames"] = [5]
    assert "widened" not in sound(methods_text(summary))
    summary["measured"]["D_um2_per_s"]["stride_frames"] = 1
    text = sound(methods_text(summary))
    assert "over 5 frames" not in text
    assert "D rests on displacements of neighbouring frames nevertheless." in text


def test_what_links_took_of_D_is_told_where_it_was_put_back():
    summary = video(D_um2_per_s=estimate(0.4, "um^2/s", links_lost=0.023))
    assert "linked in the same way [" in methods_text(summary)
    assert "and kept 97.7% of D" in methods_text(summary)
    assert "linked in the same way" not in methods_text(video())


def test_displacements_near_the_border_are_told_where_they_were_left_out():
    summary = video(D_um2_per_s=estimate(0.4, "um^2/s", near_border=0.123))
    assert "border of the field of view (12.3% of all) were left out" in methods_text(summary)
    for share in (0.0, 0.8):
        summary = video(D_um2_per_s=estimate(0.4, "um^2/s", near_border=share))
        assert "border" not in methods_text(summary)


@pytest.mark.parametrize(
    ("method", "asked", "said"),
    [
        ("none", "auto", "significant at the 0.1% level, and none was subtracted"),
        ("none", "none", "Drift was not corrected."),
        ("steady", "auto", "and was subtracted"),
        ("mean", "auto", "changed with time"),
    ],
)
def test_drift(method, asked, said):
    summary = video(drift_method=method)
    summary["config"]["drift"] = asked
    text = sound(methods_text(summary))
    assert said in text
    assert ("px a frame" in text) == (method == "steady")


def test_a_search_range_that_was_given_or_guessed_was_not_measured():
    given = video(search_range_measured=False)
    given["config"]["search_range_px"] = 12.34
    text = sound(methods_text(given))
    assert "Semrau" not in text
    assert "Too few steps" not in text
    assert "Too few steps" in sound(methods_text(video(search_range_measured=False)))


@pytest.mark.parametrize(
    ("model", "twin", "said", "not_said"),
    [
        ({"bundled": False}, None, ["trained beforehand"], ["comes with"]),
        ({"networks": 5}, None, ["5 convolutional neural networks together"], []),
        ({"context_frames": 1}, None, ["shown each frame with the 1 frame before"], []),
        ({"polarity": "dark"}, None, ["dark on bright ground"], ["Poisson"]),
        ({"doubtful_spots_weighed": True}, None, ["Isolated detections", "Poisson", "Robbins"],
         []),
        ({"architecture": "unet"}, None, ["a U-Net [1]", "areas of 3 px² or more", "Ronneberger"],
         ["bright on dark", "Gaussian"]),
        ({"bundled": False}, "f" * 64, ["trained for the recording, without labels", "simulated"],
         ["comes with", "beforehand"]),
        ({"bundled": False}, "e" * 64, ["measured in another recording"], ["for the recording"]),
    ],
)  # fmt: skip
def test_detectors(model, twin, said, not_said):
    summary = video()
    summary["model"] |= model
    if twin is not None:
        summary["twin"] = {"video": "gel.tif", "video_sha256": twin}
    text = sound(methods_text(summary))
    assert all(part in text for part in said)
    assert not any(part in text for part in not_said)


@pytest.mark.parametrize(
    ("interval", "low", "said"),
    [
        ("bootstrap", 0.3, "allows for skewness"),
        ("bootstrap", 0.0, "which reaches zero, holds that of the likelihood"),
        ("model (one particle cannot be resampled)", 0.3, "because one particle cannot be"),
        ("model (the particles do not scatter)", 0.3, "because the particles do not scatter"),
    ],
)
def test_intervals(interval, low, said):
    summary = video(
        D_um2_per_s=estimate(0.4, "um^2/s", interval=interval, low=low),
        alpha=estimate(1.0, "1", interval=interval),
    )
    text = sound(methods_text(summary))
    assert said in text
    assert ("Efron" in text) == (interval == "bootstrap")
    assert ("McCaffrey" in text) == (interval == "bootstrap")
    assert ("Hall" in text) == (interval == "bootstrap" and low > 0)


def test_nothing_measured_leaves_no_method_of_measuring():
    summary = video(
        D_um2_per_s=None, alpha=None, tracks=0, tracks_linked=0, tracks_left_out=0,
        tracks_left_out_by=None, static_specks=0, search_range_px=None,
        search_range_measured=False, localisation_error_um=None, localisation_error_from=None,
    )  # fmt: skip
    summary["checks"] = [check(one["name"], None) for one in summary["checks"]]
    text = sound(methods_text(summary))
    assert "No value of D and alpha could be given." in text
    for word in ("likelihood", "drift", "linked", "checked", "interval of", "References"):
        assert word not in text
    only_D = sound(methods_text(video(alpha=None)))
    assert "fractional" not in only_D
    assert "No value of alpha could be given." in only_D


def test_several_videos_say_in_how_many_each_holds():
    other = video(drift_method="none", search_range_px=15.0, static_specks=0)
    other["video"] = {"name": "b.tif", "sha256": "e" * 64, "shape": [300, 512, 640]}
    text = sound(methods_text(several(video(), other, table())))
    assert text.startswith(
        "2 videos of 300 to 20000 frames of 640 x 512 px and a table of tracks were analysed"
    )
    for part in (
        "at a search range of 12.3 to 15.0 px and a memory of 3 frames (in 2 of 3 recordings).",
        "were masked (in 1 of 3 recordings).",
        "none was subtracted (in 1 of 3 recordings).",
        "24 of 104 tracks were left out",
        "separately for each recording",
        "means over the recordings",
        "with Student's t",
        "on average 0.02 µm",
    ):
        assert part in text
    assert "bootstrap samples" not in text


def test_videos_without_an_estimate_are_named_as_they_are():
    bad = copy.deepcopy(video(D_um2_per_s=None, alpha=None, tracks=0))
    bad["video"]["name"] = "a<b>.tif"
    text = sound(
        methods_text(
            several(
                video(), bad,
                D_um2_per_s=estimate(0.4, "um^2/s", interval="bootstrap within the one video"),
                alpha=estimate(1.0, "1", interval="bootstrap within the one video"),
            )
        )
    )  # fmt: skip
    assert "a<b>.tif gave no D." in text
    assert "One recording alone gave an estimate." in text
    assert "2000 bootstrap samples" in text


# Those that could not be confirmed by what can be read in public.
WITHOUT_DOI = {"backlund", "bell", "gourieroux", "hall", "mackinnon", "robbins"}


def test_papers_have_their_journal_year_and_doi():
    references = References()
    assert references.cite("hall", "crocker") == "[1, 2]"
    assert references.cite("crocker") == "[2]"
    assert len(references.lines()) == 2
    for name, paper in PAPERS.items():
        doi = "$" if name in WITHOUT_DOI else r", doi:10\.\d{4,}/\S+$"
        assert re.search(r"[A-Z]\. .*, .* \d+, \w+ \((19|20)\d\d\)" + doi, paper)
