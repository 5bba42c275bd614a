"""The numbers of a twin that are damaged, changed by hand or of another program."""

import json

import pytest

from cloudtrainer.analysis.twins import given_twin
from cloudtrainer.errors import ModelError
from cloudtrainer.simulation.twin.files import read_twin

GOOD = {
    "key": "k", "training": {}, "background_counts": {}, "noise": {}, "particles": {},
    "doubts": [], "focus": None,
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"key": ' * 100_000,
        "[1, 2]",
        '"a text"',
        "17",
        "null",
        "{}",
        "{",
        json.dumps(GOOD | {"doubts": [1]}),
        json.dumps(GOOD | {"noise": [1]}),
        json.dumps(GOOD | {"focus": 3}),
        json.dumps(GOOD | {"focus": {"peak_counts": 10**400, "least_peak_counts": 1}}),
        json.dumps(GOOD | {"focus": {"peak_counts": [1], "least_peak_counts": 1}}),
    ],
)
def test_what_is_no_twin_is_told_by_the_name_of_its_folder(tmp_path, text):
    (tmp_path / "model").mkdir()
    (tmp_path / "twin.png").write_bytes(b"\x89PNG")
    (tmp_path / "twin.json").write_text(text)
    assert read_twin(tmp_path) is None
    with pytest.raises(ModelError, match=r"files of this twin are damaged \(twin\.json") as caught:
        given_twin(tmp_path)
    assert str(tmp_path) in str(caught.value)
