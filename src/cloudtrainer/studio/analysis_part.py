"""The part *Analyse*: a video and a model, the threshold over its frames, and the results."""

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn

from cloudtrainer.config import Config
from cloudtrainer.errors import CalibrationError, CloudTrainerError, VideoError
from cloudtrainer.studio import jobs
from cloudtrainer.studio.cost import in_words
from cloudtrainer.studio.fields import form_fields
from cloudtrainer.studio.form import SettingsForm
from cloudtrainer.studio.frame_view import FrameView
from cloudtrainer.studio.look import CARD, sentence
from cloudtrainer.studio.result_view import ResultView
from cloudtrainer.video import Video
from cloudtrainer.workspace import Workspace

if TYPE_CHECKING:
    from cloudtrainer.studio.preview import Preview

BUNDLED = "bundled model"
_LEAST_THRESHOLD, _MOST_THRESHOLD = 0.03, 0.99
_THRESHOLD = "analysis.threshold"
_NO_RESULTS = "none of this video yet"


class AnalysisPart:
    """The analysis of a workspace's videos.

    Parameters
    ----------
    place : Workspace
        The workspace.
    linked : bool
        Whether a server gives reports and zips.
    """

    def __init__(self, place: Workspace, *, linked: bool = False) -> None:
        self.place = place
        self.video = pn.widgets.Select(label="Video", options={}, width=250)
        self.model = pn.widgets.Select(label="Model", options={}, width=300)
        self.frame = pn.widgets.IntSlider(label="Frame", start=0, end=1, width=320)
        self.threshold = pn.widgets.FloatSlider(
            label="Threshold: least probability", start=_LEAST_THRESHOLD,
            end=_MOST_THRESHOLD, step=0.01,
            value=0.5, width=320,
        )  # fmt: skip
        self.count = pn.pane.HTML("", width=330)
        self.pixel_size = _optional("Pixel size [um]")
        self.interval = _optional("Frame interval [s]")
        self.exposure = _optional("Exposure [s]", "unknown")
        names = [name for name in form_fields() if name.startswith("analysis.")]
        self.form = SettingsForm(names=[name for name in names if name != _THRESHOLD])
        self.start_button = pn.widgets.Button(label="Analyse", color="primary", width=110)
        self.stop_button = pn.widgets.Button(label="Stop", color="danger", width=90)
        self.said = pn.pane.HTML("", sizing_mode="stretch_width")
        self.status = pn.pane.HTML("", sizing_mode="stretch_width")
        self.bar = pn.indicators.Progress(value=0, max=100, width=320, height=18)
        self.view = FrameView()
        self.results = pn.widgets.Select(label="Results", options={}, width=400)
        self.result = ResultView(linked=linked)
        self._preview: Preview | None = None
        self._preview_of: tuple[Any, ...] = ()
        self._awake = False
        self._videos_of: dict[Path, str] = {}
        self._own_threshold = 0.5
        self._seen: tuple[str, str] | None = None
        self._wanted: tuple[int, float] | None = None
        self._looking = False
        self._quiet = False
        for widget in (self.video, self.model):
            widget.param.watch(self._chosen, "value")
        self.form.widgets["analysis.polarity"].param.watch(self._chosen, "value")
        self.frame.param.watch(self._moved, "value")
        self.threshold.param.watch(self._moved, "value")
        self.results.param.watch(self._result_chosen, "value")
        self.start_button.on_click(self._start)
        self.stop_button.on_click(self._stop)
        self.layout = self._layout()
        self.refresh()

    def show_videos(self, videos: list[Path], chosen: str | None = None) -> None:
        """Offer these videos."""
        options = {path.name: path for path in videos}
        self._quiet = True
        before = self.video.value
        self.video.options = options
        value = options.get(chosen or "", before if before in videos else None)
        self.video.value = value or (videos[0] if videos else None)
        self._quiet = False
        if self.video.value != before or self._preview_now() is None:
            self._chosen(None)

    def show_models(self) -> None:
        """Offer the models of the workspace, the current one first."""
        current = self.place.current_model()
        options: dict[str, str] = {}
        if current is not None:
            options[f"current model ({current.name})"] = str(current)
        others = [path for path in reversed(self.place.model_folders()) if path != current]
        options |= {path.name: str(path) for path in others} | {BUNDLED: ""}
        if options == self.model.options:
            return
        self._quiet = True
        before = self.model.value
        self.model.options = options
        # A new current model is taken, unless another was chosen by hand.
        self.model.value = next(iter(options.values()))
        self._quiet = False
        if self.model.value != before:
            self._chosen(None)

    def start(self, *, out: Path | None = None) -> jobs.Job:
        """Start the analysis of the whole video, or let it wait for its turn.

        Raises
        ------
        CloudTrainerError
            No video is chosen, a number or a setting is not valid, or another run waits already.
        """
        if self.video.value is None:
            raise VideoError("Choose a video first.")
        values = self.form.config.to_dict()
        # The model's own is taken unrounded.
        if self.threshold.value != _on_slider(self._own_threshold):
            values["analysis"]["threshold"] = self.threshold.value
        config = Config.from_dict(values)
        asked = {
            "video": str(Path(self.video.value).resolve()),
            "out": str(out or self._new_folder(Path(self.video.value))),
            "model": self.model.value or None,
            "config": config.to_dict(),
            "pixel_size_um": _given(self.pixel_size),
            "frame_interval_s": _given(self.interval),
            "exposure_s": _given(self.exposure),
        }
        job = jobs.start(self.place, "analysis", asked)
        self.refresh()
        return job

    def follow(self) -> None:
        """Show the newest analysis until it has ended; for a notebook, whose cell this is.

        Raises
        ------
        CloudTrainerError
            It failed; the message says why.
        """
        jobs.follow(self.place, "analysis", self.refresh)

    def refresh(self) -> None:
        """Show how far the newest analysis is, and the results that there are."""
        job = jobs.newest(self.place, "analysis")
        state = job.state if job is not None else None
        living = state in jobs.LIVING
        self.stop_button.disabled = not living
        self.bar.visible = living
        if self._seen is None:
            self._list_results()
        if job is None:
            self._seen = ("", "")
            return
        progress = job.progress
        done, total = progress.get("done", 0), progress.get("total", 1)
        self.bar.value = int(100 * done / max(1, total))
        name = Path(str(job.request.get("video", ""))).name
        if not progress:
            running = "getting ready ..."
        elif done < total:
            running = f"{done} of {total} frames, {in_words(progress['seconds_left'])} left"
        else:
            running = "linking and measuring ..."
        self.status.object = {
            "waiting": sentence(f"{name}: waiting for the run before it to end."),
            "running": sentence(f"{name}: {running}", "good"),
            "done": sentence(f"{name}: done, see Results below.", "good"),
            "stopped": sentence(f"{name}: stopped, nothing was kept."),
            "interrupted": sentence(f"{name}: the process was killed; analyse again.", "wrong"),
            "failed": sentence(str(job.told.get("message", "It failed.")), "wrong"),
        }[str(state)]
        now = (job.name, str(state))
        if self._seen != now and state == "done":
            self._list_results(Path(str(job.request.get("out", ""))))
        self._seen = now

    def wake(self) -> None:
        """Find particles from now on in each frame that is shown."""
        if not self._awake:
            self._awake = True
            self._look_soon()

    def look(self) -> None:
        """Find the particles of the frame shown, and wait for it, as a notebook does."""
        self._find(self.frame.value)
        self._draw(self.frame.value)

    def _layout(self) -> Any:
        looking = (self.frame, self.view.contrast, self.threshold, self.count)
        running = (
            self.said,
            pn.Row(self.start_button, self.stop_button),
            self.bar,
            self.status,
        )
        return pn.Column(
            *self._choices(),
            pn.Row(pn.Column(*looking, *running, width=350), self.view.pane),
            self.results,
            self.result.layout,
            sizing_mode="stretch_width",
        )

    @property
    def choice(self) -> Any:
        """The video, the model and the threshold over its frames, without buttons and results."""
        looking = (self.frame, self.view.contrast, self.threshold, self.count)
        return pn.Column(*self._choices(), pn.Row(pn.Column(*looking, width=350), self.view.pane))

    @property
    def progress(self) -> Any:
        """How far the newest analysis is, and its results."""
        return pn.Column(pn.Row(self.bar, self.status), self.result.layout)

    def _choices(self) -> tuple[Any, Any]:
        return (
            pn.Row(self.video, self.model, self.pixel_size, self.interval, self.exposure),
            pn.Card(self.form.layout, title="More settings", collapsed=True, **CARD),
        )

    def _chosen(self, _: Any) -> None:
        if self._quiet:
            return
        path = self.video.value
        self.start_button.disabled = path is None
        if path is None:
            self.count.object = sentence("No videos yet: add some in the part Data.", "help")
            return
        try:
            video = Video(path)
            self.view.show_video(video)
        except (CloudTrainerError, OSError) as error:
            self.count.object = sentence(str(error), "wrong")
            self.start_button.disabled = True
            return
        self.pixel_size.placeholder = _stated(video.pixel_size_um)
        self.interval.placeholder = _stated(video.frame_interval_s)
        self._quiet = True
        self.frame.param.update(
            end=max(1, len(video) - 1), value=0, disabled=len(video) == 1
        )  # fmt: skip
        self._quiet = False
        self._show_results_of_video()
        self._look_soon()

    def _moved(self, event: Any) -> None:
        if self._quiet:
            return
        if event.obj is self.frame:
            self.view.show_frame(event.new)
        preview = self._preview_now()
        if preview is not None and event.obj is self.threshold and preview.knows(self.frame.value):
            self._draw(self.frame.value)
        else:
            self._look_soon()

    def _look_soon(self) -> None:
        """Look at the frame in a thread, once somebody sees the part; a notebook calls `look`."""
        if not self._awake or self._looking:
            self._wanted = (self.frame.value, self.threshold.value)
            return
        if self.video.value is None:
            return
        self._looking = True
        pn.state.execute(self._look_aside)

    async def _look_aside(self) -> None:
        try:
            while True:
                number = self.frame.value
                self.count.object = sentence("Looking ...", "help")
                self._wanted = None
                try:
                    await asyncio.to_thread(self._find, number)
                except (CloudTrainerError, OSError) as error:
                    self.count.object = sentence(str(error), "wrong")
                else:
                    self._draw(number)
                if self._wanted is None:
                    return
        finally:
            self._looking = False

    def _asked_for(self) -> tuple[Any, ...]:
        polarity = self.form.widgets["analysis.polarity"].value
        return self.video.value, self.model.value or None, polarity

    def _preview_now(self) -> "Preview | None":
        """Return the preview if it is that of the video and the model that are chosen now."""
        return self._preview if self._preview_of == self._asked_for() else None

    def _find(self, number: int) -> None:
        # PyTorch is imported when a frame is first looked at: the page is there before.
        from cloudtrainer.detector import load_model
        from cloudtrainer.studio.preview import Preview

        asked = video, model, polarity = self._asked_for()
        preview = self._preview_now()
        if preview is None:
            preview = Preview(Video(video), load_model(model), polarity)
            self._preview, self._preview_of = preview, asked
        preview.find(number, self.threshold.value)

    def _draw(self, number: int) -> None:
        preview = self._preview_now()
        if preview is None or number != self.frame.value:
            return
        self._take_threshold(preview.model.threshold)
        found = preview.find(number, self.threshold.value)
        self.view.show_detections(found)
        own = _on_slider(self._own_threshold)
        mine = self.threshold.value == own
        hint = "the model's own threshold" if mine else f"the model's own threshold is {own:g}"
        self.count.object = sentence(f"{len(found)} particles in frame {number} ({hint}).")

    def _take_threshold(self, own: float) -> None:
        """Move the slider to a new model's own threshold, unless it was moved by hand."""
        if self.threshold.value == _on_slider(self._own_threshold):
            self._quiet = True
            self.threshold.value = _on_slider(own)
            self._quiet = False
        self._own_threshold = own

    def _list_results(self, chosen: Path | None = None) -> None:
        found = [path.parent for path in self.place.results.glob("*/summary.json")]
        found.sort(key=lambda folder: (folder / "summary.json").stat().st_mtime, reverse=True)
        self._videos_of = {folder: _video_of(folder) for folder in found}
        names = {f"{folder.name} ({video})": folder for folder, video in self._videos_of.items()}
        self.results.param.update(options={_NO_RESULTS: None, **names}, visible=bool(found))
        wanted = next((folder for folder in found if chosen and folder.name == chosen.name), None)
        self._show_results_of_video(wanted)

    def _show_results_of_video(self, wanted: Path | None = None) -> None:
        """Show the newest results of the video that is chosen: never those of another one."""
        name = Path(self.video.value).name if self.video.value else ""
        mine = [folder for folder, video in self._videos_of.items() if video == name]
        self.results.value = wanted or next(iter(mine), None)
        self._result_chosen(None)

    def _result_chosen(self, _: Any) -> None:
        if self.results.value is None:
            self.result.layout.visible = False
        else:
            self.result.show(self.results.value)

    def _new_folder(self, video: Path) -> Path:
        stem = video.name if video.is_dir() else video.name.split(".")[0] or "video"
        folder, again = self.place.results / stem, 1
        while folder.exists():
            again += 1
            folder = self.place.results / f"{stem}_{again}"
        return folder.resolve()

    def _start(self, _: Any) -> None:
        self.said.object = ""
        try:
            self.start()
        except CloudTrainerError as error:
            self.said.object = sentence(str(error), "wrong")

    def _stop(self, _: Any) -> None:
        mine = [job for job in jobs.living_jobs(self.place) if job.kind == "analysis"]
        if mine:
            mine[-1].stop()


def _optional(name: str, placeholder: str = "") -> Any:
    return pn.widgets.TextInput(label=name, placeholder=placeholder, width=135)


def _video_of(folder: Path) -> str:
    """Return the name of the video that results are of; of several, their names."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
        return str(summary["video"]["name"])
    except (OSError, ValueError, KeyError, TypeError):
        return "damaged"


def _on_slider(threshold: float) -> float:
    return min(max(round(threshold, 2), _LEAST_THRESHOLD), _MOST_THRESHOLD)


def _stated(value: float | None) -> str:
    return f"{value:.5g} (file)" if value else "unknown"


def _given(widget: Any) -> float | None:
    """Return the number that a widget holds; None where it is empty.

    Raises
    ------
    CalibrationError
        It holds no positive number.
    """
    text = str(widget.value).strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise CalibrationError(f"{widget.label}: {text!r} is not a positive number")
    return value
