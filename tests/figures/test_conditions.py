import numpy as np
import pytest

from cloudtrainer.figures.conditions import ConditionPoints, ConditionsPanel, conditions_figure
from cloudtrainer.figures.style import to_png


def group(name, *values, mean=None):
    value = np.array(values, dtype=float)
    centre = value.mean() if len(value) else np.nan
    return ConditionPoints(name, value, 0.9 * value, 1.1 * value, mean or (centre,) * 3)


def test_every_video_is_a_point_and_every_mean_a_diamond():
    groups = (group("a", 1.0, 2.0, 3.0, mean=(2.0, 1.0, 4.0)), group("b", 5.0), group("c"))
    (ax,) = conditions_figure([ConditionsPanel("D (µm²/s)", "a title", groups)]).axes
    drawn = [line.get_ydata() for line in ax.lines]
    assert [len(one) for one in drawn] == [3, 1, 1, 1]
    assert drawn[1][0] == 2.0
    bars = [one.get_segments() for one in ax.collections if one.get_linewidth()[0] > 2]
    # One video has no interval over videos.
    assert [len(one) for one in bars] == [1]
    assert bars[0][0][:, 1].tolist() == [1.0, 4.0]
    labels = [label.get_text() for label in ax.get_xticklabels()]
    assert labels == ["a\n3 videos", "b\n1 video", "c\n0 videos"]
    assert (ax.get_ylabel(), ax.get_title(loc="left")) == ("D (µm²/s)", "a title")
    assert [text.get_text() for text in ax.texts] == ["none"]


def test_a_huge_interval_of_two_videos_does_not_flatten_the_points():
    groups = (group("a", 1.0, 1.1, mean=(1.05, 0.001, 900.0)), group("b", 1.2, 1.3, 1.4))
    (ax,) = conditions_figure([ConditionsPanel("D", "", groups)]).axes
    low, high = ax.get_ylim()
    assert high - low < 4


@pytest.mark.parametrize("names", [("$x$", "<b>", "a" * 90), tuple(f"dose {n}" for n in range(9))])
def test_any_names_and_numbers_of_conditions_can_be_drawn(names):
    panel = ConditionsPanel("alpha", "", tuple(group(name, 1.0, 1.2, 1.1) for name in names))
    assert to_png(conditions_figure([panel] * 4))[:4] == b"\x89PNG"


def test_nothing_to_compare_is_a_sentence():
    (ax,) = conditions_figure([]).axes
    assert "no quantity" in ax.texts[0].get_text()
