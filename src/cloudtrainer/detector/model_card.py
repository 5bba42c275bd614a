"""The card of a model: what it learned from, how well it does, and where it ends."""

import html
import json
import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from cloudtrainer.config import Config

_SHOWN_OF_HASH = 12
_SAID_ELSEWHERE = ("num_videos", "videos", "simulated_share", "run", "purpose")
_HOLDS = {
    "weights.pth": "the weights, for PyTorch",
    "weights.safetensors": "the same weights, for whatever reads safetensors",
    "model.onnx": "the whole network, for ONNX Runtime; its input is normalised frames, float32, "
    "(frames, 1, height, width), of any size",
    "config.json": "the settings of the training",
    "metadata.json": "what this card says, for machines",
    "training_progress.png": "the course of the training",
}


def model_card(
    metadata: dict[str, Any], config: Config, folder: Path, files: Collection[str]
) -> str:
    """Return the card as Markdown.

    Parameters
    ----------
    metadata : dict
        What `export_model` writes into ``metadata.json``.
    config : Config
        The settings that the model was trained with.
    folder : Path
        The export.
    files : collection of str
        Names of the files in it.
    """
    made = metadata["compatibility"]["cloudtrainer_version"]
    parent = metadata["parent"]
    start = f" Its training began with the model {_text(parent)}." if parent else ""
    members = metadata["architecture"].get("members", 1)
    network = f"network `{metadata['architecture']['type']}`"
    if members > 1:
        network = f"an ensemble of {members}, each a {network}"
    place, beside = _place(folder)
    return f"""# {_text(metadata["model_name"])} {_text(metadata["version"])}

Finds particles in microscopy frames; {network}, made with
cloudtrainer {made} on {metadata["created_at"]}.{start}

## Load it

```python
import cloudtrainer

model = cloudtrainer.load_model({place})
print(model.config.model.name, model.threshold)
```

The path is relative to the folder that holds {beside}: start Python there, or give the whole path.
`cloudtrainer.extract_particles_from_predictions(model, "video.tif")` then finds the particles
of a video.

## What it learned from

{_origin(metadata)}

{_videos(metadata)}

## Scores on validation data

{_scores(metadata["performance"])}

{_reading(metadata)}

## Limits

{_limits(metadata, config)}

## Files

{_files(files, config.model.context_frames)}
"""


def _origin(metadata: dict[str, Any]) -> str:
    about, videos = metadata["data_info"], metadata["videos"]
    lines = [f"- labelled videos: {_text(about['num_videos'])}"]
    counts = [video.get("labelled_frames") for video in videos]
    known = [count for count in counts if isinstance(count, int)]
    if known:
        lines.append(f"- labelled frames: {sum(known)}")
    share = about.get("simulated_share")
    if isinstance(share, int | float):
        lines.append(f"- simulated share of what it was shown: {100 * share:.0f}%")
    names = about.get("videos")
    if isinstance(names, list) and not videos:
        lines.append(f"- videos: {', '.join(_text(name) for name in names) or 'none'}")
    lines += [
        f"- {_text(name.replace('_', ' '))}: {_text(value)}"
        for name, value in about.items()
        if name not in _SAID_ELSEWHERE
    ]
    return "\n".join(lines)


def _videos(metadata: dict[str, Any]) -> str:
    """Return a table of the videos with their scores; nothing where none is known."""
    by_video = metadata["scores_by_video"]
    known = {str(video.get("name", "?")): video for video in metadata["videos"]}
    names = list(dict.fromkeys([*known, *by_video]))
    if not names:
        return ""
    columns = list(dict.fromkeys(score for scores in by_video.values() for score in scores))
    rows = []
    for name in names:
        about, scores = known.get(name, {}), by_video.get(name, {})
        rows.append(
            [
                name,
                about.get("labelled_frames", ""),
                str(about.get("sha256") or "")[:_SHOWN_OF_HASH],
                *(_number(scores[score]) if score in scores else "" for score in columns),
            ]
        )
    return _table(["video", "labelled frames", "SHA-256", *columns], rows)


def _scores(scores: dict[str, float]) -> str:
    if not scores:
        return "None were measured."
    return _table(["score", "value"], [[name, _number(value)] for name, value in scores.items()])


def _reading(metadata: dict[str, Any]) -> str:
    reading = metadata["reading"]
    seen = {
        "noise": "in units of each frame's own noise",
        "video_maximum": "divided by the maximum of the whole video",
    }[reading["normalisation"]]
    text = (
        f"Detections are kept from a probability of {reading['threshold']:.2f} on. The network "
        f"sees frames {seen}."
    )
    if metadata["architecture"]["type"] == "grid":
        text += (
            f" The standard errors that it states are multiplied by {reading['error_scale']:.3g} "
            f"(error / 0.2 px)^{reading.get('error_slope', 0.0):.2g}, as measured on the "
            "validation data; where a fit to the photons is sharper, its own take their place."
        )
    if metadata["architecture"].get("members", 1) > 1:
        text += (
            " Probabilities are means over the members of the ensemble; where these disagree on a "
            "position, its error is larger. Threshold and scores are those of the whole ensemble."
        )
    context = metadata["architecture"].get("context_frames", 0)
    if context:
        text += (
            f" It sees each frame between the {context} before and the {context} after it, in the "
            "order of time, each in units of its own noise; at the ends of a video the first and "
            "the last frame are repeated."
        )
    return text


def _limits(metadata: dict[str, Any], config: Config) -> str:
    limits = [
        "Scores are those of the validation data above; on other optics, look at the detections "
        "over the frames before trusting a number made from them."
    ]
    share = metadata["data_info"].get("simulated_share")
    if isinstance(share, int | float) and share > 0:
        scenes = config.scenes
        limits.append(
            f"Simulated particles had a standard deviation of {scenes.spot_sigma_px.low:g} to "
            f"{scenes.spot_sigma_px.high:g} px and a peak of {scenes.peak_snr.low:g} to "
            f"{scenes.peak_snr.high:g} times the noise; what lies outside was not learned from "
            "them."
        )
    if metadata["videos"] and config.training.hold_out == "frames":
        limits.append(
            "The held-out frames are of the same videos that were learned from: a new video of "
            "another day or sample may do worse."
        )
    if metadata["architecture"]["type"] == "unet":
        limits.append(
            "The network answers masks: particles whose areas touch count as one, and no standard "
            "errors of positions are stated."
        )
    if metadata["architecture"].get("context_frames", 0):
        limits.append(
            "Positions in neighbouring frames rest on shared pixels: their errors are not "
            "independent. Diffusion coefficients from the shortest lags of slow, dim particles "
            "may be off; compare them with those from longer lags."
        )
    return "\n".join(f"- {limit}" for limit in limits)


def _files(names: Collection[str], context_frames: int) -> str:
    alone, stacked = "(frames, 1, ", f"(frames, {2 * context_frames + 1}, "
    return "\n".join(
        f"- `{name}`: {what.replace(alone, stacked)}"
        for name, what in _HOLDS.items()
        if name in names
    )


def _place(folder: Path) -> tuple[str, str]:
    """Return the export's path as Python text, and what the folder it is relative to holds."""
    whole = folder.absolute()
    if whole.parent.name == "models":
        parts, beside = whole.parts[-3:], "the workspace"
    else:
        parts, beside = whole.parts[-1:], "this one"
    # JSON's escapes are Python's too, as long as characters beyond ASCII stay as they are.
    return json.dumps("/".join(parts), ensure_ascii=False), beside


def _table(head: Sequence[Any], rows: Sequence[Sequence[Any]]) -> str:
    lines = [[_text(cell) for cell in cells] for cells in (head, *rows)]
    lines.insert(1, ["---"] * len(head))
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _number(value: float) -> str:
    return f"{value:.4g}"


def _text(value: Any) -> str:
    """Return text that Markdown shows as it is, on one line: names come from outside."""
    line = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    line = re.sub(r"([\\`*|\[\]~])", r"\\\1", html.escape(line, quote=False))
    # Between letters an underscore is only an underscore.
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", line)
