"""Stacks against the theory of the microscope, worked out here with SciPy alone."""

import math

import numpy as np
import pytest
from scipy import special

from cloudtrainer.config import OpticsSettings
from cloudtrainer.simulation.optics.deeptrack2 import SIDES, point_image, sphere_fields
from cloudtrainer.simulation.optics.stack import compute_stack

pytestmark = pytest.mark.usefixtures("dt")

POINT = OpticsSettings(kind="fluorescence", particle_radius_um=0.0)
SPHERE = OpticsSettings(kind="brightfield")
WAVE_NUMBER = 2 * math.pi * 1.33 / 0.55


def airy(distance_um, aperture, wavelength_um):
    """Return the intensity of a point's image in focus; Born & Wolf, section 8.5.2, eq. 14."""
    v = np.maximum(2 * math.pi * aperture / wavelength_um * distance_um, 1e-9)
    peak = math.pi * (aperture / wavelength_um) ** 2
    return peak * (2 * special.j1(v) / v) ** 2


def scattering_amplitudes(size, index, cosine):
    """Return S1 and S2 of a sphere; Bohren & Huffman 1983, eq. 4.53 and 4.74."""
    orders = np.arange(1, int(size + 4 * size ** (1 / 3) + 2) + 4)

    def riccati(kind, argument):
        value, slope = kind(orders, argument), kind(orders, argument, True)
        return argument * value, value + argument * slope

    def hankel(order, argument, derivative=False):
        first = special.spherical_jn(order, argument, derivative)
        return first + 1j * special.spherical_yn(order, argument, derivative)

    psi, psi_slope = riccati(special.spherical_jn, size)
    inner, inner_slope = riccati(special.spherical_jn, index * size)
    xi, xi_slope = riccati(hankel, size)
    a = (index * inner * psi_slope - psi * inner_slope) / (
        index * inner * xi_slope - xi * inner_slope
    )
    b = (inner * psi_slope - index * psi * inner_slope) / (
        inner * xi_slope - index * xi * inner_slope
    )
    pi, tau = [np.zeros_like(cosine), np.ones_like(cosine)], [np.zeros_like(cosine), cosine]
    for n in orders[1:]:
        pi.append((2 * n - 1) / (n - 1) * cosine * pi[-1] - n / (n - 1) * pi[-2])
        tau.append(n * cosine * pi[-1] - (n + 1) * pi[-2])
    share = (2 * orders + 1) / (orders * (orders + 1))
    pi, tau = np.array(pi[1:]), np.array(tau[1:])
    s1 = np.tensordot(share * a, pi, 1) + np.tensordot(share * b, tau, 1)
    s2 = np.tensordot(share * a, tau, 1) + np.tensordot(share * b, pi, 1)
    return s1, s2


def field_of_a_sphere(optics, side, height_um):
    """Return the field in the focal plane: plane waves of the sphere's, as far as the aperture."""
    pitch = optics.pixel_size_um / optics.samples
    index, k = optics.refractive_index_medium, WAVE_NUMBER
    q = 2 * math.pi * np.fft.fftfreq(side, pitch)
    squared = q[:, None] ** 2 + q**2
    inside = squared < (k * optics.numerical_aperture / index) ** 2
    along = np.sqrt(np.where(inside, k**2 - squared, k**2))
    s1, s2 = scattering_amplitudes(
        k * optics.particle_radius_um, optics.refractive_index_particle / index, along / k
    )
    spectrum = -2 * math.pi / k**2 * (s1 + s2) / 2 * np.exp(-1j * (along - k) * height_um)
    return np.fft.fftshift(np.fft.ifft2(np.where(inside, spectrum, 0))) / pitch**2


def middle(plane, reach=20):
    half = plane.shape[-1] // 2
    return plane[..., half - reach : half + reach + 1, half - reach : half + reach + 1]


@pytest.fixture(scope="module")
def point():
    return compute_stack(POINT)


@pytest.fixture(scope="module")
def sphere():
    return compute_stack(SPHERE)


def test_a_point_in_focus_is_an_airy_pattern(point):
    focus = point.planes[len(point.planes) // 2, 0]
    assert point.heights_um[len(point.planes) // 2] == pytest.approx(0)
    offsets = 0.16 * (np.arange(len(focus)) - len(focus) // 2)
    wanted = airy(np.hypot(offsets[:, None], offsets), 0.75, 0.55) * 0.16**2
    assert np.abs(focus - wanted).max() < 0.005 * wanted.max()


def test_out_of_focus_a_point_is_dimmer_and_wider_and_alike_on_both_sides(point):
    peaks = point.planes.max(axis=(1, 2, 3))
    assert np.argmax(peaks) == len(peaks) // 2
    np.testing.assert_allclose(peaks, peaks[::-1], rtol=1e-3)
    # Along the axis: sinc^2 of a quarter of the phase between axis and edge; Born & Wolf, 8.8.
    height = point.heights_um
    phase = WAVE_NUMBER * height * (1 - math.sqrt(1 - (0.75 / 1.33) ** 2))
    axial = np.sinc(phase / 2 / math.pi) ** 2
    np.testing.assert_allclose(peaks / peaks.max(), axial, atol=0.03)


def test_images_are_centred_to_a_hundredth_of_a_pixel(point, sphere):
    for plane in (point.planes[:, 0], (sphere.planes**2).sum(axis=1)):
        offsets = np.arange(plane.shape[-1]) - plane.shape[-1] // 2
        total = plane.sum(axis=(1, 2))
        assert np.abs((plane.sum(axis=1) * offsets).sum(axis=1) / total).max() < 0.01
        assert np.abs((plane.sum(axis=2) * offsets).sum(axis=1) / total).max() < 0.01


def test_a_fluorescent_sphere_is_a_ball_of_points():
    # With so small an aperture a sphere is in focus as a whole: its image is that of a point,
    # convolved with the ball's projection, whose transform is 3 (sin v - v cos v) / v^3.
    small = {"kind": "fluorescence", "numerical_aperture": 0.2, "pixel_size_um": 0.4}
    side, radius = 200, 1.0
    spectra = []
    for own in (0.0, radius):
        optics = OpticsSettings(**small, particle_radius_um=own, defocus_um=[0, 0])
        (plane,) = compute_stack(optics).planes[:, 0]
        wide = np.zeros((side, side))
        half = len(plane) // 2
        place = slice(side // 2 - half, side // 2 + half + 1)
        wide[place, place] = plane
        spectra.append(np.fft.fft2(np.fft.ifftshift(wide)).real)
    frequency = np.hypot(np.fft.fftfreq(side, 0.4)[:, None], np.fft.fftfreq(side, 0.4))
    v = np.maximum(2 * math.pi * frequency * radius, 1e-3)
    ball = 3 * (np.sin(v) - v * np.cos(v)) / v**3
    assert np.abs(spectra[1] - spectra[0] * ball).max() < 0.01


def test_a_sphere_has_the_field_of_mie_theory_at_every_height():
    heights = np.array([0.0, 0.9, -1.7])
    for field, height in zip(sphere_fields(SPHERE, SIDES[0], heights), heights, strict=True):
        wanted = field_of_a_sphere(SPHERE, SIDES[0], height)
        assert np.abs(field - wanted).max() < 0.005 * np.abs(wanted).max()


@pytest.mark.parametrize("radius", [0.1, 0.25, 0.6])
def test_a_sphere_removes_from_the_beam_what_the_optical_theorem_says(radius):
    optics = OpticsSettings(kind="brightfield", particle_radius_um=radius)
    (field,) = sphere_fields(optics, SIDES[0], np.zeros(1))
    forward, _ = scattering_amplitudes(WAVE_NUMBER * radius, 1.58 / 1.33, np.ones(1))
    # Bohren & Huffman 1983, eq. 3.24: the extinction cross section.
    extinction = 4 * math.pi / WAVE_NUMBER**2 * float(forward[0].real)
    removed = -2 * field.real.sum() * 0.16**2
    assert removed == pytest.approx(extinction, rel=0.03)
    assert extinction > 0


def test_a_sphere_focuses_light_behind_it(sphere):
    # Light comes from below. Seen above a sphere, which is a lens, the beam is bright; below, dark.
    light = (1 + sphere.planes[:, 0]) ** 2 + sphere.planes[:, 1] ** 2
    axis = light[:, light.shape[1] // 2, light.shape[2] // 2]
    assert axis[0] > 1.2
    assert axis[-1] < 0.8


@pytest.mark.parametrize("tolerance", [0.02, 1e-3])
def test_a_few_components_make_up_every_plane(sphere, tolerance):
    images, weights = sphere.components(tolerance)
    again = np.tensordot(weights, images, axes=1)
    assert np.abs(again - sphere.planes).max() <= 1.01 * tolerance * np.abs(sphere.planes).max()
    assert len(images) < len(sphere.planes)


def test_one_height_is_one_plane():
    flat = compute_stack(
        POINT.model_copy(update={"defocus_um": type(POINT.defocus_um)(low=0.5, high=0.5)})
    )
    assert flat.planes.shape[:2] == (1, 1)
    wanted = point_image(POINT, SIDES[0], 0.5)
    assert np.abs(middle(flat.planes[0, 0], 8) - middle(wanted, 8)).max() < 0.003 * wanted.max()


def test_darkfield_is_normalised_to_one_photon():
    stack = compute_stack(OpticsSettings(kind="darkfield"))
    light = (stack.planes**2).sum(axis=(1, 2, 3)) / stack.samples**2
    np.testing.assert_allclose(light, 1.0, rtol=0.03)
