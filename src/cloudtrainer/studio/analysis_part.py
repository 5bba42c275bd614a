"""The part *Analyse*: a video and a model, the threshold over its frames, and the results."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import panel as pn

from cloudtrainer.config import AnalysisSettings, Config
from cloudtrainer.errors import CloudTrainerError, VideoError
from cloudtrainer.studio import jobs
from cloudtrainer.studio.cost import in_words
from cloudtrainer.studio.fields import form_fields
from cloudtrainer.studio.form import SettingsForm
from cloudtrainer.studio.found_view import FoundView
from cloudtrainer.studio.given_fields import GivenFields
from cloudtrainer.studio.linking_view import LinkingView
from cloudtrainer.studio.look import CARD, sentence
from cloudtrainer.studio.page_words import in_page_words
from cloudtrainer.studio.results_list import ResultsList, new_folder
from cloudtrainer.workspace import Workspace

if TYPE_CHECKING:
    from cloudtrainer.inference import Polarity

BUNDLED = "bundled model"
# What has a slider over the frames.
_ON_SLIDERS = ("analysis.threshold", "analysis.search_range_px")


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
        self.given = GivenFields()
        names = [name for name in form_fields() if name.startswith("analysis.")]
        self.form = SettingsForm(names=[name for name in names if name not in _ON_SLIDERS])
        self.start_button = pn.widgets.Button(label="Analyse", color="primary", width=110)
        self.stop_button = pn.widgets.Button(label="Stop", color="danger", width=90)
        self.said = pn.pane.HTML("", sizing_mode="stretch_width")
        self.status = pn.pane.HTML("", sizing_mode="stretch_width")
        self.bar = pn.indicators.Progress(value=0, max=100, width=320, height=18)
        self.found = FoundView()
        self.linking = LinkingView(self.found, self._settings)
        self.results = ResultsList(place, linked=linked)
        self._lived: dict[str, jobs.Job] | None = None
        self._ended: set[str] = set()
        self._quiet = False
        for widget in (self.video, self.model):
            widget.param.watch(self._chosen, "value")
        self.form.widgets["analysis.polarity"].param.watch(self._chosen, "value")
        for name in ("memory_frames", "linking_engine", "split_merge_range_px"):
            self.form.widgets[f"analysis.{name}"].param.watch(self.linking.relink, "value")
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
        if self.video.value != before or self.found.preview is None:
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
        values["analysis"]["threshold"] = self.found.chosen_threshold
        values["analysis"]["search_range_px"] = self.linking.chosen_range_px
        config, given = Config.from_dict(values), self.given.read()
        asked = {
            "video": str(Path(self.video.value).resolve()),
            "out": str(out or self._new_folder()),
            "model": None if self.given.twin.value else self.model.value or None,
            "config": config.to_dict(),
            "given": given,
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
        living, newest = self._living(), jobs.newest(self.place, "analysis")
        self.stop_button.disabled = all(job.stop_is_asked for job in living)
        self.bar.visible = bool(living)
        if self._lived is None:
            self.results.refresh()
        # One may end while another one works, or between two looks.
        now = {job.name: job for job in living}
        maybe = [*(self._lived or {}).values(), *([newest] if newest is not None else [])]
        for job in maybe:
            if job.name not in now and job.name not in self._ended:
                self._ended.add(job.name)
                if job.state == "done":
                    self.results.refresh(Path(str(job.request.get("out", ""))))
        self._lived = now
        shown = living or ([newest] if newest is not None else [])
        if living:
            progress = living[0].progress
            self.bar.value = int(100 * progress.get("done", 0) / max(1, progress.get("total", 1)))
        self.status.object = "".join(self._in_words(job) for job in shown)

    def _in_words(self, job: jobs.Job) -> str:
        """Return how far an analysis is, as HTML."""
        progress, name = job.progress, Path(str(job.request.get("video", ""))).name
        done, total = progress.get("done", 0), progress.get("total", 1)
        if job.stop_is_asked:
            running = "stopping ..."
        elif not progress:
            twin = bool(job.request.get("given", {}).get("twin"))
            running = "learning its twin, some minutes ..." if twin else "getting ready ..."
        elif done < total:
            running = f"{done} of {total} frames, {in_words(progress['seconds_left'])} left"
        else:
            running = "linking and measuring ..."
        return {
            "waiting": sentence(f"{name}: waiting for the run before it to end; Stop ends it."),
            "running": sentence(f"{name}: {running}", "good"),
            "done": sentence(f"{name}: {self._where(job)}", "good"),
            "stopped": sentence(f"{name}: stopped, nothing was kept."),
            "interrupted": sentence(f"{name}: the process was killed; analyse again.", "wrong"),
            "failed": sentence(in_page_words(str(job.told.get("message", "It failed."))), "wrong"),
        }[str(job.state)]

    def wake(self) -> None:
        """Find particles from now on in each frame that is shown."""
        self.found.wake()

    def look(self) -> None:
        """Find the particles of the frame shown, and wait for it, as a notebook does."""
        self.found.look()
        self.linking.look()

    def _layout(self) -> Any:
        running = pn.Row(self.start_button, self.stop_button, self.bar, self.status)
        return pn.Column(
            *self._choices(running, self.said),
            pn.Row(
                pn.Column(self.found.controls, self.linking.controls, width=350),
                self.found.view.pane,
            ),
            self.results.layout,
            sizing_mode="stretch_width",
        )

    @property
    def choice(self) -> Any:
        """The video, the model and the threshold over its frames, without buttons and results."""
        looking = pn.Column(self.found.controls, self.linking.controls, width=350)
        return pn.Column(*self._choices(), pn.Row(looking, self.found.view.pane))

    @property
    def progress(self) -> Any:
        """How far the newest analysis is, and its results."""
        return pn.Column(pn.Row(self.bar, self.status), self.results.result.layout)

    def _choices(self, *running: Any) -> tuple[Any, ...]:
        return (
            pn.FlexBox(self.video, self.model, *self.given.calibration),
            self.given.note,
            *running,
            pn.Card(
                self.form.layout,
                self.given.part_and_twin,
                title="More settings",
                collapsed=True,
                **CARD,
            ),
            self.given.material_card,
        )

    def _chosen(self, _: Any) -> None:
        if self._quiet:
            return
        path = self.video.value
        self.start_button.disabled = path is None
        if path is None:
            self.found.say("No videos yet: add some in the part Data.", "help")
            return
        try:
            self.linking.clear()
            video = self.found.choose(path, self.model.value or None, self._polarity)
        except (CloudTrainerError, OSError) as error:
            self.found.say(str(error), "wrong")
            self.start_button.disabled = True
            return
        self.given.of_video(video, path)
        self.results.of_video(path)

    def _settings(self) -> AnalysisSettings:
        return self.form.config.analysis

    @property
    def _polarity(self) -> "Polarity":
        polarity: Polarity = self.form.widgets["analysis.polarity"].value
        return polarity

    def _where(self, job: jobs.Job) -> str:
        """Say where the results of an analysis are, which may not be those that are shown."""
        folder, shown = Path(str(job.request.get("out", ""))).name, self.results.choice.value
        if shown is not None and shown.name == folder:
            return "done, see Results below."
        return f"done, choose {folder} in Results below to see them."

    def _living(self) -> list[jobs.Job]:
        return [job for job in jobs.living_jobs(self.place) if job.kind == "analysis"]

    def _new_folder(self) -> Path:
        waiting = [str(job.request.get("out")) for job in jobs.living_jobs(self.place)]
        return new_folder(self.place, Path(self.video.value), waiting)

    def _start(self, _: Any) -> None:
        self.said.object = ""
        try:
            self.start()
        except CloudTrainerError as error:
            self.said.object = sentence(in_page_words(str(error)), "wrong")

    def _stop(self, _: Any) -> None:
        mine = [job for job in self._living() if not job.stop_is_asked]
        if mine:
            mine[-1].stop()
            self.refresh()
