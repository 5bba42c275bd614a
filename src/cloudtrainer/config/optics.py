"""The settings of the microscope and of the camera that simulated frames are taken with."""

import math
from typing import Literal, Self

from pydantic import Field, model_validator

from cloudtrainer.config.sections import Range, Section, setting

# A frame is rendered on a grid that holds all frequencies that the aperture lets through; of the
# highest that a grid can hold, half of one over its spacing, this share is used.
_USED_OF_GRID = 0.96
_MOST_SAMPLES = 8
_WIDEST_BLUR_POINTS = 150
# Of the largest count.
_MOST_OFFSET = 0.9


class _Heights(Range):
    """A pair of limits of which both may be negative."""

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low > self.high:
            raise ValueError(f"the range {self.low} to {self.high} must rise")
        return self


class OpticsSettings(Section):
    """The microscope that simulated particles are seen through."""

    kind: Literal["gaussian", "fluorescence", "brightfield", "darkfield"] = setting(
        "gaussian",
        "gaussian: spots of many sizes and shapes; the others: spheres seen through the microscope "
        "described here (needs DeepTrack2, the extra optics).",
    )
    numerical_aperture: float = setting(0.75, "Numerical aperture of the objective.", gt=0, le=2)
    wavelength_nm: float = setting(
        550.0,
        "Wavelength in vacuum: of the emission (fluorescence) or of the lamp.",
        unit="nm",
        ge=200,
        le=2000,
    )
    pixel_size_um: float = setting(
        0.16,
        "Pixel size in the sample: that of the camera over the magnification.",
        unit="um",
        ge=0.01,
        le=5,
    )
    pixel_fill: float = setting(
        1.0,
        "Side of a pixel's sensitive area over the pixel size; 0: the light at its centre alone.",
        ge=0,
        le=1,
    )
    refractive_index_medium: float = setting(
        1.33, "Refractive index around the particles.", ge=1, le=2.5
    )
    particle_radius_um: float = setting(
        0.25, "Radius of the spheres; 0: points (fluorescence alone).", unit="um", ge=0, le=10
    )
    refractive_index_particle: float = setting(
        1.58, "Refractive index of the spheres (brightfield and darkfield).", ge=1, le=4
    )
    defocus_um: _Heights = Field(
        default_factory=lambda: _Heights(low=-1.0, high=1.0),
        description="Heights of particles over the focal plane, nearer the objective above 0.",
        json_schema_extra={"unit": "um"},
    )

    @property
    def samples(self) -> int:
        """Points along a pixel that hold all detail that the aperture lets through."""
        finest_um = self.wavelength_nm / 1000 / (2 * self.numerical_aperture)
        return math.ceil(2 * self.pixel_size_um / finest_um / _USED_OF_GRID)

    @property
    def blur_um(self) -> float:
        """Radius of the cone of light in the focal plane, of the particle farthest from it."""
        sine = self.numerical_aperture / self.refractive_index_medium
        height = max(abs(self.defocus_um.low), abs(self.defocus_um.high))
        return self.particle_radius_um + height * sine / math.sqrt(1 - sine**2)

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.kind == "gaussian":
            return self
        if self.numerical_aperture >= self.refractive_index_medium:
            raise ValueError(
                f"numerical_aperture {self.numerical_aperture:g} is not below "
                f"refractive_index_medium {self.refractive_index_medium:g}, and no light comes "
                "steeper than the medium lets it: for an immersion objective give the index of the "
                "immersion, or an aperture below that of the medium"
            )
        if self.samples > _MOST_SAMPLES:
            raise ValueError(
                f"pixel_size_um {self.pixel_size_um:g} is far larger than the image of a point "
                f"(wavelength / 2 NA = {self.wavelength_nm / 2000 / self.numerical_aperture:.2g} "
                "um): check it, or take kind gaussian"
            )
        if self.blur_um > _WIDEST_BLUR_POINTS * self.pixel_size_um / self.samples:
            raise ValueError(
                f"defocus_um {self.defocus_um.low:g} to {self.defocus_um.high:g} blurs particles, "
                f"at this aperture, over {self.blur_um:.3g} um to each side: too wide to render, "
                "narrow it"
            )
        if self.kind != "fluorescence":
            self._check_that_particles_scatter()
        return self

    def _check_that_particles_scatter(self) -> None:
        if self.particle_radius_um == 0:
            raise ValueError(
                f"particle_radius_um 0 scatters no light in {self.kind}: give the radius"
            )
        if self.refractive_index_particle == self.refractive_index_medium:
            raise ValueError(
                f"refractive_index_particle {self.refractive_index_particle:g} is that of the "
                f"medium: in {self.kind} nothing can be seen"
            )


class CameraSettings(Section):
    """The camera of simulated frames; a training scene draws noise between none and this."""

    gain: float = setting(
        1.0, "Counts that an electron adds.", unit="counts/electron", gt=0, le=1000
    )
    offset: float = setting(100.0, "Counts without light.", unit="counts", ge=0, le=10_000)
    read_noise: float = setting(3.0, "Read noise.", unit="electrons", ge=0, le=1000)
    gain_spread: float = setting(
        0.01, "Fixed pattern of the gain (PRNU): its standard deviation over its mean.", ge=0, le=1
    )
    offset_spread: float = setting(
        1.0,
        "Fixed pattern of the offset (DSNU): its standard deviation.",
        unit="electrons",
        ge=0,
        le=1000,
    )
    full_well: float = setting(
        30_000.0, "Electrons that a pixel holds at most.", unit="electrons", gt=0, le=1e7
    )
    bits: int = setting(16, "Bits of a count; it saturates at the largest.", ge=8, le=16)

    @model_validator(mode="after")
    def _leaves_room(self) -> Self:
        most = 2**self.bits - 1
        if self.offset > _MOST_OFFSET * most:
            raise ValueError(
                f"offset {self.offset:g} counts leaves no room for light: with bits {self.bits} a "
                f"pixel saturates at {most} counts"
            )
        return self
