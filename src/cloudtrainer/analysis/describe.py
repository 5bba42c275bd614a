"""What ``cloudtrainer info`` tells: of a video, or of the installation."""

import platform
from pathlib import Path

from cloudtrainer.version import __version__
from cloudtrainer.video import Video

Lines = list[tuple[str, str]]


def describe_video(path: str | Path, *, channel: int | None, plane: int | None) -> Lines:
    """Return the size, calibration and hash of a video, as lines of name and text.

    Raises
    ------
    VideoError
        The file is no video.
    """
    video = Video(path, channel=channel, plane=plane)
    frames, height, width = video.shape
    pixel, interval = video.pixel_size_um, video.frame_interval_s
    lines = [
        ("video", video.name),
        ("frames", str(frames)),
        ("size", f"{width} x {height} px"),
        ("values", str(video.dtype)),
        ("pixel size", f"{pixel:.6g} um" if pixel else "unknown (give --pixel-size-um)"),
        ("frame interval", f"{interval:.6g} s" if interval else "unknown (--frame-interval-s)"),
        ("calibration", video.calibration_source),
    ]
    if video.calibration_hint:
        lines.append(("hint", video.calibration_hint))
    return [*lines, ("sha256", video.sha256)]


def describe_installation() -> Lines:
    """Return the version, the device and the bundled model, as lines of name and text."""
    import torch

    from cloudtrainer.detector import load_model

    gpu = torch.cuda.is_available()
    model = load_model()
    parameters = sum(weights.numel() for weights in model.parameters())
    return [
        ("cloudtrainer", __version__),
        ("python", platform.python_version()),
        ("torch", str(torch.__version__)),
        (
            "device",
            torch.cuda.get_device_name() if gpu else f"CPU, {torch.get_num_threads()} cores",
        ),
        ("bundled model", f"{model.config.model.name}, {parameters:,} parameters"),
    ]
