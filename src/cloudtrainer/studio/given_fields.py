"""What a person knows of a video beside the settings: calibration, part, particles and medium."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import panel as pn

from cloudtrainer.errors import CalibrationError
from cloudtrainer.studio.look import CARD, FIELD_CSS, sentence
from cloudtrainer.video import Video

_WIDTH = 262


@dataclass(frozen=True)
class GivenField:
    """One thing that may be known.

    Attributes
    ----------
    name : str
        The keyword of `analyze`.
    option : str
        The option of the command line, which messages name.
    label : str
        Its name for people, with its unit.
    help : str
        What it is for, in a line.
    hint : str
        What stands in the field while it is empty.
    least : float or None
        Least value; None: only above 0.
    numbers : (int, int)
        Least and most numbers that it takes.
    """

    name: str
    option: str
    label: str
    help: str = ""
    hint: str = ""
    least: float | None = None
    numbers: tuple[int, int] = (1, 1)


CALIBRATION = (
    GivenField("pixel_size_um", "--pixel-size-um", "Pixel size [um]"),
    GivenField("frame_interval_s", "--frame-interval-s", "Frame interval [s]"),
    GivenField("exposure_s", "--exposure-s", "Exposure [s]", hint="unknown", least=0.0),
)
MATERIAL = (
    GivenField(
        "temperature_K", "--temperature-c", "Temperature [°C]",
        "With the radius it gives the viscosity, G' and G''; with the viscosity the radius; with "
        "both, D over that of a free particle.", "unknown", least=-273.15,
    ),
    GivenField(
        "temperature_error_K", "--temperature-error-k", "Standard error of the temperature [K]",
        hint="0", least=0.0,
    ),
    GivenField(
        "particle_radius_um", "--particle-radius-um", "Radius of the particles [um]",
        "Half their size.", "unknown",
    ),
    GivenField(
        "particle_radius_relative_error", "--particle-radius-relative-error",
        "Standard error of the radius, as a share", "0.05 is 5% of the radius.", "0", least=0.0,
    ),
    GivenField(
        "viscosity_Pa_s", "--viscosity-pa-s", "Viscosity of the medium [Pa s]",
        "Water at 20 °C has 0.001.", "unknown",
    ),
    GivenField(
        "viscosity_relative_error", "--viscosity-relative-error",
        "Standard error of the viscosity, as a share", hint="0", least=0.0,
    ),
    GivenField(
        "wall_distance_um", "--wall-distance-um", "Distance from a wall [um]",
        "Of the particles' centres from a plane wall that they move along.", "far away",
    ),
    GivenField(
        "static_error_um", "--static-error-um", "Localisation error of stuck particles [um]",
        "Of each axis, under the same optics: it is taken out of the MSD for G' and G''.",
        "unknown", least=0.0,
    ),
    GivenField(
        "time_scales_s", "--time-scale-s", "Time scales of mobility [s]",
        "Of the effective diffusivities, with commas between.", "0.1, 0.3, 1, 3", numbers=(1, 20),
    ),
)  # fmt: skip
PART = (
    GivenField(
        "frames", "--frames", "Frames used: first, and first one left out",
        "Counted from 0, such as 0, 500; with one number from there to the end.", "all", 0.0, (1, 2)
    ),
    GivenField(
        "region", "--region", "Region used: x, y, width, height [px]",
        "Such as 0, 0, 256, 256.", "all of the frame", 0.0, (4, 4),
    ),
)  # fmt: skip
TWIN_LABEL = "First learn the video's twin (some minutes)"
_TWIN_HELP = (
    "A detector is trained on simulated scenes like this video, beginning with the bundled model "
    "and without labels; the model chosen above is not used."
)
_WHOLE = ("frames", "region")


class GivenFields:
    """The fields, and what they hold.

    Attributes
    ----------
    widgets : dict
        The widget of each field by its keyword.
    twin : Checkbox
        Whether the video's twin is learned first.
    calibration : list of widgets
        What is always seen.
    note : HTML
        What was typed for the video before and is still used.
    """

    def __init__(self) -> None:
        self.widgets: dict[str, Any] = {
            one.name: pn.widgets.TextInput(
                label=one.label,
                placeholder=one.hint,
                width=135 if one in CALIBRATION else _WIDTH,
                margin=(5, 10) if one in CALIBRATION else (6, 10, 0, 10),
            )
            for one in (*CALIBRATION, *MATERIAL, *PART)
        }
        self.twin = pn.widgets.Checkbox(label=TWIN_LABEL, width=2 * _WIDTH)
        self.note = pn.pane.HTML("", sizing_mode="stretch_width", margin=(0, 10))
        self._video: Path | None = None
        for widget in self.widgets.values():
            widget.param.watch(lambda _: self.note.param.update(object=""), "value")
        self.calibration = [self.widgets[one.name] for one in CALIBRATION]
        self.material_card = pn.Card(
            self._cells(MATERIAL),
            title="Material and medium (for viscosity, moduli, mobility)",
            collapsed=True,
            **CARD,
        )
        self.part_and_twin = pn.Column(
            self._cells(PART),
            self.twin,
            _help(_TWIN_HELP, 2 * _WIDTH + 20),
            sizing_mode="stretch_width",
        )

    def of_video(self, video: Video, path: Path) -> None:
        """Show what the file itself states, and take away what was typed for another video alone.

        A part of that video is none of this one. A calibration that was typed stays where this
        file states none, as in a series of one microscope, and so does the medium: both are said.
        """
        is_other = self._video not in (None, path)
        for name in ("pixel_size_um", "frame_interval_s"):
            stated = getattr(video, name)
            self.widgets[name].placeholder = _stated(stated)
            if is_other and stated:
                self.widgets[name].value = ""
        if is_other:
            for one in PART:
                self.widgets[one.name].value = ""
            kept = [
                f"{one.label} {self.widgets[one.name].value}"
                for one in (*CALIBRATION, *MATERIAL)
                if str(self.widgets[one.name].value).strip()
            ]
            self.note.object = (
                sentence(
                    f"Typed for another video and still used: {', '.join(kept)}. Empty what is not "
                    "true of this one.", "wrong",
                )
                if kept
                else ""
            )  # fmt: skip
        self._video = path

    def read(self) -> dict[str, Any]:
        """Return what is given, by the keywords of `analyze`.

        Raises
        ------
        CalibrationError, ConfigError
            A field holds no such number, or one says nothing without another.
        """
        given: dict[str, Any] = {"twin": True} if self.twin.value else {}
        for one in (*CALIBRATION, *MATERIAL, *PART):
            numbers = _numbers(one, str(self.widgets[one.name].value))
            if numbers:
                given[one.name] = numbers if one.numbers != (1, 1) else numbers[0]
        if any(one.name in given for one in MATERIAL):
            _check_material(given)
        if len(given.get("frames", [])) == 1:
            given["frames"].append(None)
        return given

    def _cells(self, fields: Sequence[GivenField]) -> Any:
        return pn.FlexBox(
            *(
                pn.Column(self.widgets[one.name], _help(one.help), width=_WIDTH + 20, margin=0)
                for one in fields
            ),
            sizing_mode="stretch_width",
        )


def _help(text: str, width: int = _WIDTH) -> Any:
    shown = f'{FIELD_CSS}<div class="help">{text}</div>'
    return pn.pane.HTML(shown, width=width, margin=(0, 10, 6, 10))


def _stated(value: float | None) -> str:
    return f"{value:.5g} (file)" if value else "unknown"


def _check_material(given: dict[str, Any]) -> None:
    """Put the temperature in kelvin, and refuse at once what an analysis would refuse."""
    from cloudtrainer.analysis.material import Material
    from cloudtrainer.analysis.ranges import kelvin
    from cloudtrainer.diffusion import check_time_scales

    if "temperature_K" in given:
        given["temperature_K"] = kelvin(given["temperature_K"])
    if "time_scales_s" in given:
        check_time_scales(given["time_scales_s"])
    names = {one.name for one in MATERIAL} - {"time_scales_s"}
    Material(**{name: value for name, value in given.items() if name in names})


def _numbers(field: GivenField, text: str) -> list[Any]:
    """Return the numbers that a field holds; none where it is empty.

    Raises
    ------
    CalibrationError
        It holds something else, or too many.
    """
    if not text.strip():
        return []
    fewest, most = field.numbers
    try:
        values = [(int if field.name in _WHOLE else float)(part) for part in text.split(",")]
        allowed = [
            0 < value < float("inf") if field.least is None else field.least <= value < float("inf")
            for value in values
        ]
        if not all(allowed) or not fewest <= len(values) <= most:
            raise ValueError
    except ValueError:
        wanted = {(1, 1): "a number", (1, 2): "one or two whole numbers from 0"}.get(
            field.numbers, "four whole numbers" if fewest == most else "numbers with commas between"
        )
        if field.least is None:
            wanted = wanted.replace("number", "positive number")
        elif field.numbers == (1, 1):
            wanted += f" of {field.least:g} or more"
        raise CalibrationError(
            f"{field.label}: {text.strip()!r} is not {wanted}; correct it, or leave it empty"
        ) from None
    return values
