import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudtrainer.detector.decode import positions_from_grid
from cloudtrainer.detector.targets import (
    cell_centres,
    disc_masks,
    grid_loss,
    grid_targets,
    mask_loss,
    offset_errors,
)


def targets(positions, rows=16, columns=20):
    xy = torch.as_tensor(np.array(positions), dtype=torch.float32).reshape(1, -1, 2)
    present = torch.ones(xy.shape[:2], dtype=torch.bool)
    return grid_targets(xy[..., 0], xy[..., 1], present, rows, columns)


def decoded(positions, rows=16, columns=20):
    """Take the truth for the network's answer, and read positions from it."""
    share, offset, _ = (part[0].numpy() for part in targets(positions, rows, columns))
    across = np.arange(columns) * 2 + 0.5
    down = np.arange(rows)[:, None] * 2 + 0.5
    error = np.full_like(share, 0.1)
    return positions_from_grid(share, offset[0] + across, offset[1] + down, error, error)


def test_centres_of_cells_lie_between_their_two_pixels():
    assert cell_centres(3, torch.device("cpu")).tolist() == [0.5, 2.5, 4.5]


@settings(max_examples=100, deadline=None)
@given(x=st.floats(0.5, 38.5), y=st.floats(0.5, 30.5))
def test_the_shares_of_a_particle_add_up_to_1_wherever_it_is(x, y):
    share, _, _ = targets([[x, y]])
    assert float(share.sum()) == pytest.approx(1.0, abs=1e-4)
    assert int((share > 0).sum()) <= 4


def test_shares_are_bilinear_and_offsets_point_to_the_particle():
    share, offset, taught = targets([[11.0, 8.0]])
    # Cells 5 and 4: centres 10.5 and 8.5; a quarter of the way to 12.5, three to 6.5.
    assert share[0, 4, 5] == pytest.approx(0.75 * 0.75)
    assert share[0, 4, 6] == pytest.approx(0.25 * 0.75)
    assert share[0, 3, 5] == pytest.approx(0.75 * 0.25)
    assert share[0, 3, 6] == pytest.approx(0.25 * 0.25)
    rows, columns = torch.nonzero(taught[0], as_tuple=True)
    assert len(rows) == 8
    for row, column in zip(rows.tolist(), columns.tolist(), strict=True):
        dx, dy = offset[0, :, row, column].tolist()
        assert (column * 2 + 0.5 + dx, row * 2 + 0.5 + dy) == pytest.approx((11.0, 8.0))
        assert math.hypot(dx, dy) < 3.0


def test_a_cell_between_two_particles_points_to_the_nearer():
    _, offset, _ = targets([[10.0, 10.0], [15.0, 10.0]])
    assert offset[0, 0, 5, 5].item() == pytest.approx(-0.5)
    assert offset[0, 0, 5, 7].item() == pytest.approx(0.5, abs=1e-5)


def test_absent_particles_teach_nothing():
    x, y = torch.tensor([[8.0, 20.0]]), torch.tensor([[8.0, 20.0]])
    share, offset, taught = grid_targets(x, y, torch.tensor([[True, False]]), 16, 16)
    alone = targets([[8.0, 8.0]], 16, 16)
    torch.testing.assert_close(share, alone[0])
    assert torch.equal(taught, alone[2])
    empty = grid_targets(x, y, torch.tensor([[False, False]]), 16, 16)
    assert float(empty[0].sum()) == 0.0
    assert not bool(empty[2].any())
    assert bool(torch.isfinite(offset).all() & torch.isfinite(empty[1]).all())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_reading_the_targets_gives_the_truth_back(data):
    # One particle in each of some squares of 8 x 8 px, at least 2.5 px from the square's border.
    squares = data.draw(st.sets(st.tuples(st.integers(0, 4), st.integers(0, 3)), min_size=1))
    inner = st.floats(2.0, 5.0)
    positions = [[8 * i + data.draw(inner), 8 * j + data.draw(inner)] for i, j in sorted(squares)]
    found = decoded(positions)
    assert len(found) == len(positions)
    order = np.lexsort((found[:, 1] // 8, found[:, 0] // 8))
    np.testing.assert_allclose(found[order, :2], positions, atol=1e-3)
    np.testing.assert_allclose(found[:, 2:4], 0.1, rtol=1e-4)
    np.testing.assert_allclose(found[:, 4], 1.0, atol=0.07)


@pytest.mark.parametrize(
    ("x", "y"), [(0.0, 0.0), (-0.4, 10.0), (39.4, 10.3), (12.0, 31.4), (39.4, 31.4), (-0.4, -0.4)]
)
def test_particles_at_the_border_are_read_where_they_are(x, y):
    found = decoded([[x, y]])
    assert len(found) == 1
    np.testing.assert_allclose(found[0, :2], [x, y], atol=1e-3)


@pytest.mark.parametrize("shift", [0.0, 0.3, 0.5, 1.0, 1.7])
@pytest.mark.parametrize("angle", [0.0, 0.4, 0.8])
def test_two_particles_4_px_apart_stay_two(shift, angle):
    first = np.array([14.0 + shift, 12.0 + shift / 2])
    second = first + 4 * np.array([math.cos(angle), math.sin(angle)])
    found = decoded([first, second])
    assert len(found) == 2
    found = found[np.argsort(found[:, 0])]
    np.testing.assert_allclose(found[:, :2], [first, second], atol=1e-3)
    np.testing.assert_allclose(found[:, 4], 1.0, atol=0.07)


def answer_of(share, offset, error=0.1, sureness=1.0):
    """Return an answer of the grid network that states these shares, offsets and errors."""
    logit = torch.logit((sureness * share).clamp(1e-4, 1 - 1e-4))
    spread = torch.log(torch.expm1(torch.tensor(error - 0.01)))
    return torch.cat([logit[:, None], offset, spread.expand(len(share), 2, *share.shape[1:])], 1)


def test_stated_errors_are_positive_and_what_they_say():
    share, offset, _ = targets([[8.0, 8.0]])
    torch.testing.assert_close(
        offset_errors(answer_of(share, offset, 0.25)), torch.full((1, 2, 16, 20), 0.25)
    )
    assert float(offset_errors(torch.full((1, 5, 2, 2), -100.0)).min()) == pytest.approx(0.01)


def test_the_loss_falls_towards_the_truth():
    truth = targets([[8.3, 9.1], [21.7, 15.2], [30.0, 26.4]])
    share, offset, _ = truth

    def loss(**changes):
        moved = offset + changes.pop("shift", 0.0)
        return float(grid_loss(answer_of(share, moved, **changes), *truth))

    exact = loss()
    assert exact < loss(shift=0.1) < loss(shift=0.3) < loss(shift=1.0)
    assert exact < loss(sureness=0.7) < loss(sureness=0.3) < loss(sureness=0.01)


def test_the_loss_is_least_where_the_stated_error_is_the_true_one():
    truth = targets([[8.3, 9.1], [21.7, 15.2], [30.0, 26.4]])
    share, offset, _ = truth
    stated = [0.05, 0.1, 0.2, 0.4, 0.8]
    losses = [float(grid_loss(answer_of(share, offset + 0.2, error), *truth)) for error in stated]
    assert int(np.argmin(losses)) == 2


def test_an_empty_answer_does_not_win_on_an_almost_empty_image():
    truth = targets([[40.0, 40.0]], rows=64, columns=64)
    share, offset, _ = truth
    nothing = float(grid_loss(answer_of(share, offset, sureness=0.0), *truth))
    right = float(grid_loss(answer_of(share, offset), *truth))
    assert nothing - right > 1.0


def test_the_loss_of_a_batch_without_particles_is_finite_and_prefers_silence():
    none = torch.zeros(1, 1), torch.zeros(1, 1), torch.zeros(1, 1, dtype=torch.bool)
    truth = grid_targets(*none, 8, 8)
    quiet = torch.zeros(1, 5, 8, 8)
    quiet[:, 0] = -6.0
    loud = torch.zeros(1, 5, 8, 8)
    assert math.isfinite(float(grid_loss(quiet, *truth)))
    assert float(grid_loss(quiet, *truth)) < float(grid_loss(loud, *truth))


def test_discs_are_filled_circles_at_the_exact_centre():
    x, y = torch.tensor([[10.5, 30.0]]), torch.tensor([[8.0, 3.0]])
    masks = disc_masks(x, y, torch.tensor([[True, False]]), 20, 40, 3)
    assert masks.shape == (1, 20, 40)
    row, column = np.indices((20, 40))
    wanted = np.hypot(column - 10.5, row - 8.0) <= 3
    np.testing.assert_array_equal(masks[0].numpy(), wanted)
    rows, columns = np.nonzero(masks[0].numpy())
    assert (columns.mean(), rows.mean()) == (10.5, 8.0)


def test_the_mask_loss_falls_towards_the_truth_and_is_not_won_by_nothing():
    x, y = torch.tensor([[32.0]]), torch.tensor([[32.0]])
    masks = disc_masks(x, y, torch.ones(1, 1, dtype=torch.bool), 96, 96, 3)
    losses = [float(mask_loss((2 * masks - 1) * sure, masks)) for sure in (0.0, 1.0, 4.0, 8.0)]
    assert losses == sorted(losses, reverse=True)
    nothing = float(mask_loss(torch.full_like(masks, -8.0), masks))
    assert nothing > losses[-1] + 0.5
