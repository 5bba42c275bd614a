"""Particles that are found as two in a frame are joined, and two particles are not."""

import numpy as np
import pandas as pd
import pytest
from found_twice import dimers, filmed

from cloudtrainer.diffusion import estimate_diffusion
from cloudtrainer.errors import LabelError
from cloudtrainer.tracking import join_smeared, suggest_search_range, track_particles


def D_of(detections, reach):
    tracks = track_particles(detections, reach)
    return estimate_diffusion(tracks, None, None, interval="model").value


def test_smeared_particles_are_joined_at_the_mean_of_their_way_and_D_is_right():
    joined, apart = [], []
    for seed in range(3):
        found = filmed(seed)
        reach = suggest_search_range(found).value_px
        result = join_smeared(found, reach)
        twice = int(found.duplicated(["frame", "truth"]).sum())
        left = int(result.detections.duplicated(["frame", "truth"]).sum())
        assert result.joined == len(found) - len(result.detections)
        assert left < 0.2 * twice
        assert result.cause == "smear"
        assert "smeared by its motion" in result.warning
        assert result.warning.endswith("Shorten the exposure.")
        joined.append(D_of(result.detections, reach) / 5.0)
        apart.append(D_of(found, reach) / 5.0)
    assert np.mean(apart) < 0.95
    assert np.mean(joined) == pytest.approx(1.0, abs=0.03)


def pair(rows):
    """Two tracks that stay at their places; ``rows`` are (frame, x, intensity)."""
    table = pd.DataFrame(rows, columns=["frame", "x", "intensity"])
    return table.assign(y=10.0)


def one_particle(split_at=5, light=(60.0, 40.0), frames=10):
    rows = [(t, 10.0, 100.0) for t in range(frames) if t != split_at]
    return pair([*rows, (split_at, 8.0, light[0]), (split_at, 13.0, light[1])])


def test_the_centre_and_the_other_columns_of_a_joined_pair():
    table = one_particle().assign(x_error=0.1, y_error=0.2, probability=0.5, area=4.0, name="a")
    table.loc[table["x"] == 8.0, ["probability", "name"]] = 0.9, "brighter"
    result = join_smeared(table.sample(frac=1, random_state=3), 12.0)
    assert result.joined == 1
    row = result.detections[result.detections["frame"] == 5]
    assert len(row) == 1
    row = row.iloc[0]
    assert (row["x"], row["y"], row["intensity"]) == pytest.approx((10.0, 10.0, 100.0))
    assert row["x_error"] == pytest.approx(0.1 * np.hypot(0.6, 0.4))
    assert row["y_error"] == pytest.approx(0.2 * np.hypot(0.6, 0.4))
    assert (row["probability"], row["area"], row["name"]) == (0.9, 8.0, "brighter")


@pytest.mark.parametrize(
    "table",
    [
        pair([(t, x, 50.0) for t in range(10) for x in (8.0, 13.0)]),
        one_particle(light=(100.0, 90.0)),
        one_particle(light=(100.0, 15.0)),
        one_particle(light=(100.0, np.nan)),
        one_particle().drop(columns="intensity"),
        one_particle().iloc[:0],
    ],
    ids=["two particles", "bright enough for two", "noise", "unknown", "no brightness", "empty"],
)
def test_what_is_not_one_particle_is_left_as_it_was(table):
    result = join_smeared(table, 12.0)
    assert result.joined == 0
    assert result.warning is None
    pd.testing.assert_frame_equal(result.detections, table)


def test_parts_farther_apart_than_half_the_search_range_stay_two():
    assert join_smeared(one_particle(), 9.9).joined == 0
    assert join_smeared(one_particle(), 10.1).joined == 1


def test_two_particles_of_a_crowd_are_not_joined():
    rng = np.random.default_rng(1)
    place = rng.uniform(0, 100, (60, 2))
    rows = []
    for frame in range(20):
        place = place + rng.normal(0, 1.0, place.shape)
        rows += [(frame, *xy, 50.0) for xy in place]
    table = pd.DataFrame(rows, columns=["frame", "x", "y", "intensity"])
    assert join_smeared(table, 4.8 * 1.0).joined <= 1


def test_the_table_that_was_given_is_not_changed_and_bad_ones_say_where():
    table = one_particle()
    before = table.copy()
    join_smeared(table, 12.0)
    pd.testing.assert_frame_equal(table, before)
    with pytest.raises(LabelError, match="row 2, column x"):
        join_smeared(table.assign(x=[0.0, 1.0, np.nan, *range(len(table) - 3)]), 12.0)


@pytest.mark.parametrize("column", ["intensity", "area", "x_error", "probability"])
def test_what_is_joined_must_be_numbers_and_there_once(column):
    table = pd.DataFrame({"frame": [0, 0, 1], "x": [1.0, 2, 3], "y": 1.0, "intensity": 1.0})
    table[column] = ["bright", 1.0, None]
    with pytest.raises(LabelError, match=f"row 0, column {column}: 'bright' is not a number"):
        join_smeared(table, 5.0)
    with pytest.raises(LabelError, match=f"the column {column} is there twice"):
        join_smeared(pd.concat([table, table[[column]]], axis=1), 5.0)
    table[column] = [1.0, 1.0, None]
    assert join_smeared(table.astype({column: "Float64"}), 5.0).joined == 0


@pytest.mark.parametrize("D", [0.001, 0.2, 1.0, 5.0])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_particles_that_stay_together_are_not_called_smeared(seed, D):
    result = join_smeared(dimers(seed, D), 24.0)
    assert result.joined > 100
    assert result.cause == "pairs"
    assert "smeared" not in result.warning
    assert "two particles that stay together" in result.warning


@pytest.mark.parametrize(
    "table",
    [
        filmed(0, D=5.0, particles=8, frames=20),
        pd.concat([filmed(0), dimers(0, 5.0).assign(y=lambda t: t["y"] + 2000)]).sort_values(
            "frame", kind="stable"
        ),
    ],
    ids=["few", "both"],
)
def test_the_warning_is_true_of_both_where_the_data_do_not_tell(table):
    result = join_smeared(table, 20.0)
    assert result.joined > 0
    assert result.cause == "unknown"
    assert "smears a particle (then shorten the exposure)" in result.warning
    assert "two particles stay together" in result.warning


@pytest.mark.parametrize(("D", "split_from"), [(2.0, 1.8), (5.0, 2.2), (10.0, 2.8), (20.0, 5.0)])
def test_smear_is_told_at_any_speed(D, split_from):
    table = filmed(1, D=D, split_from=split_from, frames=120)
    result = join_smeared(table, suggest_search_range(table).value_px)
    assert result.joined > 20
    assert result.cause == "smear"


def test_joined_detections_are_not_joined_again():
    once = join_smeared(filmed(1, D=10.0), 17.0)
    again = join_smeared(once.detections, 17.0)
    assert once.joined > 100
    assert again.joined == 0
    pd.testing.assert_frame_equal(again.detections, once.detections)
    # Unmarked, as after another program has written them, some pairs are found among the joined.
    once.detections.attrs.clear()
    assert join_smeared(once.detections, 17.0).joined > 0
