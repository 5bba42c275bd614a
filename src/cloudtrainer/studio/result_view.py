"""What an analysis found: numbers and warnings, tracks over the video, figures, tables, report."""

from collections.abc import Callable
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

import panel as pn

from cloudtrainer.errors import CloudTrainerError, WorkspaceError
from cloudtrainer.studio.look import aside, sentence
from cloudtrainer.studio.page_words import in_page_words
from cloudtrainer.studio.result_charts import histogram_chart, msd_chart
from cloudtrainer.studio.result_files import DAMAGED, ResultFiles
from cloudtrainer.studio.result_player import video_and_tracks
from cloudtrainer.studio.result_tables import numbers_of, numbers_table, particles_table
from cloudtrainer.studio.track_player import TrackPlayer

_PLAYER, _PICTURES = "Over the video", "Pictures"
_TABS = (
    _PLAYER, "MSD", "D of particles", "alpha of particles", "Particles", "Numbers", _PICTURES
)  # fmt: skip
# Those that need the files of a single video.
_OF_ONE_VIDEO = _TABS[:5]
_PICTURE_NAMES = {
    "msd": "MSD",
    "detections": "Detections",
    "trajectories": "Trajectories",
    "D_of_particles": "D of particles",
    "alpha_of_particles": "alpha of particles",
    "D_over_field": "D over the field",
    "detections_per_frame": "Detections by frame",
    "linking": "Linking",
    "correlations": "Correlations",
    "van_hove": "van Hove",
    "model_tests": "Tests of the model",
    "moduli": "Moduli",
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
    videos : Path
        Where the videos lie that results are of.
    linked : bool
        Whether a server gives the report and the zip; in a notebook the path is named instead.
    """

    def __init__(self, videos: Path, *, linked: bool) -> None:
        self.videos = videos
        self.linked = linked
        self.numbers = pn.pane.HTML("", sizing_mode="stretch_width")
        self.pages = {
            name: pn.Column(sizing_mode="stretch_width", min_height=470) for name in _TABS
        }
        self.tabs = pn.Tabs(*self.pages.items(), dynamic=True, sizing_mode="stretch_width")
        self.tabs.param.watch(self._opened, "active")
        self._files: ResultFiles | None = None
        self._player: TrackPlayer | None = None
        self.layout = pn.Column(self.numbers, self.tabs, sizing_mode="stretch_width", visible=False)

    def show(self, folder: Path) -> None:
        """Show the results that a folder holds."""
        self._pause()
        self.layout.visible = True
        for page in self.pages.values():
            page.clear()
        try:
            self._files = ResultFiles(folder)
            summary = self._files.summary
            self.numbers.object = (
                _STYLE + _origin(summary) + _numbers(summary) + self._links(folder)
            )
        except (CloudTrainerError, *DAMAGED) as error:
            self.numbers.object = sentence(_said(error, folder), "wrong")
            self._files = None
        self.tabs.visible = self._files is not None
        self._opened(None)

    def _opened(self, _: Any) -> None:
        """Fill the part that is opened, when it is first opened."""
        self._pause()
        name = _TABS[self.tabs.active]
        page, files = self.pages[name], self._files
        if files is None or len(page):
            return
        if name in _OF_ONE_VIDEO and not files.is_of_one_video:
            page.append(
                _words("Several videos together: see each video's own folder in the report.")
            )
            return
        page.append(_words("Reading ..."))

        def show(made: Callable[[], Any] | CloudTrainerError) -> None:
            if self._files is not files:
                return
            try:
                drawn = _words(str(made)) if isinstance(made, CloudTrainerError) else made()
            except (CloudTrainerError, OSError, *DAMAGED) as error:
                drawn = _words(_said(error, files.folder))
            if isinstance(drawn, TrackPlayer):
                self._player, drawn = drawn, drawn.layout
            page[:] = [drawn]

        aside(lambda: _read(name, files, self.videos), show)

    def _pause(self) -> None:
        if self._player is not None:
            self._player.pause()

    def _links(self, folder: Path) -> str:
        if not self.linked:
            return f"<p>Report: {escape(str(folder / 'report.html'))}</p>"
        name = quote(folder.name)
        return (
            f'<p><a href="results/{name}/report.html" target="_blank" rel="noopener">Open the '
            f'report</a> &nbsp; <a href="zip/results/{name}.zip" download>Download everything as a '
            "zip</a></p>"
        )


def _read(name: str, files: ResultFiles, videos: Path) -> Callable[[], Any] | CloudTrainerError:
    """Read what a part shows; return what draws it, or the error that is told in its place."""
    try:
        if name == _PLAYER:
            video, tracks = video_and_tracks(files, videos)
            interval = files.summary.get("calibration", {}).get("frame_interval_s")
            return lambda: TrackPlayer(video, tracks, interval)
        if name == "MSD":
            curves = files.track_curves(len(files.msd()))
            return lambda: msd_chart(files, curves)
        if name == _PICTURES:
            return lambda: _pictures(files)
        if name == "Numbers":
            numbers = numbers_of(files)
            return lambda: numbers_table(numbers)
        particles = files.particles()
        if name == "Particles":
            return lambda: particles_table(files, particles)
        return lambda: histogram_chart(files, name.partition(" ")[0], particles)
    except (CloudTrainerError, OSError, *DAMAGED) as error:
        return WorkspaceError(_said(error, files.folder))


def _said(error: Exception, folder: Path) -> str:
    """Return a sentence; of what is no error of ours it was a file that was to blame."""
    if isinstance(error, CloudTrainerError):
        return str(error)
    return (
        f"{folder.name}: its results are damaged, or were changed by hand "
        f"({type(error).__name__}: {error}); analyse again"
    )


def _pictures(files: ResultFiles) -> Any:
    """Return the figures of the report, one at a time."""
    there = files.pictures()
    order = [name for name in _PICTURE_NAMES if name in there]
    order += [name for name in there if name not in _PICTURE_NAMES]
    if not order:
        return _words("No figures were drawn.")
    options = {_PICTURE_NAMES.get(name, name): name for name in order}
    which = pn.widgets.RadioButtonGroup(options=options, value=order[0], color="default")
    picture = pn.pane.PNG(files.picture(order[0]), width=760)

    def change(event: Any) -> None:
        picture.object = files.picture(event.new)

    which.param.watch(change, "value")
    return pn.Column(which, picture)


def _words(text: str) -> Any:
    return pn.pane.HTML(sentence(in_page_words(text)), sizing_mode="stretch_width")


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
    from cloudtrainer.figures import display_sentence

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
        f"<li>{escape(display_sentence(in_page_words(str(one))))}</li>"
        for one in summary.get("warnings", [])
    )
    told = f'<div class="warnings"><ul>{warnings}</ul></div>' if warnings else ""
    # An interval of alpha without 1 beside normal diffusion would be a riddle: 95% and 1% differ.
    because = measured.get("motion_model_because")
    why = sentence(display_sentence(in_page_words(f"Motion: {because}")), "help") if because else ""
    return f'<dl class="row">{cells}</dl>{why}{told}'


def _estimate(entry: dict[str, Any] | None) -> str:
    from cloudtrainer.figures import with_interval

    if not entry:
        return "not estimated"
    low, high = (
        float("nan") if entry.get(end) is None else float(entry[end]) for end in ("low", "high")
    )
    return with_interval(float(entry["value"]), low, high, str(entry["unit"]))
