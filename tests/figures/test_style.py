"""The look is the package's own, and files are what they say."""

import os
import subprocess
import sys
from xml.etree import ElementTree

import matplotlib
import pytest
from matplotlib.colors import to_hex

from cloudtrainer.figures import counts_figure, to_png, to_svg


def size(png):
    return int.from_bytes(png[16:20]), int.from_bytes(png[20:24])


def test_dots_an_inch_scale_the_picture():
    figure = counts_figure([1, 2, 3])
    small, large = size(to_png(figure, dpi=50)), size(to_png(figure, dpi=100))
    assert large[0] == pytest.approx(2 * small[0], rel=0.02)
    assert large[1] == pytest.approx(2 * small[1], rel=0.02)


def test_svg_is_xml_and_the_same_each_time():
    first, second = to_svg(counts_figure([1, 2, 3])), to_svg(counts_figure([1, 2, 3]))
    assert ElementTree.fromstring(first).tag == "{http://www.w3.org/2000/svg}svg"
    assert first == second


def test_the_users_own_style_neither_shows_nor_changes():
    plain = to_png(counts_figure([1, 2, 3]))
    mine = {"axes.facecolor": "black", "text.usetex": True, "font.size": 30, "xtick.color": "red"}
    with matplotlib.rc_context(mine):
        assert to_png(counts_figure([1, 2, 3])) == plain
        for name, value in mine.items():
            assert matplotlib.rcParams[name] == value
    assert to_hex(counts_figure([1]).get_facecolor()) == "#ffffff"


def test_a_returned_figure_shows_itself_in_a_notebook():
    assert counts_figure([1, 2, 3])._repr_png_().startswith(b"\x89PNG")


def test_importing_and_drawing_leave_pyplot_and_the_backend_alone():
    code = (
        "import sys, matplotlib\n"
        "from cloudtrainer.figures import counts_figure, to_png\n"
        "to_png(counts_figure([1, 2]))\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
        "assert matplotlib.get_backend(auto_select=False) is None\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
