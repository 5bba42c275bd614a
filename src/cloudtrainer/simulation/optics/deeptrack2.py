"""What DeepTrack2 is asked for: images of points, and fields of spheres, in the middle of a grid.

Its traps (version 2.0.2) are kept away from here: particles lie at whole pixels, because it shifts
volumes by linear interpolation; ``upscale`` is 1, because more displaces the image; heights are
whole voxels, because it rounds them down. Its spheres use the mode "hybrid" with ``amp_factor``
set so that the field is the one of Bohren & Huffman 1983, eq. 3.12 and 4.74-4.77: without that, its
sign is the opposite (a sphere would add light to the beam instead of removing it) and its size
depends on the pixel size; its mode "geometric" depends on the size of the frame besides.
"""

import importlib
import importlib.metadata
import math
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cloudtrainer.config import OpticsSettings
from cloudtrainer.errors import ConfigError

# Sides of grids that DeepTrack2 does not pad any further.
SIDES = (384, 576, 864)
_PADDING = 1


def deeptrack_version() -> str:
    """Return the version of DeepTrack2, without importing it.

    Raises
    ------
    ConfigError
        DeepTrack2 is not installed.
    """
    try:
        return importlib.metadata.version("deeptrack")
    except importlib.metadata.PackageNotFoundError:
        raise ConfigError(_MISSING) from None


_MISSING = (
    "optics.kind: images through a microscope need DeepTrack2, which is not installed: run "
    "pip install 'deeptrack-cloud-trainer[optics]' and then pip install --no-deps deeptrack==2.0.2 "
    "(it names a package under the GPL that it does not use, hence --no-deps), or set "
    "optics.kind=gaussian"
)


def point_image(optics: OpticsSettings, side: int, height_um: float) -> NDArray[np.float64]:
    """Return the fluorescence image of a point.

    Parameters
    ----------
    optics : OpticsSettings
        The microscope.
    side : int
        Side of the grid, whose points are ``pixel_size_um / samples`` apart; one of `SIDES`.
    height_um : float
        Height of the point over the focal plane, um.

    Returns
    -------
    ndarray
        Intensity, float64, (side, side), of sum 1, with the point at ``[side // 2, side // 2]``.
    """
    dt = _deeptrack()
    voxel_um = abs(height_um) or 1.0
    microscope = dt.Fluorescence(**_objective(optics, side, voxel_um))
    middle = (side // 2 - _PADDING,) * 2
    point = dt.PointParticle(position=middle, z=round(height_um / voxel_um), intensity=1.0)
    image = _on_the_grid(np.asarray(microscope(point)())[..., 0], side)
    return np.asarray(image / image.sum())


def sphere_fields(
    optics: OpticsSettings, side: int, heights_um: NDArray[np.float64]
) -> Iterator[NDArray[np.complex128]]:
    """Yield the field in the focal plane that a sphere at each height scatters into the aperture.

    The light is unpolarised and no analyser is used. In brightfield it comes along the axis, with
    the amplitude 1 in the focal plane; in darkfield from the side, at right angles to the axis.

    Parameters
    ----------
    optics : OpticsSettings
        The microscope and the sphere.
    side : int
        Side of the grid, whose points are ``pixel_size_um / samples`` apart; one of `SIDES`.
    heights_um : ndarray
        Heights of the sphere over the focal plane, um.

    Yields
    ------
    ndarray
        Complex amplitude, complex128, (side, side), with the sphere at ``[side // 2, side // 2]``.
    """
    dt = _deeptrack()
    objective = _objective(optics, side)
    wavelength = objective["wavelength"] / optics.refractive_index_medium
    pitch = objective["resolution"][0]
    sphere = dt.MieSphere(
        position=(side // 2 - _PADDING,) * 2,
        radius=optics.particle_radius_um * 1e-6,
        refractive_index=optics.refractive_index_particle,
        input_polarization="circular",
        output_polarization=None,
        mode="hybrid",
        amp_factor=amplitude_factor(optics),
    )
    # Its Darkfield is this microscope, too, but returns no field.
    angle = math.pi / 2 if optics.kind == "darkfield" else 0.0
    microscope = dt.Brightfield(**objective, illumination_angle=angle, return_field=True)
    field = _on_the_grid(np.asarray(microscope(sphere)())[..., 0] - 1, side)
    spectrum = np.fft.fft2(field)
    for height in heights_um:
        propagation = dt.holography.get_propagation_matrix(
            field.shape, to_z=-height * 1e-6, pixel_size=pitch, wavelength=wavelength
        )
        yield np.fft.ifft2(spectrum * propagation)


def amplitude_factor(optics: OpticsSettings) -> float:
    """Return the ``amp_factor`` with which a sphere in mode "hybrid" has the field of Mie theory.

    The mode takes the scattering amplitudes S for the field's spectrum. In units of the incident
    amplitude, sampled at points p apart, the spectrum is -2 pi S / (k p)^2 in the forward
    direction: with it, the light removed from the beam obeys the optical theorem.
    """
    wave_number = 2 * math.pi * optics.refractive_index_medium / (optics.wavelength_nm * 1e-3)
    return -((wave_number * optics.pixel_size_um / optics.samples) ** 2) / (2 * math.pi)


def _objective(optics: OpticsSettings, side: int, voxel_um: float = 1.0) -> dict[str, Any]:
    pitch = optics.pixel_size_um / optics.samples * 1e-6
    inner = side - 2 * _PADDING
    return {
        "NA": optics.numerical_aperture,
        "wavelength": optics.wavelength_nm * 1e-9,
        "refractive_index_medium": optics.refractive_index_medium,
        "magnification": 1,
        "resolution": (pitch, pitch, voxel_um * 1e-6),
        "output_region": (0, 0, inner, inner),
        "padding": (_PADDING,) * 4,
    }


def _on_the_grid(inner: NDArray[Any], side: int) -> NDArray[Any]:
    """Put back the outermost points, which DeepTrack2 computes and cuts off, as 0."""
    return np.pad(inner, (side - len(inner)) // 2)


def _deeptrack() -> Any:
    deeptrack_version()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # Not by an import statement: pyproject.toml says why it is no declared dependency.
        try:
            return importlib.import_module("deeptrack")
        except ImportError as error:
            raise ConfigError(f"{_MISSING} (importing it failed: {error})") from None
