"""What was measured for a twin, as a short table in words."""

from html import escape
from typing import Any

from cloudtrainer.studio.look import sentence

_DAMAGED = "The numbers of this twin cannot be read; simulate it again."


def twin_in_words(numbers: dict[str, Any], pixel_size_um: float | None = None) -> str:
    """Return a table, as HTML: particles, size, brightness, background, noise, and warnings.

    Parameters
    ----------
    numbers : dict
        What ``twin.json`` holds.
    pixel_size_um : float, optional
        Pixel size, um; without it, sizes are in pixels alone.
    """
    try:
        rows = _rows(numbers, pixel_size_um)
    except (KeyError, TypeError, ValueError):
        return sentence(_DAMAGED, "wrong")
    cells = "".join(
        f"<tr><th style='text-align:left;vertical-align:top;padding:3px 10px 3px 0'>{name}</th>"
        f"<td style='padding:3px 0'>{escape(text)}</td></tr>"
        for name, text in rows
    )
    table = f"<table style='font-size:13px;border-collapse:collapse'>{cells}</table>"
    warnings = "".join(
        sentence(f"Warning: {doubt}", "wrong") for doubt in numbers.get("doubts", ())
    )
    return table + warnings


def _rows(numbers: dict[str, Any], pixel_size_um: float | None) -> list[tuple[str, str]]:
    particles, noise = numbers["particles"], numbers["noise"]
    background = numbers["background_counts"]
    shapes = [one for one in numbers["shapes"] if one["kind"] == "particle"]
    specks = sum(one["per_frame"] for one in numbers["shapes"] if one["kind"] == "speck")
    rows = [
        (
            "Particles",
            f"{particles['found_per_frame']:.3g} {numbers['polarity']} ones found in a frame; "
            f"{particles['simulated_per_frame']:.3g} are simulated, those too dim to be found "
            f"included ({particles['simulated_per_1000_px2']:.2g} on 1000 px²)",
        )
    ]
    if numbers["focus"] is not None:
        rows.append(("In focus", f"{particles['found_in_focus_per_frame']:.3g} in a frame"))
    widths = [one["half_width_px"] for one in shapes]
    size = f"half width at half height {_span(widths)} px"
    if pixel_size_um:
        size += f" ({_span([pixel_size_um * width for width in widths])} µm)"
    heights = [one["amplitude_counts"]["percentile_50"] for one in shapes]
    over = [one["amplitude_over_noise"] for one in shapes if one["amplitude_over_noise"]]
    ratio = f", {_span(over)} times the noise" if over else ""
    kinds = f"; {len(shapes)} shapes" if len(shapes) > 1 else ""
    side = "above" if numbers["polarity"] == "bright" else "below"
    rows += [
        ("Size", size + kinds),
        ("Brightness", f"{_span(heights)} counts {side} the background{ratio} (medians)"),
        (
            "Background",
            f"{background['median']:.4g} counts ({background['percentile_1']:.4g} to "
            f"{background['percentile_99']:.4g} over the frame)",
        ),
        ("Noise", _noise(noise)),
    ]
    if specks:
        rows.append(("Hot pixels", f"{specks:.3g} in a frame: drawn, not to be found"))
    return rows


def _noise(noise: dict[str, Any]) -> str:
    text = f"{noise['sd_counts']:.3g} counts (standard deviation of a background pixel)"
    gain = noise["gain_counts_per_photon"]
    if gain:
        text += (
            f"; {gain:.3g} counts a photon over a read noise of {noise['read_noise_counts']:.3g} "
            "counts"
        )
    if noise["smoothed_px"]:
        text += f"; smoothed over {noise['smoothed_px']:.1f} px"
    return text


def _span(values: list[float]) -> str:
    low, high = f"{min(values):.2g}", f"{max(values):.2g}"
    return low if low == high else f"{low} to {high}"
