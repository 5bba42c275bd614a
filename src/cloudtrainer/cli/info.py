"""``info``: what a video, or the installation, says of itself."""

from typing import Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.options import Channel, Plane
from cloudtrainer.cli.output import console


def info(
    video: Annotated[
        str | None, typer.Argument(help="A video: its size and calibration are shown.")
    ] = None,
    channel: Channel = None,
    plane: Plane = None,
) -> None:
    """Show what a video says of itself, or the version, the device and the bundled model."""
    if video is None:
        from cloudtrainer.analysis import describe_installation

        lines = describe_installation()
    else:
        from cloudtrainer.analysis import describe_video

        lines = describe_video(video, channel=channel, plane=plane)
    for name, text in lines:
        console.print(f"{name + ':':<18} {escape(text)}")
