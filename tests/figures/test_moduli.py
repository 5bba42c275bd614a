"""The figure of G' and G''."""

import numpy as np
import pandas as pd
import pytest

from cloudtrainer.errors import LabelError
from cloudtrainer.figures import moduli_figure, to_png


def moduli(storage, loss):
    frequency = np.geomspace(0.5, 50, len(storage))
    table = {"angular_frequency_rad_per_s": frequency}
    for kind, values in (("storage", storage), ("loss", loss)):
        values = np.asarray(values, float)
        table |= {
            f"{kind}_modulus_Pa": values,
            f"{kind}_low_Pa": values * 0.8,
            f"{kind}_high_Pa": values * 1.2,
        }
    return pd.DataFrame(table)


def test_both_moduli_are_drawn_on_logarithmic_axes():
    figure = moduli_figure(moduli([1, 2, 3, 4], [0.1, 0.2, np.nan, -0.1]))
    (ax,) = figure.axes
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    drawn = [line.get_ydata() for line in ax.lines]
    np.testing.assert_allclose(drawn[0], [1, 2, 3, 4])
    np.testing.assert_allclose(drawn[1], [0.1, 0.2, np.nan, np.nan])
    assert "Pa" in ax.get_ylabel()
    assert to_png(figure).startswith(b"\x89PNG")


def test_without_a_positive_modulus_a_sentence_stands_there():
    figure = moduli_figure(moduli([-1, np.nan], [-1, np.nan]))
    assert "No modulus is positive" in figure.axes[0].texts[0].get_text()


def test_a_table_of_something_else_is_refused():
    with pytest.raises(LabelError, match="loss_low_Pa"):
        moduli_figure(moduli([1, 2], [1, 2]).drop(columns="loss_low_Pa"))
