"""What an analysis found: its numbers, its warnings, its figures, its report."""

import json
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import panel as pn

from cloudtrainer.studio.look import sentence
from cloudtrainer.studio.page_words import in_page_words

_FIGURES = {
    "msd": "MSD",
    "detections": "Detections",
    "trajectories": "Trajectories",
    "D_of_particles": "D of particles",
    "alpha_of_particles": "alpha of particles",
    "particles_per_frame": "Particles by frame",
    "linking": "Linking",
    "correlations": "Correlations",
}
_STYLE = (
    "<style>.row{display:flex;flex-wrap:wrap;gap:10px 36px;margin:2px 0 8px}"
    ".row dt{color:#5c5c5c;font-size:13px}.row dd{margin:0;font-size:17px;font-weight:600}"
    ".warnings{background:#fff8e1;border-left:4px solid #b26a00;padding:6px 12px;margin:6px 0}"
    ".warnings ul{margin:0;padding-left:18px}a{color:#0B5394}</style>"
)


class ResultView:
    """The results of one folder.

    Parameters
    ----------
    linked : bool
        Whether a server gives the report and the zip; in a notebook the path is named instead.
    """

    def __init__(self, *, linked: bool) -> None:
        self.linked = linked
        self.numbers = pn.pane.HTML("", sizing_mode="stretch_width")
        self.which = pn.widgets.RadioButtonGroup(options=[], color="default")
        self.picture = pn.pane.PNG(None, width=760)
        self.which.param.watch(self._show_figure, "value")
        self._folder: Path | None = None
        self.layout = pn.Column(
            self.numbers, self.which, self.picture, sizing_mode="stretch_width", visible=False
        )

    def show(self, folder: Path) -> None:
        """Show the results that a folder holds."""
        self._folder = folder
        self.layout.visible = True
        try:
            summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
            self.numbers.object = (
                _STYLE + _origin(summary) + _numbers(summary) + self._links(folder)
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            self.numbers.object = sentence(
                f"{folder.name}: its summary.json cannot be read ({error}); analyse again", "wrong"
            )
        there = [words for name, words in _FIGURES.items() if _figure(folder, name).is_file()]
        self.which.param.update(options=there, value=there[0] if there else None)
        self._show_figure()

    def _show_figure(self, *_: Any) -> None:
        names = {words: name for name, words in _FIGURES.items()}
        if self._folder is None or self.which.value not in names:
            self.picture.object = None
            return
        self.picture.object = _figure(self._folder, names[self.which.value]).read_bytes()

    def _links(self, folder: Path) -> str:
        if not self.linked:
            return f"<p>Report: {escape(str(folder / 'report.html'))}</p>"
        name = quote(folder.name)
        return (
            f'<p><a href="results/{name}/report.html" target="_blank" rel="noopener">Open the '
            f'report</a> &nbsp; <a href="zip/results/{name}.zip" download>Download everything as a '
            "zip</a></p>"
        )


def _figure(folder: Path, name: str) -> Path:
    return folder / "figures" / f"{name}.png"


def _origin(summary: dict[str, Any]) -> str:
    """Say what the numbers are of, and how they came about."""
    calibration, model = summary.get("calibration", {}), summary.get("model") or {}
    pixel, interval = calibration.get("pixel_size_um"), calibration.get("frame_interval_s")
    parts = [f"Results of {summary['video']['name']}"]
    if pixel and interval:
        parts.append(f"{pixel:.5g} um a pixel and {interval:.5g} s between frames")
    else:
        parts.append("in pixels and frames, for the calibration is not known")
    if model:
        parts.append(f"model {model['name']} at threshold {model['threshold']:.3g}")
    return f"<p><b>{escape(parts[0])}</b>, {escape(', '.join(parts[1:]))}</p>"


def _numbers(summary: dict[str, Any]) -> str:
    measured = summary["measured"]
    D = next((value for name, value in measured.items() if name.startswith("D_")), None)
    per_frame = measured.get("particles_per_frame")
    shown = {
        "D": _estimate(D),
        "alpha": _estimate(measured.get("alpha")),
        "Motion": measured.get("motion_type") or "not known",
        "Tracks": str(measured.get("tracks", "")),
        "Particles a frame": "" if per_frame is None else f"{per_frame:.1f}",
    }
    cells = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(text)}</dd></div>" for name, text in shown.items()
    )
    warnings = "".join(
        f"<li>{escape(in_page_words(str(one)))}</li>" for one in summary.get("warnings", [])
    )
    told = f'<div class="warnings"><ul>{warnings}</ul></div>' if warnings else ""
    return f'<dl class="row">{cells}</dl>{told}'


def _estimate(entry: dict[str, Any] | None) -> str:
    from cloudtrainer.figures import with_interval

    if not entry:
        return "not estimated"
    low, high = (
        float("nan") if entry.get(end) is None else float(entry[end]) for end in ("low", "high")
    )
    return with_interval(float(entry["value"]), low, high, str(entry["unit"]))
