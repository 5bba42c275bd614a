"""The methods section of a paper: what was done in an analysis, with its numbers and sources.

Every sentence is made from ``summary.json`` and stands only where it holds: of several videos each
says in how many.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtrainer.arguments import shown
from cloudtrainer.errors import ConfigError
from cloudtrainer.figures import with_interval
from cloudtrainer.report.detection_methods import detection
from cloudtrainer.report.estimation_methods import estimation
from cloudtrainer.report.references import References
from cloudtrainer.report.wording import Summary, among, calibrated, counted, entry_of, grouped, span
from cloudtrainer.tracking.search_range import RANGE_IN_SD, SMALLEST_PX

_WANTED = "give what an analysis of this version writes to summary.json"
_PARTS = ("measured", "calibration", "config", "video")
_ENGINES = {"trackpy": "", "laptrack": ", by linear assignment with laptrack"}


def methods_text(summary: Summary, more: Sequence[str] = ()) -> str:
    """Return a methods section: what was done, what it gave, and the papers that it cites.

    Parameters
    ----------
    summary : mapping
        What ``summary.json`` holds, of one video or table, or of several.
    more : sequence of str
        Sentences about what else was computed, with their own sources.

    Returns
    -------
    str
        Paragraphs, apart by empty lines; the last begins with "References".

    Raises
    ------
    ConfigError
        It is not what an analysis writes to ``summary.json``.
    """
    if not isinstance(summary, Mapping):
        raise ConfigError(f"summary is {shown(summary)}: {_WANTED}")
    singles: list[Summary] = list(summary.get("videos") or [summary])
    for single in singles:
        parts = single if isinstance(single, Mapping) else {}
        missing = [name for name in _PARTS if not isinstance(parts.get(name), Mapping)]
        if missing:
            raise ConfigError(f"the summary has no part '{missing[0]}': {_WANTED}")
    try:
        return _methods(summary, singles, more)
    except (KeyError, StopIteration) as error:
        what = f"nothing named {error}" if isinstance(error, KeyError) else "not all numbers"
        raise ConfigError(f"the summary has {what}: {_WANTED}") from None


def _methods(summary: Summary, singles: list[Summary], more: Sequence[str]) -> str:
    references = References()
    done = [
        _opening(singles),
        *detection(singles, references),
        *_linking(singles, references),
        *_drift(singles),
        *estimation(summary, singles, references),
        *more,
    ]
    found = _results(summary, singles)
    parts = [" ".join(done), " ".join(found)]
    if references.lines():
        parts.append("\n".join(["References", *references.lines()]))
    return "\n\n".join(part for part in parts if part)


def _opening(singles: Sequence[Summary]) -> str:
    videos = [single for single in singles if single["video"]["shape"]]
    tables = len(singles) - len(videos)
    said = []
    if videos:
        frames, height, width = (
            span(single["video"]["shape"][axis] for single in videos) for axis in range(3)
        )
        said.append(
            f"{counted(len(videos), 'video')} of {frames} frames of {width} x {height} px"
            if len(videos) > 1
            else f"A video of {frames} frames of {width} x {height} px"
        )
    if tables:
        said.append("a table of tracks" if tables == 1 else f"{tables} tables of tracks")
    subject = " and ".join(said)
    verb = "was" if len(singles) == 1 else "were"
    text = f"{subject[0].upper()}{subject[1:]} {verb} analysed with cloudtrainer "
    return text + f"{singles[0]['version']}{_calibration(singles)}."


def _calibration(singles: Sequence[Summary]) -> str:
    known = [single["calibration"] for single in singles if calibrated(single)]
    if not known:
        return ", in pixels and frames, without a full calibration"
    times = [one["exposure_s"] for one in known if one["exposure_s"] is not None]
    exposure = "an unknown exposure" if not times else f"an exposure of {span(times)} s"
    if 0 < len(times) < len(known):
        exposure += f" ({len(known) - len(times)} unknown)"
    text = (
        f", at {span(one['pixel_size_um'] for one in known)} µm a pixel, "
        f"{span(one['frame_interval_s'] for one in known)} s between frames and {exposure}"
    )
    if len(known) < len(singles):
        text += f"; {len(singles) - len(known)} of them in pixels and frames, not calibrated"
    return text


def _linking(singles: Sequence[Summary], references: References) -> list[str]:
    linked = [one for one in singles if one["measured"]["search_range_px"] is not None]
    settings = singles[0]["config"]
    said = []
    if linked:
        reach = span((one["measured"]["search_range_px"] for one in linked), ".1f")
        said.append(
            f"Positions were linked from frame to frame by the least sum of squared steps "
            f"{references.cite('crocker')}{_ENGINES[settings['linking_engine']]}, at a search "
            f"range of {reach} px and a "
            f"memory of {counted(settings['memory_frames'], 'frame')}"
            f"{among(len(linked), len(singles))}."
        )
        if settings["memory_frames"] and settings["linking_engine"] == "trackpy":
            said.append(
                "Across missing frames squared steps were divided by the number of frames passed."
            )
    measured = [one for one in linked if one["measured"]["search_range_measured"]]
    guessed = len(linked) - len(measured) if settings["search_range_px"] is None else 0
    if measured:
        said.append(
            f"The search range was {RANGE_IN_SD:g} standard deviations of the steps along one axis "
            "and the mean flow, both measured from the positions before linking "
            f"{references.cite('semrau')}, but at least {SMALLEST_PX:g} px and no more than the "
            f"median distance between neighbours{among(len(measured), len(singles))}."
        )
    if guessed:
        said.append(
            "Too few steps could be measured to choose the search range by them"
            f"{among(guessed, len(singles))}."
        )
    if any(one["measured"]["tracks"] or not one["video"]["shape"] for one in singles):
        said.append(
            f"Tracks seen in fewer than {settings['min_track_frames']} frames were dropped."
        )
    for how, group in grouped(singles, lambda one: one["measured"]["tracks_left_out_by"]):
        lost = sum(one["measured"]["tracks_left_out"] for one in group)
        if not how or not lost:
            continue
        of_all = sum(one["measured"]["tracks_linked"] for one in group)
        said.append(
            f"{lost} of {of_all} tracks were left out, {how}{among(len(group), len(singles))}."
        )
    return said


def _drift(singles: Sequence[Summary]) -> list[str]:
    said = []
    there = [one for one in singles if one["measured"]["tracks"]]
    asked = singles[0]["config"]["drift"]
    for method, group in grouped(there, lambda one: one["measured"]["drift_method"]):
        where = among(len(group), len(singles))
        speed = span((one["measured"]["drift_px_per_frame"] for one in group), ".3g")
        if method == "none" and asked == "none":
            said.append(f"Drift was not corrected{where}.")
        elif method == "none":
            said.append(
                "No common drift was significant at the 0.1% level, and none was subtracted"
                f"{where}."
            )
        elif method == "steady":
            said.append(
                f"The common drift of the particles, {speed} px a frame, was significant "
                f"at the 0.1% level and was subtracted{where}."
            )
        else:
            said.append(
                "The common drift of the particles changed with time (significant at the 0.1% "
                "level): the mean step of each frame was subtracted, and steps were stretched to "
                f"give back what this takes from their mean square{where}."
            )
    return said


def _results(summary: Summary, singles: Sequence[Summary]) -> list[str]:
    D, alpha = entry_of(summary, "D_"), entry_of(summary, "alpha")
    said = []
    values = [
        f"{name} = {_spoken(entry)}"
        for name, entry in (("D", D), ("alpha", alpha))
        if entry is not None
    ]
    if values:
        said.append(f"This gave {' and '.join(values)}.")
    missing = [name for name, entry in (("D", D), ("alpha", alpha)) if entry is None]
    if missing:
        said.append(f"No value of {' and '.join(missing)} could be given.")
    without = [one["video"]["name"] for one in singles if entry_of(one, "D_") is None]
    if without and len(without) < len(singles):
        said.append(f"{', '.join(without)} gave no D.")
    measured = summary["measured"]
    if alpha is not None or measured["motion_type"] != "Undetermined":
        said.append(f"Kind of motion: {measured['motion_type']}.")
    key = next(name for name in measured if name.startswith("localisation_error_"))
    if measured[key] is not None:
        unit = "µm" if key.endswith("um") else "px"
        sources = dict.fromkeys(
            one["measured"]["localisation_error_from"]
            for one in singles
            if one["measured"]["localisation_error_from"]
        )
        mean = "on average " if len(singles) > 1 else ""
        said.append(
            f"The localisation error along one axis was {mean}{measured[key]:.3g} {unit} "
            f"({'; '.join(sources)})."
        )
    return said


def _spoken(entry: Mapping[str, Any]) -> str:
    text = with_interval(entry["value"], entry["low"], entry["high"], entry["unit"])
    return text.replace("(95%:", "(95% interval")
