"""``twin``: a detector of its own for a video, from the raw video alone."""

from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.options import (
    Channel,
    Frames,
    Plane,
    Region,
    option,
    parse_frames,
    parse_region,
)
from cloudtrainer.cli.output import console
from cloudtrainer.config import AnalysisSettings, Config, TwinSettings

_A = AnalysisSettings()


def twin(
    video: Annotated[Path, typer.Argument(help="Video, or folder of images.")],
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Folder for the numbers, the figure and the model.")
    ],
    epochs: Annotated[int | None, option(TwinSettings, "epochs")] = None,
    train: Annotated[
        bool, typer.Option(help="Train a detector on the twin; without, it is only measured.")
    ] = True,
    polarity: Annotated[str, option(AnalysisSettings, "polarity")] = _A.polarity,
    frames: Frames = None,
    region: Region = None,
    channel: Channel = None,
    plane: Plane = None,
    values: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=VALUE",
            help="Any setting by its name, such as twin.share=0.8; may be given several times; "
            "see: cloudtrainer settings twin.",
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a twin that the folder holds.")
    ] = False,
) -> None:
    """Measure a video, simulate scenes like it, and train a detector on them: no labels needed."""
    given = {} if epochs is None else {"twin": {"epochs": epochs}}
    config = Config.from_dict({**given, "analysis": {"polarity": polarity}}).with_values(
        values or []
    )
    part, area = parse_frames(frames), parse_region(region)

    from cloudtrainer.training import make_twin

    made = make_twin(
        video,
        out,
        config,
        train=train,
        frames=part,
        region=area,
        channel=channel,
        plane=plane,
        overwrite=overwrite,
        say=lambda line: console.print(escape(line)),
    )
    console.print(f"Figure: {escape(str(out / 'twin.png'))}")
    if made is not None:
        console.print(f"Model: {escape(str(made))}")
        console.print(
            f"then: cloudtrainer analyze {escape(str(video))} -o RESULTS --model {escape(str(out))}"
        )
