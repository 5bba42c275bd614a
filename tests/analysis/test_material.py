"""Temperature, radius and viscosity in an analysis, and its mobility as files."""

import json
import math
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import openpyxl
import pandas as pd
import pytest
from bright_spots import brownian_tracks, spots_video

from cloudtrainer.analysis import analyze
from cloudtrainer.analysis.material import Material, MaterialFindings
from cloudtrainer.analysis.material_report import material_methods
from cloudtrainer.analysis.transport import _from_long_lags
from cloudtrainer.analysis.workbook import write_workbook
from cloudtrainer.diffusion import BOLTZMANN, free_diffusion
from cloudtrainer.errors import CalibrationError, ConfigError

CALIBRATION = {"pixel_size_um": 0.1, "frame_interval_s": 0.01}
# Steps of 1 px a frame on each axis: D = 0.5 um^2/s; that of this sphere in this liquid at 300 K.
D, RADIUS_UM = 0.5, 0.25
VISCOSITY = BOLTZMANN * 300 / (6 * math.pi * D * RADIUS_UM * 1e-18)
SHEETS = [
    "summary", "tracks", "effective diffusivities", "fractions", "fastest 10 %", "MSD per track",
    "settings and units",
]  # fmt: skip


class Text(HTMLParser):
    def __init__(self, path):
        super().__init__()
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def beads(tmp_path_factory):
    """A table of tracks whose name would be a formula, with all that can be known of it."""
    folder = tmp_path_factory.mktemp("beads")
    table = folder / "=HYPERLINK(1).csv"
    brownian_tracks(40, 120, 1.0, noise_px=0.2).to_csv(table, index=False)
    return analyze(
        table,
        folder / "out",
        **CALIBRATION,
        temperature_K=300.0,
        particle_radius_um=RADIUS_UM,
        viscosity_Pa_s=VISCOSITY,
        particle_radius_relative_error=0.02,
        static_error_um=0.02,
        time_scales_s=(0.05, 0.2),
    )


def test_D_is_compared_with_that_of_a_free_particle(beads):
    material = json.loads((beads.out / "summary.json").read_text())["material"]
    assert material["free_D_um2_per_s"]["value"] == pytest.approx(D)
    found = material["measured_Boltzmann_constant_J_per_K"]
    assert found["low"] < BOLTZMANN < found["high"]
    assert material["D_over_free"] == pytest.approx(1, abs=0.1)
    assert "free diffusion coefficient 0.5" in str(beads)
    text = Text(beads.out / "report.html").text
    for said in ("D measured over D free", "Storage and loss modulus", "Fractions of transport"):
        assert said in text


def test_the_moduli_are_those_of_the_liquid(beads):
    moduli = pd.read_csv(beads.out / "moduli.csv")
    true = VISCOSITY * moduli["angular_frequency_rad_per_s"]
    middle = slice(3, -3)
    ratio = moduli["loss_modulus_Pa"] / true
    assert np.median(ratio[middle]) == pytest.approx(1, abs=0.25)
    entry = beads.summary["material"]["moduli"]
    assert entry["msd_offset_um2"] == pytest.approx(4 * 0.02**2)
    assert any(said.startswith("G' and G''") for said in beads.summary["warnings"])
    assert (beads.out / "figures" / "moduli.png").is_file()


@pytest.mark.parametrize(
    ("known", "quantity", "value"),
    [
        ({"particle_radius_um": RADIUS_UM}, "measured_viscosity_Pa_s", VISCOSITY),
        ({"viscosity_Pa_s": VISCOSITY}, "measured_hydrodynamic_radius_um", RADIUS_UM),
    ],
)
def test_what_is_not_known_follows_from_D(tmp_path, without_pictures, known, quantity, value):
    tracks = brownian_tracks(40, 60, 1.0, seed=1)
    found = analyze(tracks, tmp_path / "out", **CALIBRATION, temperature_K=300.0, **known)
    entry = found.summary["material"][quantity]
    assert entry["low"] < value < entry["high"]
    assert (tmp_path / "out" / "moduli.csv").exists() == ("particle_radius_um" in known)


def test_the_workbook_has_a_sheet_for_each_table_and_no_formula(beads):
    book = openpyxl.load_workbook(beads.out / "mobility.xlsx")
    assert book.sheetnames == SHEETS
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert book["summary"]["F2"].value == "=HYPERLINK(1).csv"
    assert book["summary"]["F2"].quotePrefix
    assert book["tracks"].max_row == 41
    assert book["MSD per track"].max_column == 41


def test_the_tables_hold_what_the_workbook_and_the_summary_hold(beads):
    numbers = pd.read_csv(beads.out / "mobility.csv")
    entry = beads.summary["mobility"]
    row = entry["effective_diffusivity_um2_per_s"][0]
    assert row["time_scale_s"] == pytest.approx(0.05)
    assert row["mean_by_particle_low"] < D < row["mean_by_particle_high"]
    assert numbers["value"].iloc[0] == pytest.approx(row["mean_by_particle"], rel=1e-4)
    sheet = pd.read_excel(beads.out / "mobility.xlsx", sheet_name="effective diffusivities")
    assert sheet["mean_by_particle_um2_per_s"].iloc[0] == pytest.approx(row["mean_by_particle"])
    tracks = pd.read_csv(beads.out / "mobility_tracks.csv")
    of_workbook = pd.read_excel(beads.out / "mobility.xlsx", sheet_name="tracks")
    assert list(of_workbook) == list(tracks)
    assert len(tracks) == 40
    assert {
        "class",
        "D_um2_per_s",
        "D_high_um2_per_s",
        "Deff_0.05s_um2_per_s",
        "Deff_0.2s_over_free",
    } <= set(tracks)
    assert entry["msd_offset_from"] == "the localisation error given"


def test_classes_that_rest_on_long_lags_are_told_so():
    found = SimpleNamespace(tracks=pd.DataFrame({"class": ["undetermined"] * 4 + ["diffusive"]}))
    (said,) = _from_long_lags(5, found)
    assert "displacements over 5 frames" in said
    assert "80% of the tracks have none" in said
    assert not _from_long_lags(1, found)
    found.tracks["class"] = "diffusive"
    assert not _from_long_lags(5, found)


def test_without_calibration_nothing_is_said_of_the_material(tmp_path, without_pictures):
    found = analyze(
        brownian_tracks(12, 60, 1.0), tmp_path / "out", temperature_K=300.0, viscosity_Pa_s=1e-3
    )
    assert "mobility" not in found.summary
    assert not (tmp_path / "out" / "mobility.xlsx").exists()
    assert any("says nothing of viscosity" in said for said in found.summary["warnings"])


def test_what_cannot_be_told_is_a_warning(tmp_path, without_pictures):
    """Tracks of ten frames have no moduli, and particles that stand still no viscosity."""
    found = analyze(
        brownian_tracks(12, 10, 0.0, noise_px=0.2), tmp_path / "out", **CALIBRATION,
        temperature_K=300.0, particle_radius_um=RADIUS_UM,
    )  # fmt: skip
    said = " ".join(found.summary["warnings"])
    assert "G' and G'': not estimated" in said
    assert "moduli" not in found.summary["material"]
    if found.diffusion.value <= 0:
        assert "The viscosity: not estimated" in said


def test_stuck_beads_are_no_solid(tmp_path, without_pictures):
    found = analyze(
        brownian_tracks(20, 120, 0.0, noise_px=0.3), tmp_path / "out", **CALIBRATION,
        temperature_K=300.0, particle_radius_um=RADIUS_UM,
    )  # fmt: skip
    said = " ".join(found.summary["warnings"])
    assert "G' and G'': not estimated (the particles do not move beyond localisation" in said
    assert not (tmp_path / "out" / "moduli.csv").exists()


def test_stuck_beads_of_the_video_give_one_offset(tmp_path, without_pictures):
    still = brownian_tracks(10, 120, 0.0, noise_px=0.3, seed=2)
    both = pd.concat([brownian_tracks(30, 120, 1.0, noise_px=0.3, seed=1),
                      still.assign(particle=still["particle"] + 30)])  # fmt: skip
    found = analyze(
        both, tmp_path / "out", **CALIBRATION, temperature_K=300.0, particle_radius_um=RADIUS_UM
    )
    of_moduli = found.summary["material"]["moduli"]["msd_offset_um2"]
    assert of_moduli == pytest.approx(4 * 0.03**2, rel=0.1)
    assert of_moduli == pytest.approx(found.summary["mobility"]["msd_offset_um2"])
    said = " ".join(found.summary["warnings"])
    assert "Film beads" not in said
    assert "MSD of the immobile particles of this video" in said


def test_without_static_error_the_offset_is_that_of_the_fit(tmp_path, without_pictures):
    found = analyze(
        brownian_tracks(30, 120, 1.0, noise_px=0.5, seed=1), tmp_path / "out", **CALIBRATION,
        temperature_K=300.0, particle_radius_um=RADIUS_UM,
    )  # fmt: skip
    offset = found.summary["material"]["moduli"]["msd_offset_um2"]
    assert offset == pytest.approx(4 * (0.5 * CALIBRATION["pixel_size_um"]) ** 2, rel=0.3)
    said = " ".join(found.summary["warnings"])
    assert "the offset of the fitted power law" in said
    assert "No offset was taken out" not in said


@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_static_error_above_the_motion_gives_no_numbers(tmp_path, without_pictures):
    found = analyze(
        brownian_tracks(20, 120, 1.0), tmp_path / "out", **CALIBRATION,
        temperature_K=300.0, particle_radius_um=RADIUS_UM, static_error_um=0.2,
    )  # fmt: skip
    said = " ".join(found.summary["warnings"])
    assert "The static error given (0.2 um) is larger than the particles' whole motion" in said
    row = found.summary["mobility"]["effective_diffusivity_um2_per_s"][0]
    assert row["mean_by_particle"] is None
    assert not (tmp_path / "out" / "moduli.csv").exists()


def test_a_source_without_tracks_is_no_failure(tmp_path, without_pictures):
    found = analyze(
        brownian_tracks(3, 3, 1.0), tmp_path / "out", **CALIBRATION,
        temperature_K=300.0, particle_radius_um=RADIUS_UM, viscosity_Pa_s=VISCOSITY,
    )  # fmt: skip
    assert found.transport is None
    assert found.summary["material"]["free_D_um2_per_s"]["value"] == pytest.approx(D)
    assert found.summary["material"]["D_over_free"] is None
    assert any("Boltzmann's constant: not estimated" in s for s in found.summary["warnings"])


@pytest.mark.parametrize(
    ("known", "said", "kind"),
    [
        ({"temperature_K": 300.0}, "says nothing of D alone", ConfigError),
        ({"particle_radius_um": 0.1}, "without the temperature", ConfigError),
        ({"temperature_K": -1.0, "viscosity_Pa_s": 1e-3}, "temperature_K is -1", CalibrationError),
        ({"temperature_K": 300.0, "viscosity_Pa_s": math.nan}, "viscosity_Pa_s", CalibrationError),
        (
            {"temperature_K": 300.0, "viscosity_Pa_s": 1e-3, "viscosity_relative_error": 5.0},
            "such as 0.05 for 5%",
            CalibrationError,
        ),
        (
            {"temperature_K": 300.0, "particle_radius_um": 1.0, "wall_distance_um": 0.5},
            "into the wall",
            CalibrationError,
        ),
        ({"static_error_um": -0.1}, "static_error_um", CalibrationError),
        ({"static_error_um": 1e200}, r"from 0 to 100 um \(--static-error-um\)", CalibrationError),
        (
            {"temperature_K": 300.0, "particle_radius_um": 1e-300},
            r"radius of the particles.*--particle-radius-um",
            CalibrationError,
        ),
        (
            {"temperature_K": "warm", "viscosity_Pa_s": 1e-3},
            "temperature_K is 'warm'",
            CalibrationError,
        ),
        ({"pixel_size_um": 1e308}, r"pixel_size_um is 1e\+308 um", CalibrationError),
        ({"frame_interval_s": 1e-308}, "--frame-interval-s", CalibrationError),
        ({"wall_distance_um": 1.0}, "--wall-distance-um.*says nothing without", ConfigError),
        ({"temperature_error_K": 1.0}, "--temperature-error-k.*says nothing without", ConfigError),
        (
            {"particle_radius_relative_error": 0.1},
            "--particle-radius-relative-error.*says nothing without",
            ConfigError,
        ),
        (
            {"viscosity_relative_error": 0.1},
            "--viscosity-relative-error.*says nothing without",
            ConfigError,
        ),
        ({"time_scales_s": (0.0,)}, "time scale of 0.0 s", ConfigError),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_done(tmp_path, known, said, kind):
    with pytest.raises(kind, match=said):
        analyze(brownian_tracks(3, 5, 1.0), tmp_path / "out", **(CALIBRATION | known))
    assert not (tmp_path / "out").exists()


def test_a_table_analysed_again_leaves_no_moduli_of_before(tmp_path, without_pictures):
    known = {"temperature_K": 300.0, "particle_radius_um": RADIUS_UM}
    tracks = brownian_tracks(12, 60, 1.0)
    analyze(tracks, tmp_path / "out", **CALIBRATION, **known)
    assert (tmp_path / "out" / "moduli.csv").is_file()
    analyze(tracks, tmp_path / "out", overwrite=True)
    assert not list((tmp_path / "out").glob("mo*"))


def test_masked_specks_are_told_where_fractions_are(tmp_path, stand_in, without_pictures):
    """Stuck particles are taken for dirt unless they are kept."""
    from cloudtrainer.config import Config

    moving, still = spots_video(frames=110, grid=2), spots_video(frames=110, grid=2, step_sd_px=0)
    video = np.concatenate([moving, still], axis=2)
    masked = analyze(video, tmp_path / "masked", **CALIBRATION)
    assert any("4 places that never move" in said for said in masked.summary["warnings"])
    kept = analyze(
        video,
        tmp_path / "kept",
        config=Config.from_dict({"analysis": {"static_specks": "keep"}}),
        **CALIBRATION,
    )
    immobile = kept.summary["mobility"]["fractions"][0]
    assert (immobile["class"], immobile["particles"]) == ("immobile", 4)
    assert not any("never move" in said for said in kept.summary["warnings"])


def test_the_mean_of_a_drift_raises_the_least_motion(tmp_path, without_pictures):
    """Stuck particles take on the wandering of the mean that is subtracted from them."""
    rng = np.random.default_rng(3)
    tracks = pd.concat(
        [
            brownian_tracks(30, 100, 1.0, 0.1, seed=3),
            brownian_tracks(10, 100, 0.0, 0.1, seed=4).assign(particle=lambda t: t.particle + 30),
        ]
    )
    shake = rng.normal(0, 2, (100, 2)).cumsum(axis=0)
    moved = tracks.assign(
        x=tracks["x"] + shake[tracks["frame"], 0], y=tracks["y"] + shake[tracks["frame"], 1]
    )
    found = analyze(moved, tmp_path / "out", **CALIBRATION)
    assert found.summary["mobility"]["limits"]["immobile_um"] > 0.1
    immobile = found.summary["mobility"]["fractions"][0]
    assert immobile["particles"] == pytest.approx(10, abs=1)
    assert any("wanders with them" in said for said in found.summary["warnings"])


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0.50935, "0.0000"), (12.345, "0.00"), (98765.4, "0"), (1.2e-3, "0.000000"),
     (1e-14, "0.000E+00"), (-3e9, "0.000E+00"), (0.0, "0")],
)  # fmt: skip
def test_numbers_are_held_whole_and_shown_with_four_digits(tmp_path, value, shown):
    write_workbook({"a": pd.DataFrame({"n": [value]})}, tmp_path / "book.xlsx")
    cell = openpyxl.load_workbook(tmp_path / "book.xlsx")["a"]["A2"]
    assert cell.value == value
    assert cell.number_format == shown


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "a\x00b", "x" * 40000])
def test_no_text_becomes_a_formula_or_breaks_the_workbook(tmp_path, text):
    table = pd.DataFrame({text[:50]: [text, None], "number": [math.nan, math.inf]})
    write_workbook({"a": table}, tmp_path / "book.xlsx")
    sheet = openpyxl.load_workbook(tmp_path / "book.xlsx")["a"]
    assert sheet["A2"].data_type == "s"
    assert len(sheet["A2"].value) <= 32767
    assert sheet["A1"].data_type == "s"
    assert [sheet["B2"].value, sheet["B3"].value, sheet["A3"].value] == [None, None, None]


def test_the_methods_state_all_that_the_free_value_and_the_moduli_rest_on():
    given = Material(temperature_K=300.0, particle_radius_um=0.25, viscosity_Pa_s=9e-4)
    moduli = SimpleNamespace(offset_um2=0.0123, exposure_s=0.01)
    free, said = material_methods(
        MaterialFindings(given, free=free_diffusion(300.0, 0.25, 9e-4), moduli=moduli)
    )
    assert "D = 0.9766 µm²/s" in free
    assert "at 300 K, a particle radius of 0.25 µm and a viscosity of 0.0009 Pa s." in free
    assert "at 300 K and a particle radius of 0.25 µm" in said
    assert said.endswith("an offset of 0.0123 µm² taken out and motion blur put back.")
