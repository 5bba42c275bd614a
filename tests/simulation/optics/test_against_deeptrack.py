"""Frames against those that DeepTrack2 renders as a whole, at its own pace."""

import math

import numpy as np
import pytest
import torch

from cloudtrainer.config import OpticsSettings
from cloudtrainer.simulation.optics.microscope import Microscope, Placed
from cloudtrainer.simulation.optics.stack import compute_stack

pytestmark = pytest.mark.usefixtures("dt")

# Its frames are periodic: in smaller ones the far rings of coherent light come back.
SIDE = 382
CROWD = [(0, 0), (5, -2), (-3, 3), (-20, 30)]
SETTINGS = {
    "fluorescence": {"kind": "fluorescence", "particle_radius_um": 0.0},
    "brightfield": {"kind": "brightfield"},
    "darkfield": {"kind": "darkfield"},
}


@pytest.fixture(scope="module")
def stacks():
    return {kind: compute_stack(OpticsSettings(**given)) for kind, given in SETTINGS.items()}


def frame(stacks, kind, side, particles, fill):
    """Render particles (row, column, height) with the package."""
    view = Microscope(
        stacks[kind], OpticsSettings(**SETTINGS[kind], pixel_fill=fill), torch.device("cpu")
    )
    row, column, height = (torch.tensor([part]).float() for part in zip(*particles, strict=True))
    placed = Placed(column, row, height, torch.ones_like(row))
    return view.light(placed, side, side)[0].numpy().astype(float)


def in_our_unit(image, render, optics, finer=1):
    """Divide by what a particle sends through the aperture; a lamp's light is 1 as it is."""
    if optics.kind == "fluorescence":
        pixel = optics.pixel_size_um / finer * 1000
        return image / (math.pi * (optics.numerical_aperture * pixel / optics.wavelength_nm) ** 2)
    if optics.kind == "darkfield":
        middle = SIDE // 2
        return image / render(optics, SIDE, [(middle, middle, 0.0)], finer).sum()
    return image


def difference(own, theirs, kind):
    ground = 1.0 if kind == "brightfield" else 0.0
    return np.abs(own - theirs).max() / np.abs(theirs - ground).max()


@pytest.mark.parametrize("height", [0.0, 0.7, -0.7])
@pytest.mark.parametrize("kind", SETTINGS)
def test_frames_are_those_of_deeptrack_at_whole_pixels(stacks, render, kind, height):
    optics = OpticsSettings(**SETTINGS[kind])
    for places in (CROWD[:1], CROWD):
        particles = [(SIDE // 2 + row, SIDE // 2 + column, height) for row, column in places]
        theirs = in_our_unit(render(optics, SIDE, particles), render, optics)
        own = frame(stacks, kind, SIDE, particles, fill=0.0)
        assert difference(own, theirs, kind) < 0.01


@pytest.mark.parametrize("kind", ["brightfield", "darkfield"])
def test_fields_lie_between_pixels_where_deeptrack_puts_them(stacks, render, kind):
    # It places fields, unlike volumes, without interpolation.
    optics = OpticsSettings(**SETTINGS[kind])
    particles = [(190.37, 191.5, 0.0), (194.81, 188.12, 0.0)]
    theirs = in_our_unit(render(optics, SIDE, particles), render, optics)
    assert difference(frame(stacks, kind, SIDE, particles, fill=0.0), theirs, kind) < 0.01


@pytest.mark.parametrize("fill", [0.0, 1.0])
@pytest.mark.parametrize("kind", SETTINGS)
def test_between_pixels_it_is_deeptracks_frame_of_pixels_a_third_as_large(
    stacks, render, kind, fill
):
    optics = OpticsSettings(**SETTINGS[kind])
    finer, half = 3, 40
    side = 574 if kind == "brightfield" else SIDE
    shifts = [(1, 1), (7, -4), (-17, 12)]
    height = 0.7 if kind == "brightfield" else 0.0
    fine = render(
        optics, side, [(side // 2 + row, side // 2 + col, height) for row, col in shifts], finer
    )
    fine = in_our_unit(fine, render, optics, finer)
    fine = fine if kind == "brightfield" else fine * finer**2
    centres = side // 2 + finer * np.arange(-half, half + 1)
    steps = (-1, 0, 1) if fill else (0,)
    theirs = np.mean(
        [fine[np.ix_(centres + down, centres + across)] for down in steps for across in steps],
        axis=0,
    )
    particles = [(half + row / finer, half + col / finer, height) for row, col in shifts]
    own = frame(stacks, kind, 2 * half + 1, particles, fill)
    assert difference(own, theirs, kind) < 0.01
