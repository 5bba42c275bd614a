"""Settings of the microscope: what cannot be is refused in one line."""

import pytest

from cloudtrainer.config import Config, OpticsSettings
from cloudtrainer.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"numerical_aperture": 1.4}, "numerical_aperture 1.4 is not below.*1.33.*immersion"),
        ({"numerical_aperture": 1.33}, "numerical_aperture 1.33 is not below"),
        ({"numerical_aperture": 0}, "numerical_aperture: .*greater than 0"),
        ({"wavelength_nm": 0.55}, "wavelength_nm"),
        ({"pixel_size_um": 4.0}, "pixel_size_um 4 is far larger.*gaussian"),
        ({"defocus_um": [1, -1]}, "defocus_um.*1.0 to -1.0 must rise"),
        ({"defocus_um": [0, 60]}, "defocus_um 0 to 60 blurs"),
        ({"defocus_um": 2}, "two limits"),
        ({"particle_radius_um": 0}, "particle_radius_um 0 scatters no light in brightfield"),
        ({"refractive_index_particle": 1.33}, "refractive_index_particle 1.33.*nothing can be"),
        ({"kind": "phase"}, "kind: .*'brightfield'"),
        ({"pixel_fill": 1.5}, "pixel_fill"),
    ],
)
def test_an_impossible_microscope_is_refused_in_one_line(values, said):
    with pytest.raises(ConfigError, match=said) as caught:
        Config.from_dict({"optics": {"kind": "brightfield", **values}})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "gaussian", "numerical_aperture": 1.4},
        {"kind": "fluorescence", "particle_radius_um": 0},
        {"kind": "fluorescence", "refractive_index_particle": 1.33},
        {"kind": "fluorescence", "numerical_aperture": 1.4, "refractive_index_medium": 1.515},
        {"kind": "brightfield", "refractive_index_particle": 1.0},
        {"kind": "darkfield", "defocus_um": [-2.5, -2.5]},
    ],
)
def test_what_is_possible_is_taken(values):
    config = Config.from_dict({"optics": values})
    assert Config.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("aperture", "wavelength_nm", "pixel_um", "samples"),
    [(0.5, 500, 0.1, 1), (0.75, 550, 0.16, 1), (0.75, 550, 0.3, 2), (1.2, 500, 0.4, 4)],
)
def test_all_detail_that_the_aperture_lets_through_fits_on_the_grid(
    aperture, wavelength_nm, pixel_um, samples
):
    optics = OpticsSettings(
        numerical_aperture=aperture, wavelength_nm=wavelength_nm, pixel_size_um=pixel_um
    )
    assert optics.samples == samples
    # The intensity's highest frequency, 2 NA / wavelength, is below half of one over the spacing.
    assert 2 * aperture / (wavelength_nm / 1000) < 0.5 / (pixel_um / samples)


@pytest.mark.parametrize(
    ("camera", "most"), [({"bits": 12, "offset": 5000}, 4095), ({"bits": 8, "offset": 300}, 255)]
)
def test_a_camera_that_is_saturated_without_light_is_refused(camera, most):
    with pytest.raises(ConfigError, match=f"leaves no room for light.*saturates at {most} counts"):
        Config.from_dict({"camera": camera})
    assert Config.from_dict({"camera": {"bits": 8, "offset": 20}}).camera.offset == 20
