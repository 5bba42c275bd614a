"""Units of length in files of tracks, and the way from them to pixels."""

import math

from cloudtrainer.errors import CalibrationError, LabelError

_PIXEL_UNITS = {"pixel", "pixels", "px"}
_UM_PER_UNIT = {
    "micron": 1.0,
    "microns": 1.0,
    "micrometer": 1.0,
    "micrometre": 1.0,
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
}


def pixels_per_unit(unit: str | None, pixel_size_um: float | None, name: str) -> float:
    """Return how many pixels one unit of length is.

    Parameters
    ----------
    unit
        The unit of the positions, as the file writes it; None where the file gives none: then it
        is taken for micrometres, and a pixel size must be given.
    pixel_size_um
        Micrometres a pixel, needed for a unit of length; pixels are taken as they are.
    name
        What to call the file in a message.

    Raises
    ------
    LabelError
        When the unit is neither pixels nor a unit of length, or the pixel size is needed and None.
    """
    known = None if unit is None else unit.strip().strip("()").lower()
    if known in _PIXEL_UNITS:
        return 1.0
    if known is not None and known not in _UM_PER_UNIT:
        raise LabelError(
            f"{name}: positions are in {known[:40]!r}, which is neither pixels nor micrometres; "
            "export from a video calibrated in one of them."
        )
    if pixel_size_um is None:
        raise LabelError(
            f"{name}: positions are in {known or 'an unknown unit'}; give the pixel size "
            "(pixel_size_um, --pixel-size-um; for training: cloudtrainer labels convert) to turn "
            "them into pixels."
        )
    return (1.0 if known is None else _UM_PER_UNIT[known]) / pixel_size_um


def check_pixel_size(pixel_size_um: float | None) -> None:
    """Refuse a pixel size that cannot be right.

    Raises
    ------
    CalibrationError
        When it is given and not a positive number.
    """
    _check_positive(pixel_size_um, "pixel_size_um")


def check_frame_interval(frame_interval_s: float | None) -> None:
    """Refuse a frame interval that cannot be right.

    Raises
    ------
    CalibrationError
        When it is given and not a positive number.
    """
    _check_positive(frame_interval_s, "frame_interval_s")


def _check_positive(value: float | None, name: str) -> None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise CalibrationError(f"{name} is {value}: it must be a positive number")
