"""What a methods section says of how D, alpha, their intervals and the checks were made."""

from collections.abc import Mapping, Sequence
from typing import Any

from cloudtrainer.diffusion.checks.check import LEVEL as CHECKS_LEVEL
from cloudtrainer.diffusion.estimate import LEAST_LOST
from cloudtrainer.diffusion.motion import LEVEL
from cloudtrainer.diffusion.resample import REPLICATES
from cloudtrainer.diffusion.steps import MOST_NEAR_BORDER
from cloudtrainer.report.references import References
from cloudtrainer.report.wording import (
    Summary,
    among,
    calibrated,
    counted,
    entry_of,
    grouped,
    span,
    without_displacements,
)


def estimation(summary: Summary, singles: Sequence[Summary], references: References) -> list[str]:
    """Return sentences on the estimates, the checks of their model and their intervals."""
    return [
        *_diffusion(singles, references),
        *_exponent(singles, references),
        *_checks(singles, references),
        *_intervals(summary, singles, references),
    ]


def _exposure(single: Summary) -> float | None:
    """Return the exposure that entered the estimates."""
    return single["calibration"]["exposure_s"] if calibrated(single) else None


def _diffusion(singles: Sequence[Summary], references: References) -> list[str]:
    good = [(one, entry) for one in singles if (entry := entry_of(one, "D_")) is not None]
    if not good:
        return []
    displacements = sum(entry["displacements"] for _, entry in good)
    tracks = sum(entry["particles"] for _, entry in good)
    apart = ", separately for each recording" if len(good) > 1 else ""
    idle = without_displacements(
        sum(one["measured"]["tracks"] for one, _ in good),
        tracks,
        min(entry["stride_frames"] for _, entry in good),
        any(0 < entry["near_border"] <= MOST_NEAR_BORDER for _, entry in good),
    )
    said = [
        f"The diffusion coefficient D was estimated by maximum likelihood "
        f"{references.cite('berglund', 'michalet')} from {counted(displacements, 'displacement')} "
        f"of {counted(tracks, 'track')}{apart}{f'; {idle}' if idle else ''}."
    ]
    for (frames, lags), group in grouped(good, _lags):
        if frames == 1:
            continue
        # Of several videos the interval is that between them.
        widened = (
            f", and the interval of D was widened, where needed, to hold what "
            f"{' and '.join(map(str, lags))} frames give"
            if lags and len(good) == 1
            else ""
        )
        said.append(
            "Because displacements of neighbouring frames did not pass the checks below, "
            f"displacements over {frames} frames, beginning in every frame, were used"
            f"{among(len(group), len(singles))}{widened}."
        )
    shares = [entry["near_border"] for _, entry in good]
    near = [share for share in shares if 0 < share <= MOST_NEAR_BORDER]
    if near:
        said.append(
            "Displacements that begin near the border of the field of view "
            f"({span(near, '.1%')} of all) were left out, because of those the long ones lead out "
            f"of the field and are not seen{among(len(near), len(singles))}."
        )
    lost = [entry["links_lost"] for _, entry in good]
    kept = [1 - share for share in lost if share is not None and abs(share) >= LEAST_LOST]
    if kept:
        said.append(
            "D was corrected for what linking takes of it where particles that come close are "
            "exchanged and long steps are lost: simulated Brownian particles of the same density, "
            "D, localisation error and share of missed and false detections were linked in the "
            f"same way {references.cite('gourieroux')}, and kept {span(kept, '.1%')} of D"
            f"{among(len(kept), len(singles))}. The 95% interval of D allows for a standard error "
            "of the correction of a quarter of it."
        )
    if None in lost:
        said.append(
            "Particles were so crowded that what linking takes of D could not be told, and D was "
            f"not corrected for it{among(lost.count(None), len(singles))}."
        )
    for kind, group in grouped(good, lambda pair: _kind_of_exposure(pair[0])):
        said.append(
            {
                "unknown": "As no exposure entered the estimate, the offset of the mean squared "
                "displacement was a free parameter of either sign, which holds motion blur and "
                "localisation error together",
                "strobe": "The exposure was taken as instantaneous, and the localisation error was "
                "a free parameter",
                "known": "Motion blur was calculated from the exposure, and the localisation error "
                "was a free parameter",
            }[kind]
            + f"{among(len(group), len(singles))}."
        )
    return said


def _lags(pair: tuple[Summary, Mapping[str, Any]]) -> tuple[int, tuple[int, ...]]:
    """Return the frames that a displacement is over, and those that its interval is to hold."""
    single, entry = pair
    frames = entry["stride_frames"]
    return frames, tuple(lag for lag in single["measured"]["long_lags_frames"] if lag != frames)


def _kind_of_exposure(single: Summary) -> str:
    exposure = _exposure(single)
    return "unknown" if exposure is None else "known" if exposure > 0 else "strobe"


def _exponent(singles: Sequence[Summary], references: References) -> list[str]:
    good = [one for one in singles if entry_of(one, "alpha") is not None]
    if not good:
        return []
    blurred = [one for one in good if _kind_of_exposure(one) == "known"]
    unknown = [one for one in good if _kind_of_exposure(one) == "unknown"]
    said = [
        "The anomalous exponent alpha was estimated by maximum likelihood for fractional Brownian "
        f"motion {references.cite('mandelbrot')}, with an offset in the same way, tracks being cut "
        f"at missing frames{among(len(good), len(singles))}."
    ]
    if blurred:
        said.append(
            f"Its motion was averaged over the exposure {references.cite('backlund')}"
            f"{among(len(blurred), len(singles))}."
        )
    if unknown:
        said.append(
            f"For alpha the exposure was then taken to be short{among(len(unknown), len(singles))}."
        )
    each = " in each recording" if len(good) > 1 else ""
    said.append(f"Whether alpha differs from 1 was tested at the {100 * LEVEL:g}% level{each}.")
    return said


# By the name of the check: what it looks at, the paper of its test, and what its number is.
_CHECKS: dict[str, tuple[str, str | None, str]] = {
    "displacement correlations": (
        "the correlations of displacements two to four frames apart",
        "vestergaard",
        "largest correlation",
    ),
    "variance by frame phase": (
        "the variance of displacements by the phase of the frame",
        "kruskal",
        "ratio of variances",
    ),
    "spectrum of displacements": (
        "the spectrum of displacements",
        None,
        "share of the variance",
    ),
    "drift left": (
        "the drift that was left",
        None,
        "share of the mean squared displacement over ten frames",
    ),
    "motion in common": ("the motion that particles have in common", None, "largest correlation"),
    "pixel locking": (
        "the places of positions within their pixels",
        None,
        "depth of the variation",
    ),
    "D against track length": ("D against the length of tracks", None, "relative difference"),
    "D against brightness": ("D against brightness", None, "relative difference"),
    "D against position": ("D against the place in the field", None, "relative difference"),
}


def _checks(singles: Sequence[Summary], references: References) -> list[str]:
    """Say which checks were made, and which failed."""
    made, failed = [], []
    for name, (what, paper, number) in _CHECKS.items():
        told = [
            check
            for one in singles
            for check in one["checks"]
            if check["name"] == name and check["number"] is not None
        ]
        wrong = [check["number"] for check in told if check["passed"] is False]
        if told:
            cited = f" {references.cite(paper)}" if paper else ""
            made.append(f"{what}{cited}{among(len(told), len(singles))}")
        if wrong:
            where = among(len(wrong), len(singles))
            failed.append(f"{what} ({number} {span(wrong, '.3g')}){where}")
    if not made:
        return []
    text = f"The model was checked by {_listed(made)}"
    if len(made) > 1:
        text += (
            ", with p-values adjusted for their number by Holm's method, at the "
            f"{100 * CHECKS_LEVEL:g}% level"
        )
    if not failed:
        return [f"{text}; nothing spoke against it."]
    said = [f"{text}.", f"These checks failed: {'; '.join(failed)}."]
    kept = [
        one
        for one in singles
        if any(check["passed"] is False for check in one["checks"])
        and (entry := entry_of(one, "D_")) is not None
        and entry["stride_frames"] == 1
    ]
    if kept:
        said.append(
            "D rests on displacements of neighbouring frames nevertheless"
            f"{among(len(kept), len(singles))}."
        )
    return said


def _listed(things: Sequence[str]) -> str:
    *most, last = things
    return f"{', '.join(most)} and {last}" if most else last


def _intervals(summary: Summary, singles: Sequence[Summary], references: References) -> list[str]:
    D, alpha = entry_of(summary, "D_"), entry_of(summary, "alpha")
    there = [entry for entry in (D, alpha) if entry is not None]
    if not there:
        return []
    if any(entry["interval"].startswith("Student's t over") for entry in there):
        return [
            "Each recording counts the same: values are means over the recordings. Their 95% "
            "intervals are those of a bootstrap over recordings, with Student's t, or, where that "
            f"is wider, over the tracks in them {references.cite('efron')}."
        ]
    said = []
    if len(singles) > 1:
        said.append("One recording alone gave an estimate.")
    named = [(name, entry) for name, entry in (("D", D), ("alpha", alpha)) if entry is not None]
    for how, group in grouped(named, lambda pair: pair[1]["interval"]):
        of = " and ".join(name for name, _ in group)
        if how.startswith("bootstrap"):
            text = (
                f"The 95% interval of {of} is from {REPLICATES} bootstrap samples of the tracks "
                f"{references.cite('efron')}, with Student's t, allowing for tracks of unequal "
                f"length {references.cite('mackinnon', 'bell')}"
            )
            if D is not None and "D" in of:
                text += (
                    f"; that of D allows for skewness {references.cite('hall')}"
                    if D["low"] > 0
                    else "; that of D, which reaches zero, holds that of the likelihood as well"
                )
            said.append(f"{text}.")
        else:
            why = how.partition("(")[2].partition(")")[0]
            said.append(f"The 95% interval of {of} is that of the likelihood, because {why}.")
    return said
