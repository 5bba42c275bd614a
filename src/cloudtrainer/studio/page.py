"""The page: its parts side by side, and what keeps them up to date."""

from typing import Any

import panel as pn

from cloudtrainer.studio.analysis_part import AnalysisPart
from cloudtrainer.studio.data_part import DataPart
from cloudtrainer.studio.look import sentence
from cloudtrainer.studio.models_part import ModelsPart
from cloudtrainer.studio.training_part import TrainingPart
from cloudtrainer.workspace import Workspace

TITLE = "cloudtrainer Studio"
_LOOK_MS = 1000
_ANALYSE = 2
_CSS = """
:root { --panel-primary-color: #0072B2; }
body { margin: 0; font-family: system-ui, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
"""


def make_page(place: Workspace) -> Any:
    """Return the page of a workspace, for one tab of a browser."""
    pn.extension("tabulator", raw_css=[_CSS], notifications=False)
    data = DataPart(place, upload_to="upload")
    training, analysis = TrainingPart(place), AnalysisPart(place, linked=True)
    models = ModelsPart(place)
    tabs = pn.Tabs(
        ("Data", data.layout),
        ("Train", training.layout),
        ("Analyse", analysis.layout),
        ("Models", models.layout),
        dynamic=True,
        sizing_mode="stretch_width",
    )

    def offer_videos() -> None:
        analysis.show_videos([one.path for one in data.videos if one.video is not None])

    async def read_again() -> None:
        await models.refresh_aside()
        await data.refresh_aside()

    def chosen(event: Any) -> None:
        if event.new == _ANALYSE:
            analysis.wake()

    tabs.param.watch(chosen, "active")
    data.on_change(offer_videos)
    models.on_change(analysis.show_models)
    training.on_end(lambda: pn.state.execute(read_again))

    def look() -> None:
        training.refresh()
        analysis.refresh()

    async def begin() -> None:
        analysis.show_models()
        await data.refresh_aside()
        await models.refresh_aside()

    pn.state.onload(begin)
    pn.state.add_periodic_callback(look, period=_LOOK_MS)
    head = pn.Row(
        pn.pane.HTML(f"<h1 style='font-size:19px;margin:4px 0'>{TITLE}</h1>", margin=(0, 10)),
        pn.pane.HTML(sentence(str(place.root.resolve()), "help"), align="center"),
    )
    return pn.Column(head, tabs, sizing_mode="stretch_width", margin=(0, 12))
