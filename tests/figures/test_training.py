"""The course of a training."""

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from cloudtrainer.figures import to_png, training_figure

HISTORY = {
    "train_loss": [3.0, 1.0, 0.2],
    "val_loss": [3.1, 1.2, 0.3],
    "val_f1": [0.1, 0.7, 0.9],
    "train_f1": [0.2, 0.8, 0.95],
    "val_rmse_px": [float("nan"), 0.6, 0.3],
    "learning_rate": [1e-3, 1e-3, 5e-4],
}


def by_label(figure):
    return {ax.get_ylabel(): ax for ax in figure.axes if ax.axison}


def drawn(ax):
    lines = {line.get_label(): line for line in ax.lines}
    return {name: line for name, line in lines.items() if len(line.get_xdata()) > 1}


def test_each_kind_of_number_has_its_panel():
    axes = by_label(training_figure(HISTORY))
    assert list(axes) == ["loss", "score", "position error (px)", "learning rate"]
    assert drawn(axes["loss"]).keys() == {"training", "validation"}
    assert drawn(axes["score"]).keys() == {"F1, training", "F1, validation"}
    assert {ax.get_xlabel() for ax in axes.values()} == {"epoch"}


def test_epochs_count_from_1_and_one_without_a_value_keeps_its_place():
    axes = by_label(training_figure(HISTORY))
    for ax in axes.values():
        for line in drawn(ax).values():
            assert list(line.get_xdata()) == [1, 2, 3]
    (line,) = drawn(axes["position error (px)"]).values()
    np.testing.assert_array_equal(line.get_ydata(), [np.nan, 0.6, 0.3])


def test_the_lowest_validation_loss_is_marked():
    history = {"val_loss": [3.0, np.nan, 0.5, 0.9], "train_loss": [1.0, 0.9, 0.8, 0.1]}
    ax = by_label(training_figure(history))["loss"]
    (mark,) = (line for line in ax.lines if line.get_label().startswith("lowest"))
    assert mark.get_label() == "lowest, epoch 3"
    assert (list(mark.get_xdata()), list(mark.get_ydata())) == ([3], [0.5])


@pytest.mark.parametrize(
    ("values", "scale"),
    [([5.0, 0.1], "log"), ([5.0, 4.0], "linear"), ([5.0, -0.1], "linear"), ([5.0, 0.0], "linear")],
)
def test_a_loss_that_falls_far_has_a_logarithmic_axis(values, scale):
    ax = by_label(training_figure({"val_loss": values}))["loss"]
    assert ax.get_yscale() == scale
    low, high = ax.get_ylim()
    assert low < min(values)
    assert high > max(values)


def test_scores_are_shown_between_0_and_1():
    ax = by_label(training_figure({"val_iou": [0.4, 0.41], "val_dice": [0.6, 0.65]}))["score"]
    assert ax.get_ylim() == pytest.approx((0, 1.03))
    assert drawn(ax).keys() == {"IoU, validation", "Dice, validation"}


def test_version_2s_history_is_drawn():
    names = ("train_loss", "val_loss", "train_iou", "val_iou")
    figure = training_figure({name: [0.5, 0.4] for name in names})
    assert list(by_label(figure)) == ["loss", "score"]
    assert len(figure.axes) == 2


@pytest.mark.parametrize(
    "history",
    [{}, {"val_loss": []}, {"val_loss": [float("nan")] * 3}, {"unknown": [1.0, 2.0]}],
)
def test_no_history_is_said_in_words(history):
    figure = training_figure(history)
    assert [text.get_text() for ax in figure.axes for text in ax.texts] == [
        "The course of this training was not recorded."
    ]
    assert to_png(figure).startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "history",
    [
        {"val_loss": [-1.5]},
        {"val_rmse_px": [0.0, 0.0]},
        {"val_loss": [1.0] * 500, "val_f1": [0.5] * 3},
        {"val_loss": [float("inf"), 1.0]},
        {"learning_rate": [0.0]},
        HISTORY,
    ],
)
def test_odd_histories_are_drawn(history):
    figure = training_figure(history)
    assert to_png(figure).startswith(b"\x89PNG")
    for ax in by_label(figure).values():
        ticks = ax.get_xticks()
        assert all(tick == int(tick) for tick in ticks)


def test_nothing_overlaps():
    more = {f"{part}_{score}": [0.5] for part in ("train", "val") for score in ("iou", "dice")}
    figure = training_figure({**HISTORY, **more})
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    boxes = []
    for ax in figure.axes:
        if ax.axison:
            boxes.append(ax.get_window_extent(renderer))
            if ax.get_legend() is not None:
                boxes.append(ax.get_legend().get_window_extent(renderer))
    for i, box in enumerate(boxes):
        assert not any(box.shrunk(0.98, 0.98).overlaps(other) for other in boxes[i + 1 :])
