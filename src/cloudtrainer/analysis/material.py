"""The particle and its medium: what is known of them, and what D and the MSD say of the rest."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cloudtrainer.analysis.measure import Measurement
from cloudtrainer.analysis.ranges import check_ranges, option_of
from cloudtrainer.analysis.source import Source
from cloudtrainer.analysis.tracks import Tracked
from cloudtrainer.arguments import is_number
from cloudtrainer.diffusion import (
    DiffusionSpread,
    Estimate,
    ShearModuli,
    StokesEinstein,
    free_diffusion,
    shear_moduli,
    stokes_einstein,
)
from cloudtrainer.errors import CalibrationError, CloudTrainerError, ConfigError

Found = TypeVar("Found")

# Kinds of motion whose MSD is a power law and an offset.
_POWER_LAWS = ("brownian", "anomalous")

# What says nothing without another.
_BELONGS_TO = {
    "temperature_error_K": "temperature_K",
    "particle_radius_relative_error": "particle_radius_um",
    "viscosity_relative_error": "viscosity_Pa_s",
    "wall_distance_um": "temperature_K",
}


@dataclass(frozen=True)
class Material:
    """What the user knows of the particles and the medium; None: unknown.

    Attributes
    ----------
    temperature_K, temperature_error_K : float
        Absolute temperature and its standard error, K.
    particle_radius_um, viscosity_Pa_s : float or None
        Radius of the particles, um; viscosity of the medium, Pa s.
    particle_radius_relative_error, viscosity_relative_error : float
        Their standard errors as shares of the values: 0.05 is 5%.
    wall_distance_um : float or None
        Distance of the particles' centres from a plane wall, um.
    static_error_um : float or None
        Localisation error of each axis that stuck particles show, um.
    """

    temperature_K: float | None = None
    particle_radius_um: float | None = None
    viscosity_Pa_s: float | None = None
    temperature_error_K: float = 0.0
    particle_radius_relative_error: float = 0.0
    viscosity_relative_error: float = 0.0
    wall_distance_um: float | None = None
    static_error_um: float | None = None

    def __post_init__(self) -> None:
        check_ranges(
            self,
            "temperature_K",
            "particle_radius_um",
            "viscosity_Pa_s",
            "wall_distance_um",
            "static_error_um",
        )
        for name in ("particle_radius_relative_error", "viscosity_relative_error"):
            value = getattr(self, name)
            if not (is_number(value) and 0 <= value < 1):
                raise CalibrationError(f"{name} is {value}: give a share, such as 0.05 for 5%")
        error = self.temperature_error_K
        if not (is_number(error) and 0 <= error < (self.temperature_K or float("inf"))):
            raise CalibrationError(
                f"temperature_error_K is {error}: must be 0 or more, and less than the temperature"
            )
        for name, needed in _BELONGS_TO.items():
            if getattr(self, name) and getattr(self, needed) is None:
                raise ConfigError(
                    f"{name} ({option_of(name)}) says nothing without {needed} "
                    f"({option_of(needed)}): give both, or neither"
                )
        known = self.particle_radius_um is not None or self.viscosity_Pa_s is not None
        if known and self.temperature_K is None:
            raise ConfigError(
                "a radius or viscosity says nothing of D without the temperature: give it too"
            )
        if self.temperature_K is not None and not known:
            raise ConfigError(
                "the temperature says nothing of D alone: give the particles' radius, the medium's "
                "viscosity, or both"
            )
        if (
            self.wall_distance_um is not None
            and self.particle_radius_um is not None
            and self.particle_radius_um >= self.wall_distance_um
        ):
            raise CalibrationError(
                f"wall_distance_um is {self.wall_distance_um:g}: particles of radius "
                f"{self.particle_radius_um:g} um would reach into the wall; give the distance of "
                "their centres"
            )

    @property
    def errors(self) -> dict[str, float]:
        """The standard errors and the wall as `stokes_einstein` takes them."""
        return {
            "temperature_error_K": self.temperature_error_K,
            "radius_error_um": self.particle_radius_relative_error
            * (self.particle_radius_um or 0.0),
            "viscosity_error_Pa_s": self.viscosity_relative_error * (self.viscosity_Pa_s or 0.0),
        }


@dataclass(frozen=True)
class MaterialFindings:
    """What was found of the medium or the particles.

    Attributes
    ----------
    given : Material
    from_diffusion : StokesEinstein or None
        Viscosity, hydrodynamic radius, or with both known Boltzmann's constant.
    free : StokesEinstein or None
        With both known: D in the free medium.
    moduli : ShearModuli or None
        With temperature and radius known.
    warnings : tuple of str
    """

    given: Material
    from_diffusion: StokesEinstein | None = None
    free: StokesEinstein | None = None
    moduli: ShearModuli | None = None
    warnings: tuple[str, ...] = ()


def material_findings(
    material: Material,
    source: Source,
    tracked: Tracked,
    measured: Measurement,
    seed: int,
    immobile_offset_um2: float | None = None,
) -> MaterialFindings:
    """Return what D and the MSD say; what cannot be told becomes a warning.

    The moduli take out of the MSD what the static error says; where it is not given, that of the
    immobile particles of the same video; without them, the offset of the power law that describes
    the motion, if one does.
    """
    temperature, radius = material.temperature_K, material.particle_radius_um
    pixel, interval = source.pixel_size_um, source.frame_interval_s
    if temperature is None:
        return MaterialFindings(material)
    if pixel is None or interval is None:
        unsaid = (
            "Without pixel size and frame interval D says nothing of viscosity, radius or moduli."
        )
        return MaterialFindings(material, warnings=(unsaid,))
    related = relations(
        material,
        measured.diffusion,
        anomalous=measured.motion.motion_model == "anomalous",
        spread=measured.spread,
    )
    warnings = list(related.warnings)
    moduli = None
    if radius is not None:
        size = radius
        stride = measured.diffusion.stride
        known, said = _offset(material.static_error_um, immobile_offset_um2, measured)

        def find_moduli() -> ShearModuli:
            _refuse_immobile(measured)
            return shear_moduli(
                tracked.tracks,
                interval,
                pixel,
                temperature_K=temperature,
                radius_um=size,
                exposure_s=source.exposure_s,
                min_lag=stride,
                seed=seed,
                **known,
            )

        if stride > 1:
            said += (
                f"lags under {stride} frames are left out, as for D: positions of neighbouring "
                "frames are not independent, which looks like elasticity.",
            )
        moduli = _attempt("G' and G''", find_moduli, warnings)
        if moduli is not None:
            warnings += [f"G' and G'': {one}" for one in (*said, *moduli.warnings)]
    return replace(related, moduli=moduli, warnings=tuple(warnings))


def _offset(
    error_um: float | None, immobile_um2: float | None, measured: Measurement
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Return what is taken out of the MSD for moduli as `shear_moduli` takes it, and a warning."""
    if error_um is not None:
        return {"static_error_um": error_um}, ()
    if immobile_um2 is not None:
        said = (
            f"the MSD of the immobile particles of this video, {immobile_um2:.3g} um^2, is taken "
            "out as localisation error. They also count in the MSD: if they are stuck to the "
            "glass, G' and G'' are too large; leave them out."
        )
        return {"static_error_um": math.sqrt(immobile_um2) / 2}, (said,)
    fit = measured.anomalous
    # In a cage the offset of a power law is far from that of localisation error and blur.
    if measured.motion_class.motion_model not in _POWER_LAWS or not math.isfinite(fit.K.offset):
        return {}, ()
    said = (
        f"the offset of the fitted power law, {fit.K.offset:.3g} um^2, is taken out of the MSD as "
        "localisation error and motion blur. Elasticity that answers within a frame looks the "
        "same, and goes with it: film beads stuck to the glass, and give --static-error-um."
    )
    known = {"offset_um2": fit.K.offset}
    if math.isfinite(fit.offset_standard_error):
        known["offset_error_um2"] = fit.offset_standard_error
    return known, (said,)


def relations(
    material: Material, D: Estimate, *, anomalous: bool, spread: DiffusionSpread | None = None
) -> MaterialFindings:
    """Return what D says by the Stokes-Einstein relation, of one video or as the mean of several.

    The errors of temperature, radius and viscosity are those of all videos together: they are
    joined to the interval of the mean, and not averaged. With the spread of D, a warning says what
    particles that differ do to the result.
    """
    temperature, radius = material.temperature_K, material.particle_radius_um
    viscosity = material.viscosity_Pa_s
    if temperature is None:
        return MaterialFindings(material)
    warnings: list[str] = []
    known: dict[str, Any] = material.errors | {"wall_distance_um": material.wall_distance_um}
    free = None
    if radius is not None and viscosity is not None:
        free = free_diffusion(temperature, radius, viscosity, **known)
    quantity = "The hydrodynamic radius" if radius is None else "The viscosity"
    found = _attempt(
        quantity if free is None else "The test of D by Boltzmann's constant",
        lambda: stokes_einstein(
            D, temperature, radius_um=radius, viscosity_Pa_s=viscosity, spread=spread, **known
        ),
        warnings,
    )
    if found is not None:
        warnings += found.warnings
        if anomalous:
            warnings.append(
                f"The motion is not Brownian: the {found.quantity} is that of D between "
                "neighbouring frames, and another at another time scale."
            )
    return MaterialFindings(material, found, free, None, tuple(warnings))


def _attempt(what: str, find: Callable[[], Found], warnings: list[str]) -> Found | None:
    try:
        return find()
    except CloudTrainerError as error:
        warnings.append(f"{what}: not estimated ({error}).")
        return None


def _refuse_immobile(measured: Measurement) -> None:
    """Refuse moduli of particles whose motion is not told from localisation error."""
    D = measured.diffusion
    if D.low > 0 and measured.motion_class.motion_model != "immobile":
        return
    found = f"D was not estimated: {D.reason}"
    if D.low == D.low:
        found = f"D = {D.value:.3g} um^2/s, 95% interval {D.low:.3g} to {D.high:.3g}"
    raise CalibrationError(
        "the particles do not move beyond localisation error, which by itself looks like a solid; "
        + found
    )
