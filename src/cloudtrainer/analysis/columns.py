"""``columns.csv``: what each column of a result folder's tables holds, and in which unit."""

import re
from pathlib import Path

import pandas as pd

# By column: the unit, and what it is. {L}, {T} stand for the units of length and time of the
# estimates. Positions are in pixels and frames always.
_D = "diffusion coefficient of this particle alone, by maximum likelihood"
_LOW, _HIGH = "lower end of its 95% interval", "upper end of its 95% interval"
_ERROR = "standard error of the column before"
_TRACKS = {
    "frame": ("1", "number of the frame, from 0; by time stamps where a video has them"),
    "video_frame": ("1", "number of the picture in the file, where frames are missing from it"),
    "particle": ("1", "number of the particle"),
    "video": ("", "folder of the video's own results"),
    "x": ("px", "column, from the centre of the first pixel"),
    "y": ("px", "row, from the centre of the first pixel"),
    "video_x": ("px", "column in the frame itself, the drift not taken out"),
    "video_y": ("px", "row in the frame itself, the drift not taken out"),
    "x_error": ("px", "localisation error along x that the detector states"),
    "y_error": ("px", "localisation error along y that the detector states"),
    "probability": ("1", "that this is a particle, by the detector"),
    "intensity": ("counts", "light above the surroundings, in grey levels of the video"),
    "area": ("px^2", "area of the detection"),
    "to_border_px": ("px", "distance from the border of the frame"),
    "first_frame": ("1", "first frame that the particle is seen in"),
    "frames": ("1", "frames that the particle is seen in"),
}
_PARTICLES = {
    "D": ("{L}^2/{T}", _D),
    "D_standard_error": ("{L}^2/{T}", _ERROR),
    "D_low": ("{L}^2/{T}", _LOW),
    "D_high": ("{L}^2/{T}", _HIGH),
    "offset": ("{L}^2", "offset of the MSD: 4 (localisation error)^2 less the motion blur"),
    "localisation_error": ("{L}", "along one axis; empty where the exposure is unknown"),
    "alpha": ("1", "exponent of the MSD, 4 K t^alpha + offset, by maximum likelihood"),
    "alpha_standard_error": ("1", _ERROR),
    "alpha_low": ("1", _LOW),
    "alpha_high": ("1", _HIGH),
    "K": ("{L}^2/{T}^alpha", "coefficient of that MSD; its unit depends on alpha"),
    "K_low": ("{L}^2/{T}^alpha", _LOW),
    "K_high": ("{L}^2/{T}^alpha", _HIGH),
    "alpha_reason": ("", "why alpha has no value"),
    "motion_model": ("", "kind of motion of this particle alone, where the others are excluded"),
    "motion_p_value": ("1", "of Brownian motion, against the other kinds"),
    "confinement_radius": ("{L}", "square root of the plateau of the MSD, if confined"),
    "confinement_radius_error": ("{L}", _ERROR),
    "speed": ("{L}/{T}", "of the lasting velocity, if directed"),
    "speed_error": ("{L}/{T}", _ERROR),
    "motion_reason": ("", "why the kind of motion is undetermined"),
}
_MOBILITY = {
    "D_um2_per_s": ("um^2/s", _D),
    "D_low_um2_per_s": ("um^2/s", _LOW),
    "D_high_um2_per_s": ("um^2/s", _HIGH),
    "duration_s": ("s", "from the first frame of the particle to its last"),
    "class": ("", "class of transport"),
    "why_undetermined": ("", "why the class is undetermined"),
    "slope": ("1", "of log MSD against log lag, nothing taken out"),
    "class_by_slope": ("", "class that this slope alone would give"),
    "fastest_tenth": ("", "whether the particle is one of the fastest tenth, as observed"),
    "quantity": ("", "what the row is about"),
    "time_scale_s": ("s", "time scale of an effective diffusivity"),
    "weighting": ("", "particles weigh alike, or by their numbers of frames"),
    "value": ("as in the column unit", "the number"),
    "low": ("as in the column unit", _LOW),
    "high": ("as in the column unit", _HIGH),
    "unit": ("", "unit of the numbers of the row"),
}
_MSD = {
    "lag_frames": ("1", "lag, in frames"),
    "pairs": ("1", "pairs of positions"),
    "lag_{T}": ("{T}", "lag, in time"),
    "msd_{L}2": ("{L}^2", "mean squared displacement in the plane, of the ensemble"),
    "standard_error_{L}2": ("{L}^2", _ERROR),
}
_MODULI = {
    "angular_frequency_rad_per_s": ("rad/s", "angular frequency"),
    **{
        f"{kind}_{end}_Pa": ("Pa", what)
        for kind in ("storage", "loss")
        for end, what in (("modulus", f"{kind} modulus"), ("low", _LOW), ("high", _HIGH))
    },
    "slope_of_msd": ("1", "logarithmic slope of the MSD there, offset and blur taken out"),
    "possible_blur_share": ("1", "how much of |G*| blur could change, the exposure unknown"),
}
_MEANS = {
    "videos": ("1", "videos that the mean is over, each with equal weight"),
    "standard_error": ("as in the column unit", "standard error of value"),
    "between_videos_sd": (
        "as in the column unit",
        "standard deviation between videos beyond what their particles explain",
    ),
    "weighted_by_particles": (
        "as in the column unit",
        "mean that all tracks in one pot would give",
    ),
}
_ALL = {**_TRACKS, **_PARTICLES, **_MOBILITY, **_MSD, **_MODULI, **_MEANS}
_EFFECTIVE = re.compile(r"Deff_(?P<time>.+)s_(?P<what>um2_per_s|over_free)")


def columns_table(folder: Path, *, length_unit: str, time_unit: str) -> pd.DataFrame:
    """Return ``file, column, unit, what`` of every CSV table in a folder.

    A column that a user's own table brought along has no unit and no description.

    Parameters
    ----------
    folder : Path
    length_unit, time_unit : str
        Of the estimates: ``um`` or ``px``, ``s`` or ``frame``.
    """
    known = {
        name.format(L=length_unit, T=time_unit): (unit.format(L=length_unit, T=time_unit), what)
        for name, (unit, what) in _ALL.items()
    }
    rows = []
    for path in sorted(folder.glob("*.csv")):
        for column in pd.read_csv(path, nrows=0).columns:
            unit, what = known.get(column) or _effective(column) or ("", "")
            rows.append((path.name, column, unit, what))
    return pd.DataFrame(rows, columns=["file", "column", "unit", "what"])


def _effective(column: str) -> tuple[str, str] | None:
    """Return the unit and the meaning of an effective diffusivity's column."""
    found = _EFFECTIVE.fullmatch(column)
    if found is None:
        return None
    what = (
        f"effective diffusivity at {found['time']} s, (MSD - offset) / (4 (time - blur)); the blur "
        "is a third of the exposure, 0 where that is unknown"
    )
    if found["what"] == "over_free":
        return "1", f"{what}, over that of the free particle"
    return "um^2/s", what
