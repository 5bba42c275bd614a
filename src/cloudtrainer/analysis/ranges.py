"""Plain ranges of what a user gives: what lies outside is a slip of the keyboard or of the unit."""

from cloudtrainer.arguments import is_number
from cloudtrainer.errors import CalibrationError

_ZERO_CELSIUS_K = 273.15
# No film of particles in a liquid is as hot; room temperature in kelvin is above.
_HOTTEST_CELSIUS = 230.0
# Quantity, unit, least and most.
_RANGES = {
    "pixel_size_um": ("pixel size", "um", 1e-4, 1e3),
    "frame_interval_s": ("frame interval", "s", 1e-9, 1e7),
    "exposure_s": ("exposure", "s", 0.0, 1e7),
    "temperature_K": ("temperature", "K", 1.0, 2000.0),
    "particle_radius_um": ("radius of the particles", "um", 1e-4, 1e3),
    "viscosity_Pa_s": ("viscosity", "Pa s", 1e-6, 1e6),
    "wall_distance_um": ("distance from the wall", "um", 1e-4, 1e4),
    "static_error_um": ("static localisation error", "um", 0.0, 100.0),
}


def option_of(name: str) -> str:
    """Return the command line's option for a keyword of `analyze`."""
    name = "temperature_c" if name == "temperature_K" else name
    return "--" + name.lower().replace("_", "-")


def check_ranges(given: object, *names: str) -> None:
    """Refuse attributes outside their ranges; None stands for an unknown one.

    Raises
    ------
    CalibrationError
        One is no number, or lies outside its range.
    """
    for name in names:
        value = getattr(given, name)
        quantity, unit, least, most = _RANGES[name]
        if value is None or (is_number(value) and least <= value <= most):
            continue
        shown = f"{value:g} {unit}" if is_number(value) else repr(value)
        raise CalibrationError(
            f"{name} is {shown}: give the {quantity} as a {'positive ' if least else ''}number "
            f"from {least:g} to {most:g} {unit} ({option_of(name)})"
        )


def kelvin(celsius: float) -> float:
    """Return an absolute temperature, or refuse one that is none of a liquid.

    Raises
    ------
    CalibrationError
        It is below absolute zero, or as large as one in kelvin.
    """
    if celsius > _HOTTEST_CELSIUS:
        raise CalibrationError(
            f"--temperature-c {celsius:g} \N{DEGREE SIGN}C: hotter than liquids under a "
            "microscope; is it in kelvin? give degrees Celsius"
        )
    if not celsius > -_ZERO_CELSIUS_K:
        raise CalibrationError(
            f"--temperature-c {celsius:g} \N{DEGREE SIGN}C: must be above absolute zero, "
            f"{-_ZERO_CELSIUS_K} \N{DEGREE SIGN}C; give degrees Celsius"
        )
    return celsius + _ZERO_CELSIUS_K
