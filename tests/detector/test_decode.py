import numpy as np
import pytest

from cloudtrainer.detector.decode import positions_from_grid, positions_from_mask


def grid(*cells, shape=(10, 10)):
    """Return the arguments of cells given as (row, column, share, x, y, error)."""
    share = np.zeros(shape, np.float32)
    x, y = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    error = np.full(shape, 0.2, np.float32)
    for row, column, s, px, py, e in cells:
        share[row, column], x[row, column], y[row, column], error[row, column] = s, px, py, e
    return share, x, y, error, error


def test_nothing_gives_nothing():
    assert positions_from_grid(*grid()).shape == (0, 5)


def test_cells_that_agree_are_joined_by_share_and_precision():
    found = positions_from_grid(*grid((4, 4, 0.5, 9.0, 9.0, 0.1), (4, 5, 0.4, 9.3, 9.0, 0.2)))
    assert found.shape == (1, 5)
    weights = np.array([0.5 / 0.1**2, 0.4 / 0.2**2])
    assert found[0, 0] == pytest.approx(np.average([9.0, 9.3], weights=weights))
    assert found[0, 1] == pytest.approx(9.0)
    assert found[0, 2] == pytest.approx(np.sqrt(0.9 / weights.sum()))
    assert found[0, 4] == pytest.approx(0.9)


def test_a_probability_is_at_most_1():
    cells = [(4, 4 + i, 0.4, 9.0, 9.0, 0.1) for i in range(4)]
    assert positions_from_grid(*grid(*cells))[0, 4] == 1.0


def test_cells_that_point_elsewhere_are_particles_of_their_own():
    found = positions_from_grid(*grid((4, 4, 0.9, 9.0, 9.0, 0.1), (4, 5, 0.8, 11.0, 9.0, 0.1)))
    assert sorted(found[:, 0]) == [9.0, 11.0]


def test_a_chain_is_not_joined_from_end_to_end():
    cells = [(4, 3, 0.6, 8.0, 9.0, 0.1), (4, 4, 0.2, 9.0, 9.0, 0.1), (4, 5, 0.7, 10.4, 9.0, 0.1)]
    found = positions_from_grid(*grid(*cells))
    assert len(found) == 2
    assert found[:, 4].sum() == pytest.approx(1.5)


def test_faint_shares_are_no_particle():
    assert len(positions_from_grid(*grid((2, 2, 0.02, 5.0, 5.0, 0.1)))) == 0


def mask_of(drawing):
    return np.array([[character == "#" for character in line] for line in drawing.split()], bool)


def found_in(drawing, min_area=3, frame=None):
    mask = mask_of(drawing)
    probability = np.where(mask, 0.9, 0.1).astype(np.float32)
    frame = np.zeros(mask.shape, np.float32) if frame is None else frame
    return positions_from_mask(probability, frame, 0.5, min_area)


CROSS = """
.......
.......
...#...
..###..
...#...
.......
"""


def test_the_smallest_disc_survives_and_is_measured():
    frame = np.arange(42, dtype=np.float32).reshape(6, 7)
    found = found_in(CROSS, frame=frame)
    assert found.shape == (1, 5)
    x, y, probability, area, intensity = found[0]
    assert (x, y, area) == (3.0, 3.0, 5.0)
    assert probability == pytest.approx(0.9)
    assert intensity == pytest.approx(np.mean([17, 23, 24, 25, 31]))


@pytest.mark.parametrize(
    "drawing",
    [
        "........ ..##.... ..##.... ........",  # no disc of radius 1 fits in 2 x 2
        "........ .######. ........ ........",  # nor in a line
        "........ ........ ...#.... ........",
        "........ ........ ........ ........",
    ],
)
def test_what_holds_no_disc_is_opened_away(drawing):
    assert len(found_in(drawing)) == 0


def test_areas_that_touch_at_a_corner_are_two():
    drawing = """
    .#......
    ###.....
    .#.#....
    ..###...
    ...#....
    ........
    """
    # Pixel (2, 1) and (2, 3) do not touch; (3, 2) and (2, 1) touch at a corner only.
    found = found_in(drawing)
    assert sorted(map(tuple, found[:, :2].tolist())) == [(1.0, 1.0), (3.0, 3.0)]


def test_a_thin_bridge_is_cut():
    drawing = """
    ...........
    .###...###.
    .#########.
    .###...###.
    ...........
    """
    found = found_in(drawing)
    # A pixel of the bridge stays at each end: 8 px, of which the mean column is 2.5 and 7.5.
    assert sorted(found[:, 0].tolist()) == [2.5, 7.5]
    assert found[:, 3].tolist() == [8.0, 8.0]


def test_small_areas_go_before_the_opening():
    # 9 px, of which the opening leaves all but nothing below: the limit counts the whole area.
    drawing = "....... .###... .###... .###... ......."
    assert len(found_in(drawing, min_area=9)) == 1
    assert len(found_in(drawing, min_area=10)) == 0


@pytest.mark.parametrize(
    ("turns", "x", "y"), [(0, 7, 0.875), (1, 0.875, 7), (2, 7, 13.125), (3, 13.125, 7)]
)
def test_a_particle_cut_by_the_border_is_not_eroded_from_outside(turns, x, y):
    # Half a disc of radius 3 whose centre lies on the border: rows of 7, 5, 5 and 1 px, of which
    # the opening takes the two ends of the third.
    row, column = np.indices((15, 15))
    mask = np.rot90(np.hypot(column - 7, row) <= 3, turns).astype(np.float32)
    found = positions_from_mask(mask, mask, 0.5, 3)
    assert found[:, [0, 1, 3]].tolist() == [[x, y, 16.0]]


def test_the_threshold_decides():
    probability = np.zeros((9, 9), np.float32)
    probability[3:6, 3:6] = 0.6
    assert len(positions_from_mask(probability, probability, 0.5, 3)) == 1
    assert len(positions_from_mask(probability, probability, 0.7, 3)) == 0
