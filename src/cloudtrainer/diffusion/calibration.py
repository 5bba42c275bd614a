"""What turns pixels and frames into lengths and times, and the units of what comes out."""

from dataclasses import dataclass

from cloudtrainer.arguments import is_number
from cloudtrainer.errors import CalibrationError

# Of a calibration in um or s: beyond, squares leave what a computer can hold.
_LEAST = 1e-15


@dataclass(frozen=True)
class Calibration:
    """What turns pixels and frames into lengths and times.

    Without a pixel size lengths stay in pixels, without a frame interval times stay in frames.
    """

    frame_interval_s: float | None
    pixel_size_um: float | None
    exposure_s: float | None = None
    localisation_error_um: float | None = None

    def __post_init__(self) -> None:
        for name in ("frame_interval_s", "pixel_size_um"):
            value = getattr(self, name)
            if value is not None and not (is_number(value) and _LEAST <= value <= 1 / _LEAST):
                raise CalibrationError(
                    f"{name} is {value!r}: give a positive number from {_LEAST:g} to "
                    f"{1 / _LEAST:g}, or None"
                )
        for name, needed in (
            ("exposure_s", "frame_interval_s"),
            ("localisation_error_um", "pixel_size_um"),
        ):
            value = getattr(self, name)
            if value is None:
                continue
            if not (is_number(value) and 0 <= value <= 1 / _LEAST):
                raise CalibrationError(
                    f"{name} is {value!r}: give a number of at least 0, {1 / _LEAST:g} at most, or "
                    "None"
                )
            if getattr(self, needed) is None:
                raise CalibrationError(f"{name} is given without {needed}: give both, or neither")
        if self.exposure_s is not None and self.exposure_s > self.time * (1 + 1e-9):
            raise CalibrationError(
                f"exposure_s is {self.exposure_s:g} s, longer than the frame interval of "
                f"{self.time:g} s: check both"
            )
        if self.localisation_error_um is not None and self.exposure_s is None:
            raise CalibrationError(
                "localisation_error_um is given without exposure_s: only together do they fix the "
                "offset of the MSD; give exposure_s too (0 for a strobe)"
            )

    @property
    def length(self) -> float:
        """Length of a pixel in `length_unit`."""
        return 1.0 if self.pixel_size_um is None else float(self.pixel_size_um)

    @property
    def time(self) -> float:
        """Duration of a frame interval in `time_unit`."""
        return 1.0 if self.frame_interval_s is None else float(self.frame_interval_s)

    @property
    def length_unit(self) -> str:
        """``um`` or ``px``."""
        return "px" if self.pixel_size_um is None else "um"

    @property
    def time_unit(self) -> str:
        """``s`` or ``frame``."""
        return "frame" if self.frame_interval_s is None else "s"

    @property
    def diffusion_unit(self) -> str:
        """Unit of D; that of K is this with ``^alpha``."""
        return f"{self.length_unit}^2/{self.time_unit}"

    def exposure_fraction(self, stride: int = 1) -> float | None:
        """Return the exposure over `stride` frame intervals, or None when it is unknown."""
        if self.exposure_s is None:
            return None
        return min(self.exposure_s / self.time, 1.0) / stride

    @property
    def localisation_error_px(self) -> float | None:
        """The known localisation error per axis in pixels."""
        if self.localisation_error_um is None:
            return None
        return self.localisation_error_um / self.length
