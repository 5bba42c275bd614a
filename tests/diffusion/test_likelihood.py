"""The likelihoods against dense covariance matrices, formula by formula."""

import numpy as np
import pandas as pd
import pytest
from scipy.integrate import dblquad
from scipy.stats import multivariate_normal

from cloudtrainer.diffusion.fractional import (
    blocks_of,
    blurred_power_law,
    largest_motion_part,
    toeplitz_forms,
)
from cloudtrainer.diffusion.likelihood import pad_steps, quadratic_forms
from cloudtrainer.diffusion.steps import steps_of
from cloudtrainer.diffusion.tracks import track_arrays


def gappy_tracks(seed: int, kept: float = 0.7) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    frame = np.tile(np.arange(25), 6)
    tracks = pd.DataFrame(
        {
            "particle": np.repeat(np.arange(6), 25),
            "frame": frame,
            "x": rng.normal(size=frame.size).cumsum(),
            "y": rng.normal(size=frame.size).cumsum(),
        }
    )
    return tracks[(rng.random(len(tracks)) < kept) & (tracks["frame"] < 8 + 3 * tracks["particle"])]


def dense_log_likelihood(track: pd.DataFrame, D: float, s: float) -> float:
    """Gaussian density of the displacements, their covariance from that of the positions."""
    frame = track["frame"].to_numpy(float)
    # Var(r(t)) about a far origin, and noise of variance s on each position.
    position_covariance = 2 * D * np.minimum.outer(frame, frame) + s * np.eye(len(frame))
    difference = np.diff(np.eye(len(frame)), axis=0)
    covariance = difference @ position_covariance @ difference.T
    steps = np.diff(track[["x", "y"]].to_numpy(), axis=0)
    return float(multivariate_normal(cov=covariance).logpdf(steps.T).sum())


@pytest.mark.parametrize("kept", [0.7, 1.0])
@pytest.mark.parametrize(("D", "s"), [(0.5, 0.0), (0.3, 2.0), (1.0, -1 / 3), (1e-3, 1.0)])
def test_brownian_likelihood_with_gaps(D, s, kept):
    tracks = gappy_tracks(5, kept)
    steps = steps_of(track_arrays(tracks))
    variance = 2 * D + 2 * s
    form, logs = quadratic_forms(pad_steps(steps), np.array([0.1, D / variance]))
    size = 2 * steps.per_particle
    found = -0.5 * (size * np.log(2 * np.pi * variance) + logs[:, 1] + form[:, 1] / variance)
    for particle, value in zip(steps.particle, found, strict=True):
        track = tracks[tracks["particle"] == particle]
        assert value == pytest.approx(dense_log_likelihood(track, D, s), rel=1e-10)


def test_gap_free_determinant_is_the_product_of_the_sine_transform_eigenvalues():
    frame = np.arange(18)
    tracks = pd.DataFrame({"particle": 0, "frame": frame, "x": frame % 5, "y": frame % 3})
    D, s = 0.4, 0.7
    N = 17
    eigenvalue = 2 * D + 2 * s * (1 - np.cos(np.arange(1, N + 1) * np.pi / (N + 1)))
    padded = pad_steps(steps_of(track_arrays(tracks)))
    _, logs = quadratic_forms(padded, np.array([D / (2 * D + 2 * s)]))
    expected = 2 * np.log(eigenvalue / (2 * D + 2 * s)).sum()
    assert logs[0, 0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.4, 1.0, 1.6])
@pytest.mark.parametrize("exposure", [0.2, 1.0])
@pytest.mark.parametrize("lag", [1.0, 2.0, 7.0])
def test_blur_is_the_average_over_both_exposures(alpha, exposure, lag):
    """B(n) = <|n + u - v|^alpha> - <|u - v|^alpha>, u and v uniform over the exposure."""

    def mean_of(shift: float) -> float:
        value, _ = dblquad(
            lambda u, v: abs(shift + u - v) ** alpha, 0, exposure, 0, exposure, epsabs=1e-9
        )
        return value / exposure**2

    expected = mean_of(lag) - mean_of(0.0)
    found = blurred_power_law(np.array([lag]), alpha, exposure)[0]
    assert found == pytest.approx(expected, rel=2e-5)


def test_blur_series_and_closed_form_meet():
    for alpha in (0.2, 0.7, 1.3, 1.9):
        below = blurred_power_law(np.array([4 - 1e-9]), alpha, 1.0)[0]
        above = blurred_power_law(np.array([4.0]), alpha, 1.0)[0]
        assert above == pytest.approx(below, rel=1e-8)
        # Toward a strobe the blur vanishes, with no cancellation left.
        tiny = blurred_power_law(np.arange(1.0, 1000), alpha, 1e-3)
        offset = 2 * 1e-3**alpha / ((alpha + 1) * (alpha + 2))
        strobe = np.arange(1.0, 1000) ** alpha - offset
        np.testing.assert_allclose(tiny, strobe, rtol=1e-6)


def test_brownian_blur_is_a_third_of_the_exposure():
    lag = np.arange(1.0, 30)
    np.testing.assert_allclose(blurred_power_law(lag, 1.0, 0.6), lag - 0.2, rtol=1e-12)


@pytest.mark.parametrize("alpha", [0.3, 0.8, 1.0, 1.4])
@pytest.mark.parametrize("exposure", [0.0, 0.5, 1.0])
def test_largest_motion_part_is_where_long_matrices_cease_to_be_positive_definite(alpha, exposure):
    n = 800
    B = blurred_power_law(np.arange(n + 1.0), alpha, exposure)
    B /= B[1]
    motion = np.append(1.0, (B[2:] + B[:-2] - 2 * B[1:-1]) / 2)
    v = largest_motion_part(alpha, exposure)
    noise = np.zeros(n)
    noise[:2] = 1.0, -0.5
    index = np.abs(np.subtract.outer(np.arange(n), np.arange(n)))
    smallest = np.linalg.eigvalsh((v * motion + (1 - v) * noise)[index])[0]
    assert abs(smallest) < 2e-3
    beyond = 1.05 * v
    assert np.linalg.eigvalsh((beyond * motion + (1 - beyond) * noise)[index])[0] < -1e-3


@pytest.mark.parametrize(
    ("alpha", "v", "exposure"), [(0.6, 0.7, 0.0), (1.3, 1.1, 0.0), (0.8, 0.9, 1.0)]
)
def test_fractional_likelihood_of_cut_tracks(alpha, v, exposure):
    tracks = gappy_tracks(8, 0.85)
    steps = steps_of(track_arrays(tracks))
    found = toeplitz_forms(blocks_of(steps), alpha, v, exposure)
    assert found is not None
    form, logs = found
    B = blurred_power_law(np.arange(30.0), alpha, exposure)
    M = v * B / B[1] + (1 - v)
    M[0] = 0
    for i, particle in enumerate(steps.particle):
        track = tracks[tracks["particle"] == particle]
        breaks = np.flatnonzero(np.diff(track["frame"]) != 1) + 1
        runs = np.split(track[["x", "y"]].to_numpy(), breaks)
        expected_form = expected_logs = 0.0
        for run in runs:
            steps_here = np.diff(run, axis=0)
            n = len(steps_here)
            if n == 0:
                continue
            gamma = [1.0] + [(M[k + 1] + M[k - 1] - 2 * M[k]) / 2 for k in range(1, n)]
            matrix = np.array(gamma)[np.abs(np.subtract.outer(np.arange(n), np.arange(n)))]
            expected_form += float((steps_here * np.linalg.solve(matrix, steps_here)).sum())
            expected_logs += 2 * float(np.linalg.slogdet(matrix)[1])
        assert form[i] == pytest.approx(expected_form, rel=1e-9)
        assert logs[i] == pytest.approx(expected_logs, rel=1e-9, abs=1e-9)


def test_long_tracks_are_cut_into_equal_blocks():
    frame = np.arange(601)
    tracks = pd.DataFrame({"particle": 0, "frame": frame, "x": frame * 1.0, "y": 0.0})
    blocks = blocks_of(steps_of(track_arrays(tracks)), longest=256)
    assert [sorted(set(n.tolist())) for n in blocks.length] == [[200]]
    assert blocks.size.tolist() == [1200]
