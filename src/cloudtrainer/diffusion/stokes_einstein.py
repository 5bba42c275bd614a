"""Viscosity, hydrodynamic radius or a test from D, and D in a liquid, by Stokes and Einstein."""

import math
from dataclasses import dataclass

from cloudtrainer.arguments import is_number, shown
from cloudtrainer.diffusion.estimate import PARTICLES_DIFFER, Estimate
from cloudtrainer.diffusion.resample import NORMAL_95
from cloudtrainer.diffusion.spread import Spread
from cloudtrainer.errors import CalibrationError

# Exact in the SI since 2019, J/K.
BOLTZMANN = 1.380649e-23
# um^3 in m^3: D in um^2/s times a radius in um.
_CUBIC_UM = 1e-18
_WIDE_RANGE_K = (200.0, 500.0)
# From here on the series of Faxen is off by more than 1%.
_NEAREST = 0.8
_MEANS = {
    "hydrodynamic radius": "if they differ in size, the hydrodynamic radius is their harmonic "
    "mean, 1/<1/a>, about {percent:.2g}% below their mean radius, and its interval is that of the "
    "harmonic mean.",
    "viscosity": "if they differ in size, and the radius given is their mean, the viscosity is "
    "about {percent:.2g}% too small (give the harmonic mean radius, 1/<1/a>); if it is the medium "
    "that differs, it is a harmonic mean over the particles, so much below their mean.",
    "Boltzmann constant": "if they differ in size, and the radius given is their mean, Boltzmann's "
    "constant and D come out about {percent:.2g}% too large (give the harmonic mean radius, "
    "1/<1/a>).",
}


@dataclass(frozen=True)
class StokesEinstein:
    """A quantity from the relation of Stokes and Einstein, with its 95% interval.

    Attributes
    ----------
    quantity : str
        ``viscosity``, ``hydrodynamic radius``, ``Boltzmann constant`` or ``free diffusion
        coefficient``.
    value, standard_error, low, high : float
        In `unit`; the interval joins that of D with the uncertainties given. Of particles that
        differ a radius or viscosity is the harmonic mean, and the interval is that of this mean.
    unit : str
        ``Pa s``, ``um``, ``J/K`` or ``um^2/s``.
    wall_factor : float
        What a wall multiplies D by, 1 far from it.
    warnings : tuple of str
        Where the relation may not hold, in sentences.
    """

    quantity: str
    value: float
    standard_error: float
    low: float
    high: float
    unit: str
    wall_factor: float
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.quantity} {self.value:.4g} [{self.low:.4g}, {self.high:.4g}] {self.unit}"


def stokes_einstein(
    D: Estimate,
    temperature_K: float,
    *,
    radius_um: float | None = None,
    viscosity_Pa_s: float | None = None,
    temperature_error_K: float = 0.0,
    radius_error_um: float = 0.0,
    viscosity_error_Pa_s: float = 0.0,
    wall_distance_um: float | None = None,
    spread: Spread | None = None,
) -> StokesEinstein:
    """Return what a diffusion coefficient says of the liquid or of the particle.

    ``D = k_B T / (6 pi viscosity radius)`` for a sphere that is large against the molecules of a
    Newtonian liquid. With the radius given it is solved for the viscosity, with the viscosity for
    the hydrodynamic radius, with both for Boltzmann's constant, which tests the whole measurement.

    Parameters
    ----------
    D : Estimate
        Diffusion coefficient of `estimate_diffusion`, um^2/s; that of a population, not a mean of
        1/D of single tracks, which is too large.
    temperature_K : float
        Absolute temperature, K.
    radius_um, viscosity_Pa_s : float, optional
        What is known: radius (um), viscosity (Pa s; water at 20 degrees C has 1.0e-3).
    temperature_error_K, radius_error_um, viscosity_error_Pa_s : float
        Their standard errors.
    wall_distance_um : float, optional
        Distance of the particles' centres from a plane wall that they move along, um; None: far
        away. Diffusion along a wall is slower by the factor of Faxen's series, ``1 - 9/16 q +
        1/8 q^3 - 45/256 q^4 - 1/16 q^5`` with q = radius / distance (Happel & Brenner 1983, Low
        Reynolds Number Hydrodynamics, equation 7-4.28).
    spread : Spread, optional
        How D differs between the particles (`diffusion_spread`). Where it is told from 0, a warning
        says what that does to the result.

    Raises
    ------
    CalibrationError
        D is no number, is not in um^2/s, or is not positive; a temperature, radius, viscosity or
        error is none that can be; nothing is known; or the particles reach into the wall.

    Notes
    -----
    The mean of D over particles is that of 1 / radius. The hydrodynamic radius is therefore the
    harmonic mean ``1 / <1/a>`` over the particles, not their mean radius: it is smaller by about
    the square of the coefficient of variation c of D, by the factor ``1 / (1 + c^2)`` where radii
    are log-normal. The viscosity that follows from the mean radius of beads of unequal size is too
    small by the same factor, and Boltzmann's constant too large by its inverse: give the harmonic
    mean radius.
    """
    _check_estimate(D)
    _check_known(temperature_K, "temperature_K", temperature_error_K)
    if radius_um is None and viscosity_Pa_s is None:
        raise CalibrationError(
            "give radius_um for the viscosity, viscosity_Pa_s for the radius, or both to test the "
            "measurement by Boltzmann's constant"
        )
    if radius_um is not None:
        _check_known(radius_um, "radius_um", radius_error_um)
    if viscosity_Pa_s is not None:
        _check_known(viscosity_Pa_s, "viscosity_Pa_s", viscosity_error_Pa_s)
    if wall_distance_um is not None:
        _check_known(wall_distance_um, "wall_distance_um", 0.0)

    thermal = BOLTZMANN * temperature_K
    hot = temperature_error_K / temperature_K
    if radius_um is None:
        assert viscosity_Pa_s is not None
        free = thermal / (6 * math.pi * viscosity_Pa_s * D.value * _CUBIC_UM)
        radius = _radius_at_wall(free, wall_distance_um)
        quantity, value, unit = "hydrodynamic radius", radius, "um"
        share = math.hypot(hot, viscosity_error_Pa_s / viscosity_Pa_s)
    else:
        radius = radius_um
        drag = 6 * math.pi * radius * D.value * _CUBIC_UM / _wall_factor(radius, wall_distance_um)
        thick = radius_error_um / radius
        if viscosity_Pa_s is None:
            quantity, value, unit = "viscosity", thermal / drag, "Pa s"
            share = math.hypot(hot, thick)
        else:
            quantity, value, unit = (
                "Boltzmann constant",
                drag * viscosity_Pa_s / temperature_K,
                "J/K",
            )
            share = math.hypot(hot, thick, viscosity_error_Pa_s / viscosity_Pa_s)
    return _with_interval(
        quantity,
        value,
        unit,
        D,
        share,
        wall_factor=_wall_factor(radius, wall_distance_um),
        warnings=(
            *_where_it_may_fail(temperature_K, radius, wall_distance_um),
            *_where_particles_differ(quantity, D, spread),
        ),
    )


def free_diffusion(
    temperature_K: float,
    radius_um: float,
    viscosity_Pa_s: float,
    *,
    temperature_error_K: float = 0.0,
    radius_error_um: float = 0.0,
    viscosity_error_Pa_s: float = 0.0,
    wall_distance_um: float | None = None,
) -> StokesEinstein:
    """Return D of a sphere in a liquid, ``k_B T / (6 pi viscosity radius)``, um^2/s.

    Parameters
    ----------
    temperature_K, radius_um, viscosity_Pa_s, temperature_error_K, radius_error_um, \
viscosity_error_Pa_s, wall_distance_um
        As for `stokes_einstein`; the interval is that of their standard errors.

    Raises
    ------
    CalibrationError
        A temperature, radius, viscosity or error is none that can be, or the particle reaches into
        the wall.
    """
    for value, name, error in (
        (temperature_K, "temperature_K", temperature_error_K),
        (radius_um, "radius_um", radius_error_um),
        (viscosity_Pa_s, "viscosity_Pa_s", viscosity_error_Pa_s),
    ):
        _check_known(value, name, error)
    if wall_distance_um is not None:
        _check_known(wall_distance_um, "wall_distance_um", 0.0)
    factor = _wall_factor(radius_um, wall_distance_um)
    drag = 6 * math.pi * viscosity_Pa_s * radius_um * _CUBIC_UM
    value = BOLTZMANN * temperature_K / drag * factor
    share = math.hypot(
        temperature_error_K / temperature_K,
        radius_error_um / radius_um,
        viscosity_error_Pa_s / viscosity_Pa_s,
    )
    half = math.exp(NORMAL_95 * share)
    return StokesEinstein(
        quantity="free diffusion coefficient",
        value=value,
        standard_error=value * share,
        low=value / half,
        high=value * half,
        unit="um^2/s",
        wall_factor=factor,
        warnings=_where_it_may_fail(temperature_K, radius_um, wall_distance_um),
    )


def _check_estimate(D: object) -> None:
    if not isinstance(D, Estimate):
        raise CalibrationError(f"D is {shown(D)}: give the Estimate of estimate_diffusion")
    if not math.isfinite(D.value):
        raise CalibrationError(f"no diffusion coefficient is given: {D.reason or 'NaN'}")
    if D.unit != "um^2/s":
        raise CalibrationError(
            f"the diffusion coefficient is in {D.unit}: give pixel size and frame interval, so "
            "that it is in um^2/s"
        )
    if D.value <= 0:
        raise CalibrationError(
            f"a diffusion coefficient of {D.value:.3g} um^2/s is not positive: the particles do "
            "not diffuse measurably"
        )


def _check_known(value: float, name: str, error: float) -> None:
    if not (is_number(value) and value > 0):
        raise CalibrationError(f"{name} {value!r}: must be above 0")
    if not (is_number(error) and 0 <= error < value):
        raise CalibrationError(f"{name}: its standard error {error!r} must lie from 0 to its value")


def _wall_factor(radius_um: float, distance_um: float | None) -> float:
    if distance_um is None:
        return 1.0
    q = radius_um / distance_um
    if q >= 1:
        raise CalibrationError(
            f"wall_distance_um {distance_um:g}: particles of radius {radius_um:.3g} um would reach "
            "into the wall; give the distance of their centres"
        )
    return 1 - 9 / 16 * q + q**3 / 8 - 45 / 256 * q**4 - q**5 / 16


def _radius_at_wall(free_um: float, distance_um: float | None) -> float:
    """Solve ``radius = free radius x wall factor(radius)``."""
    if distance_um is None:
        return free_um
    from scipy.optimize import brentq

    distance = distance_um

    def too_large(radius: float) -> float:
        return radius - free_um * _wall_factor(radius, distance)

    widest = distance * (1 - 1e-9)
    if too_large(widest) < 0:
        raise CalibrationError(
            f"wall_distance_um {distance:g}: no sphere that fits there diffuses as slowly; give "
            "the distance of the particles' centres"
        )
    return float(brentq(too_large, 1e-9 * free_um, widest))


def _with_interval(
    quantity: str,
    value: float,
    unit: str,
    D: Estimate,
    share: float,
    *,
    wall_factor: float,
    warnings: tuple[str, ...],
) -> StokesEinstein:
    """Join the interval of D with relative errors, in logarithms.

    Viscosity and radius fall with D, Boltzmann's constant grows with it. (The wall's factor hardly
    changes within the interval.)
    """
    below = math.log(D.value / D.low) if D.low > 0 else math.inf
    above = math.log(D.high / D.value)
    if quantity != "Boltzmann constant":
        below, above = above, below
    known = NORMAL_95 * share
    low = value * math.exp(-math.hypot(below, known))
    high = value * math.exp(math.hypot(above, known)) if math.isfinite(above) else math.inf
    error = value * math.hypot(D.standard_error / D.value, share)
    return StokesEinstein(quantity, value, error, low, high, unit, wall_factor, warnings)


def _where_particles_differ(quantity: str, D: Estimate, spread: Spread | None) -> tuple[str, ...]:
    if spread is not None and spread.low > 0:
        square = spread.value**2
        percent = 100 * (square if quantity == "Boltzmann constant" else square / (1 + square))
        return (
            f"The particles differ in D (standard deviation over mean {spread}): "
            + _MEANS[quantity].format(percent=percent),
        )
    if D.spread_ratio > PARTICLES_DIFFER:
        return (
            "The particles differ in D by more than chance: viscosity, radius or both are not one "
            "number here; look at the distribution of D.",
        )
    return ()


def _where_it_may_fail(
    temperature_K: float, radius_um: float, distance_um: float | None
) -> tuple[str, ...]:
    said = []
    if not _WIDE_RANGE_K[0] <= temperature_K <= _WIDE_RANGE_K[1]:
        said.append(
            f"temperature_K {temperature_K:g} is not that of a liquid in a laboratory: "
            + ("is it in degrees Celsius?" if temperature_K < _WIDE_RANGE_K[0] else "check it.")
        )
    if distance_um is not None and radius_um > _NEAREST * distance_um:
        said.append(
            f"The particles are within {distance_um - radius_um:.2g} um of the wall: the series "
            "for the drag is off by more than 1% there."
        )
    return tuple(said)
