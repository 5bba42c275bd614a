"""The tables of a result: its numbers with their intervals, and one row a particle."""

from typing import Any

import numpy as np
import pandas as pd
import panel as pn

from cloudtrainer.studio.look import TABLE_CSS
from cloudtrainer.studio.result_files import ResultFiles

_ROWS = 12
_WIDTH = 1230
_HEADINGS_CSS = """
.tabulator .tabulator-header .tabulator-col .tabulator-col-content .tabulator-col-title {
  white-space: normal; overflow-wrap: anywhere; font-size: 12px;
}
"""
_NAMES = {
    "D": "D",
    "D_spread": "spread of D between particles (standard deviation over mean)",
    "moving_D": "D without the tracks that do not move",
    "D_of_all_tracks": "D with the tracks that were left out",
    "K": "K (MSD = 4 K t^alpha + offset)",
    "msd_offset": "offset of the MSD",
    "anomalous_msd_offset": "offset of the MSD with alpha",
}
# Endings of names, and the unit that they state.
_ENDINGS = {
    "_um2_per_s": "µm²/s", "_px2_per_frame": "px²/frame", "_um_per_s": "µm/s",
    "_px_per_frame": "px/frame", "_um2": "µm²", "_px2": "px²", "_Pa_s": "Pa s", "_um": "µm",
    "_px": "px", "_K": "K", "_per_s_to_alpha": "", "_per_frame_to_alpha": "", "_J_per_K": "J/K",
}  # fmt: skip


def numbers_table(numbers: pd.DataFrame) -> Any:
    """Return the numbers of the summary, each with its interval, to be sorted."""
    return _table(
        numbers,
        {
            "what": "Quantity", "value": "Value", "low": "95% from", "high": "to", "unit": "Unit",
            "method": "How",
        },
        {"what": 300, "value": 100, "low": 110, "high": 100, "unit": 110, "method": 430},
        text=("what", "unit", "method"),
    )  # fmt: skip


def numbers_of(files: ResultFiles) -> pd.DataFrame:
    """Return ``what, value, low, high, unit, method``: estimates first, then plain numbers."""
    from cloudtrainer.figures import display_unit

    estimates, plain = [], []
    material = files.summary.get("material") or {}
    mobility = files.summary.get("mobility") or {}
    found = {**files.measured, **{name: value for name, value in material.items() if "measured_" in
             name or name.startswith("free_") or "_over_" in name}}  # fmt: skip
    for name, entry in found.items():
        label, unit = _named(name.removeprefix("measured_"))
        if isinstance(entry, dict) and "value" in entry:
            estimates.append(
                (label, entry["value"], entry.get("low"), entry.get("high"),
                 _unit(display_unit(str(entry.get("unit", "")))), entry.get("method", ""))
            )  # fmt: skip
        elif isinstance(entry, int | float) and not isinstance(entry, bool):
            plain.append((label, float(entry), None, None, unit, ""))
    for one in mobility.get("effective_diffusivity_um2_per_s") or []:
        for which in ("mean", "median"):
            key = f"{which}_by_particle"
            if one.get(key) is not None:
                estimates.append(
                    (f"effective diffusivity at {one['time_scale_s']:g} s, {which} over particles",
                     one[key], one.get(f"{key}_low"), one.get(f"{key}_high"), "µm²/s",
                     f"displacements over {one['lag_frames']} frames")
                )  # fmt: skip
    columns = ["what", "value", "low", "high", "unit", "method"]
    return pd.DataFrame([*estimates, *plain], columns=columns).astype(
        {"value": float, "low": float, "high": float}
    )


def particles_table(files: ResultFiles, particles: pd.DataFrame) -> Any:
    """Return one row a particle, to be sorted."""
    D = files.diffusion_unit
    titles = {
        "particle": "Track", "first_frame": "First frame", "frames": "Frames", "D": f"D ({D})",
        "D_low": "95% from", "D_high": "to", "alpha": "alpha", "alpha_low": "95% from",
        "alpha_high": "to", "motion_model": "Kind of motion", "motion_reason": "Why",
    }  # fmt: skip
    there = [name for name in titles if name in particles]
    shown = particles[there].copy()
    shown["motion_reason"] = shown.get("motion_reason", pd.Series("", index=shown.index)).fillna("")
    return _table(
        shown,
        titles,
        {
            "particle": 75,
            "first_frame": 122,
            "frames": 85,
            "D": 125,
            "D_low": 105,
            "alpha": 85,
            "alpha_low": 105,
            "motion_model": 145,
            "motion_reason": 228,
        },
        text=("motion_model", "motion_reason"),
    )


def _table(
    table: pd.DataFrame, titles: dict[str, str], widths: dict[str, int], *, text: tuple[str, ...]
) -> Any:
    shown = table.copy()
    for name in shown.columns:
        if name not in text and shown[name].dtype == np.float64:
            shown[name] = [_rounded(value) for value in shown[name]]
    return pn.widgets.Tabulator(
        shown,
        titles=titles,
        widths={name: widths.get(name, 80) for name in shown.columns},
        # Numbers as they are: the usual format has six decimals, and shows 2e-8 as 0.
        formatters={
            name: {"type": "textarea" if name in text else "plaintext"} for name in shown.columns
        },
        # Cells that could be edited would each catch the Tab key.
        editors=dict.fromkeys(shown.columns),
        stylesheets=[TABLE_CSS, _HEADINGS_CSS],
        show_index=False,
        disabled=True,
        # Rows of other pages are not sent: a table of 5,000 tracks opens at once.
        pagination="remote",
        page_size=_ROWS,
        width=_WIDTH,
        layout="fit_data_fill",
    )


def _rounded(value: float) -> float:
    return float(f"{value:.4g}") if np.isfinite(value) else float("nan")


def _named(name: str) -> tuple[str, str]:
    """Return a name of the summary for people, and the unit that it states."""
    for ending, unit in _ENDINGS.items():
        if name.endswith(ending):
            stem = name.removesuffix(ending)
            if ending.endswith("to_alpha"):
                stem = "K"
            return _NAMES.get(stem, stem.replace("_", " ")), unit
    return _NAMES.get(name, name.replace("_", " ")), ""


def _unit(unit: str) -> str:
    return "" if unit == "1" else unit
