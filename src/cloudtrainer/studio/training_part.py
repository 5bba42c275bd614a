"""The part *Train*: the form, what a run will take, start and stop, curves and log."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import panel as pn

from cloudtrainer.config import Config
from cloudtrainer.errors import CloudTrainerError, ConfigError
from cloudtrainer.studio import jobs
from cloudtrainer.studio.cost import Measured, expected, in_words, measure
from cloudtrainer.studio.curves import Curves
from cloudtrainer.studio.form import SettingsForm
from cloudtrainer.studio.look import CARD, sentence
from cloudtrainer.studio.subject import Subject
from cloudtrainer.studio.videos import ListedVideo
from cloudtrainer.workspace import Workspace


class TrainingPart:
    """A workspace's training.

    Parameters
    ----------
    place : Workspace
        The workspace.
    form : SettingsForm, optional
        The settings; default: a form with those of the newest run.

    Attributes
    ----------
    layout : Panel
        All of it.
    progress : Panel
        How far the newest run is, without the form and the buttons.
    subject : Subject
        What is learned: the labelled videos, or the twin of one without labels.
    """

    def __init__(self, place: Workspace, form: SettingsForm | None = None) -> None:
        self.place = place
        last = jobs.newest(place, "training")
        asked = last.request if last is not None else {}
        self.form = form or SettingsForm(_settings_of(asked))
        self.subject = Subject(asked.get("twins", ()))
        self.measured: Measured | None = None
        self._measuring = False
        self._told: list[Callable[[], None]] = []
        self._seen: tuple[str, str] | None = None
        self.cost = pn.pane.HTML("", sizing_mode="stretch_width")
        self.measure_button = pn.widgets.Button(label="Measure on this machine", width=180)
        self.start_button = pn.widgets.Button(label="Start", color="primary", width=110)
        self.stop_button = pn.widgets.Button(label="Stop", color="danger", width=110)
        self.said = pn.pane.HTML("", sizing_mode="stretch_width")
        self.status = pn.pane.HTML("", sizing_mode="stretch_width")
        self.bar = pn.indicators.Progress(value=0, max=100, width=420, height=18)
        self.curves = Curves()
        self.log = pn.pane.Str(
            "", sizing_mode="stretch_width",
            styles={"font-size": "12px", "white-space": "pre-wrap", "overflow-wrap": "anywhere"},
        )  # fmt: skip
        self.start_button.on_click(self._start)
        self.stop_button.on_click(self._stop)
        self.measure_button.on_click(self._measure)
        self.form.on_change(self._form_changed)
        self._log_card = pn.Card(
            self.log, title="Log of the run", collapsed=True, visible=False, **CARD
        )
        self.progress = pn.Column(
            pn.Row(self.bar, self.status),
            self.curves.pane,
            self._log_card,
            sizing_mode="stretch_width",
        )
        self.layout = pn.Column(
            pn.Row(self.start_button, self.stop_button, self.measure_button, self.cost),
            self.said,
            self.subject.layout,
            self.progress,
            self.form.layout,
            sizing_mode="stretch_width",
        )
        self._form_changed()
        self.refresh()

    def show_videos(self, videos: list[ListedVideo]) -> None:
        """Offer the twins of the videos without labels."""
        self.subject.show_videos(videos)

    def train_on(self, video: Path) -> None:
        """Choose the twin of a video."""
        self.subject.choose(video)

    @property
    def choice(self) -> Any:
        """What is learned and what it takes, without the buttons; for a notebook."""
        return pn.Column(self.subject.layout, self.cost)

    def on_end(self, tell: Callable[[], None]) -> None:
        """Call a function when a run has ended."""
        self._told.append(tell)

    def start(self) -> jobs.Job:
        """Start a training of the form's settings, or let it wait for its turn.

        Raises
        ------
        ConfigError
            A setting is not valid.
        WorkspaceError
            Another run waits already, or the workspace cannot be written.
        """
        asked = {"config": self.form.config.to_dict(), "twins": self.subject.twins}
        job = jobs.start(self.place, "training", asked)
        self.refresh()
        return job

    def follow(self) -> None:
        """Show the newest run until it has ended; for a notebook, whose cell this is.

        Raises
        ------
        CloudTrainerError
            The run failed; the message says why.
        """
        jobs.follow(self.place, "training", self.refresh)

    def refresh(self) -> None:
        """Show how far the newest run is."""
        job = jobs.newest(self.place, "training")
        state = job.state if job is not None else None
        living = state in jobs.LIVING
        self.stop_button.disabled = not living
        self.start_button.disabled = bool(self.form.faults)
        self.bar.visible = living
        if job is None:
            self.status.object = sentence("No training has run in this workspace yet.", "help")
            return
        self._log_card.visible = True
        progress = job.progress
        if living:
            self.bar.value = int(100 * progress.get("done", 0) / max(1, progress.get("total", 1)))
        words, kind = _words(job, str(state), progress)
        # The scores of a finished run are a table, in columns of signs of one width.
        self.status.styles = {"font-family": "monospace" if state == "done" else "inherit"}
        self.status.object = sentence(words, kind)
        self.curves.show(progress.get("history", {}))
        if living or self._seen != (job.name, str(state)):
            self.log.object = job.log
        if self._seen not in (None, (job.name, str(state))) and not living:
            self.said.object = ""
            for tell in self._told:
                tell()
        self._seen = (job.name, str(state))

    async def measure_aside(self) -> None:
        """Do a few steps in a process of its own, and say what a run will take."""
        try:
            config = self.form.config
        except ConfigError:
            return
        self._measuring = self.measure_button.disabled = True
        self._form_changed()
        trouble = ""
        try:
            self.measured = await asyncio.to_thread(measure, config)
        except CloudTrainerError as error:
            trouble = str(error)
        finally:
            self._measuring = self.measure_button.disabled = False
        self._form_changed()
        if trouble:
            self.cost.object = sentence(trouble, "wrong")

    def measure(self) -> None:
        """Do the same and wait for it, as a notebook does."""
        self.measured = measure(self.form.config)
        self._form_changed()

    def _form_changed(self) -> None:
        self.start_button.disabled = bool(self.form.faults)
        if self.form.faults:
            self.cost.object = sentence("Correct the settings marked below first.", "wrong")
        elif self._measuring:
            self.cost.object = sentence("Measuring a few steps on this machine ...", "help")
        elif self.measured is None:
            self.cost.object = sentence(
                "Measure a few steps to see how long a run takes and what memory it needs.", "help"
            )
        else:
            self.cost.object = sentence(f"A run takes {expected(self.form.config, self.measured)}.")

    def _start(self, _: Any) -> None:
        try:
            self.start()
        except CloudTrainerError as error:
            self.said.object = sentence(str(error), "wrong")
        else:
            self.said.object = ""

    def _stop(self, _: Any) -> None:
        # What waits is stopped before what works.
        mine = [job for job in jobs.living_jobs(self.place) if job.kind == "training"]
        if mine:
            mine[-1].stop()
            self.said.object = sentence(
                "Stopping at the next step. Start with the same settings goes on where it was.",
                "help",
            )

    async def _measure(self, _: Any) -> None:
        await self.measure_aside()


def _settings_of(asked: dict[str, Any]) -> Config:
    """Return the settings of the newest training, so that a reloaded page shows what it does."""
    try:
        return Config.from_dict(asked.get("config", {}))
    except ConfigError:
        return Config()


def _words(job: jobs.Job, state: str, progress: dict[str, Any]) -> tuple[str, str]:
    told = job.told
    match state:
        case "waiting":
            return "Waiting for the run before it to end.", "plain"
        case "running" if not progress:
            return "Reading the videos and getting ready ...", "plain"
        case "running":
            left = progress.get("seconds_left")
            soon = f", about {in_words(left)} left" if left is not None else ""
            member = f"network {progress['member']}, " if progress.get("member", 1) > 1 else ""
            scores = _scores(progress.get("history", {}))
            return (
                f"{member}epoch {progress['epoch']} of {progress['epochs']}{soon}{scores}",
                "good",
            )
        case "done":
            result = told.get("result", {})
            return str(result.get("text", "Done.")), "plain"
        case "stopped":
            return "Stopped. Start with the same settings goes on from the last epoch.", "plain"
        case "interrupted":
            return (
                "The process was killed, by the system or by hand. Start with the same settings "
                "goes on from the last epoch.", "wrong",
            )  # fmt: skip
    return str(told.get("message", "It failed; see the log.")), "wrong"


def _scores(history: dict[str, Any]) -> str:
    names = {"val_loss": "loss", "val_f1": "F1", "val_rmse_px": "position error [px]"}
    last = [
        f"{words} {history[name][-1]:.3f}"
        for name, words in names.items()
        if history.get(name) and history[name][-1] is not None
    ]
    return f". On held-out data: {', '.join(last)}" if last else ""
