"""Motion blur against its closed forms: fractional motion, and a bead on a spring."""

import numpy as np
import pytest

from cloudtrainer.diffusion.blur import MotionBlur
from cloudtrainer.diffusion.fractional import blurred_power_law

LAG = np.arange(1.0, 38.0)


def taken_out(seen, exposure=1.0, **how):
    blur = MotionBlur(LAG / 30, exposure / 30, 1 / (LAG * seen**2), **how)
    return blur.taken_out(seen[None])[0]


@pytest.mark.parametrize("exposure", [0.3, 1.0])
@pytest.mark.parametrize("alpha", [0.4, 0.5, 0.8, 1.0, 1.3])
def test_a_power_law_comes_back(alpha, exposure):
    seen = 0.02 * blurred_power_law(LAG, alpha, exposure)
    assert seen[0] < 0.02 * 0.95
    assert taken_out(seen, exposure) == pytest.approx(0.02 * LAG**alpha, rel=0.01)


def test_an_offset_that_holds_blur_leaves_its_curvature():
    seen = 0.02 * blurred_power_law(LAG, 0.5, 1.0)
    held = -0.02 * 2 / (1.5 * 2.5)
    found = taken_out(seen - held, offset_holds_blur=True)
    assert found == pytest.approx(0.02 * LAG**0.5, rel=0.002)


@pytest.mark.parametrize(("rate", "within"), [(0.05, 0.02), (0.3, 0.04), (1.0, 0.1)])
def test_a_bead_on_a_spring_comes_back(rate, within):
    """MSD 1 - exp(-rate t), averaged exactly over whole frames."""
    held = 2 * (rate - 1 + np.exp(-rate)) / rate**2
    seen = held - np.exp(-rate * LAG) * 2 * (np.cosh(rate) - 1) / rate**2
    assert taken_out(seen) == pytest.approx(1 - np.exp(-rate * LAG), rel=within)


def test_curves_are_dealt_with_one_by_one():
    seen = np.stack([0.02 * blurred_power_law(LAG, alpha, 1.0) for alpha in (0.5, 1.0)])
    blur = MotionBlur(LAG, 1.0, 1 / (LAG * seen[0] ** 2))
    both = blur.taken_out(seen)
    assert both[0] == pytest.approx(0.02 * LAG**0.5, rel=0.01)
    assert both[1] == pytest.approx(0.02 * LAG, rel=0.01)
    assert np.isnan(blur.taken_out(np.full((1, 37), np.nan))).all()
    below = -np.ones((1, 37))
    assert (blur.taken_out(below) == below).all()
