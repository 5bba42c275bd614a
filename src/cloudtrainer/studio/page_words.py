"""Messages in the words of the page: the names of its fields in place of options and keywords."""

import re

from cloudtrainer.studio.fields import form_fields
from cloudtrainer.studio.given_fields import CALIBRATION, MATERIAL, PART, TWIN_LABEL

THRESHOLD_LABEL = "Threshold: least probability"
RANGE_LABEL = "Linking range [px]"
# Options that are named otherwise than their setting.
_SETTINGS = {
    "--search-range": "analysis.search_range_px",
    "--engine": "analysis.linking_engine",
    "--split-merge-range": "analysis.split_merge_range_px",
    "--memory": "analysis.memory_frames",
    "--min-track-frames": "analysis.min_track_frames",
    "--threshold": "analysis.threshold",
    "--min-relative-probability": "analysis.min_relative_probability",
    "--polarity": "analysis.polarity",
    "--doubtful-spots": "analysis.doubtful_spots",
    "--static-specks": "analysis.static_specks",
    "--drift": "analysis.drift",
}
# Those of the page that are no part of its form.
_SLIDERS = {"--search-range": RANGE_LABEL, "--threshold": THRESHOLD_LABEL}


def page_labels() -> dict[str, str]:
    """Return the label of the page's field for each option and keyword that messages name."""
    fields = form_fields()
    labels = {option: fields[name].label for option, name in _SETTINGS.items()} | _SLIDERS
    labels["--twin"] = TWIN_LABEL
    for one in (*CALIBRATION, *MATERIAL, *PART):
        labels |= {one.option: one.label, one.name: one.label}
    labels |= {name.partition(".")[2]: labels[option] for option, name in _SETTINGS.items()}
    labels["search_range"] = RANGE_LABEL
    # Words of every day: as keywords they are named by their options alone.
    for word in ("frames", "region", "threshold", "polarity", "drift"):
        labels.pop(word, None)
    return labels


def in_page_words(message: str) -> str:
    """Return a message with the page's labels in place of options and keywords."""
    labels = page_labels()
    names = "|".join(re.escape(name) for name in sorted(labels, key=len, reverse=True))
    named = re.compile(rf"(?<![\w-])(?:analysis\.)?({names})(?![\w-])")
    said = named.sub(lambda found: f"“{labels[found[1]]}”", message)
    # "pixel size (“Pixel size [um]”)" stays; the same label twice in a row does not.
    return re.sub(r"(“[^”]+”) \(\1\)", r"\1", said)
