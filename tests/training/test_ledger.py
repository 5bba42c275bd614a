"""The ledger of learned videos: what versions 2.0 and 3.0 wrote, and what they still read."""

import hashlib
import json
from dataclasses import replace

import pytest

from cloudtrainer.errors import WorkspaceError
from cloudtrainer.training.ledger import Ledger, VideoRecord


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def record(content, name="gel.tif", **known):
    return VideoRecord(name, md5(content), sha256(content), **known)


# As version 3.0 left it: json.dump(tracker, file, indent=2).
VERSION_3 = {
    "beads.tif": {
        "hash": md5("beads"),
        "trained_date": "2025-01-10T10:11:12.345678",
        "model_version": "v_20250110_101112",
    },
    "M\u00fcller 1.png": {
        "hash": md5("other"),
        "trained_date": "2025-01-11T09:00:00",
        "model_version": "v_20250111_090000",
    },
}


@pytest.fixture
def path(tmp_path):
    (tmp_path / "cache").mkdir()
    return tmp_path / "cache" / "training_tracker.json"


@pytest.fixture
def version_3(path):
    path.write_text(json.dumps(VERSION_3, indent=2), encoding="utf-8")
    return path


def model(tmp_path, version, videos):
    """Write the part of an export that a ledger can be made of."""
    folder = tmp_path / "models" / version
    folder.mkdir(parents=True)
    text = videos if isinstance(videos, str) else json.dumps({"videos": videos})
    (folder / "metadata.json").write_text(text, encoding="utf-8")
    return folder


def entry(content, name="gel.tif", **known):
    return {"name": name, **record(content, name, **known).to_dict()}


def test_the_file_of_version_3_is_read_as_it_is(version_3):
    ledger = Ledger.open(version_3, [])
    assert ledger.notes == []
    assert ledger.records == [
        VideoRecord(
            name,
            known["hash"],
            model_version=known["model_version"],
            trained_date=known["trained_date"],
        )
        for name, known in VERSION_3.items()
    ]


def test_what_is_written_is_read_by_version_3_and_by_this_one(version_3):
    ledger = Ledger.open(version_3, [])
    new = record("new", "new.tif", labels_sha256="f" * 64, held_out=((3, 4), (9, 9)))
    ledger.learned([new], "v_20260101_000000")
    written = json.loads(version_3.read_text(encoding="utf-8"))
    assert set(written) == {*VERSION_3, "new.tif"}
    for name, values in VERSION_3.items():
        assert {key: written[name][key] for key in values} == values
    # How version 3.0 tells a video that it need not learn.
    assert written["new.tif"]["hash"] == md5("new")
    assert written["new.tif"]["model_version"] == "v_20260101_000000"
    assert written["new.tif"]["trained_date"]
    again = Ledger.open(version_3, [])
    assert again.records == ledger.records
    assert again.find(new).held_out == ((3, 4), (9, 9))


def test_nothing_is_written_by_opening(path, tmp_path):
    assert Ledger.open(path, []).records == []
    assert list(path.parent.iterdir()) == []
    path.write_text("{", encoding="utf-8")
    Ledger.open(path, [])
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_mark_of_an_editor_is_no_damage(version_3):
    version_3.write_bytes(b"\xef\xbb\xbf" + version_3.read_bytes())
    ledger = Ledger.open(version_3, [])
    assert len(ledger.records) == 2
    assert ledger.notes == []


@pytest.mark.parametrize(
    "odd",
    [
        None,
        3,
        "text",
        [],
        {},
        {"hash": None},
        {"hash": 3},
        {"hash": ""},
        {"hash": "../../elsewhere"},
        {"md5": md5("x")},
    ],
)
def test_an_entry_that_is_none_is_passed_over(version_3, odd):
    version_3.write_text(json.dumps({"odd.tif": odd, **VERSION_3}), encoding="utf-8")
    ledger = Ledger.open(version_3, [])
    assert [known.name for known in ledger.records] == list(VERSION_3)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("trained_date", None),
        ("model_version", 4),
        ("sha256", "../../elsewhere"),
        ("sha256", 5),
        ("labels_sha256", []),
        ("held_out", "3-4"),
        ("held_out", {"first": 3}),
        ("labelled_frames", "many"),
        ("labelled_frames", True),
        ("a_key_of_a_later_version", {"x": 1}),
    ],
)
def test_a_value_that_is_none_is_passed_over(path, key, value):
    path.write_text(json.dumps({"a.tif": {"hash": md5("a"), key: value}}), encoding="utf-8")
    assert Ledger.open(path, []).records == [VideoRecord("a.tif", md5("a"))]


def test_only_whole_stretches_are_held_out(path):
    stretches = [[1, 2], [3], "4-5", [6, "7"], [True, 8], [9, 9]]
    values = {"a.tif": {"hash": md5("a"), "held_out": stretches}}
    path.write_text(json.dumps(values), encoding="utf-8")
    assert Ledger.open(path, []).records[0].held_out == ((1, 2), (9, 9))


DAMAGED = {
    "cut short": json.dumps(VERSION_3, indent=2)[:-30].encode(),
    "empty": b"",
    "list": b"[1, 2]",
    "number": b"7",
    "null": b"null",
    "binary": bytes(range(256)),
    "utf-16": json.dumps(VERSION_3).encode("utf-16"),
    "deep": b"[" * 100_000,
    "zeros": bytes(4096),
}


@pytest.fixture(params=[*DAMAGED, "folder"])
def damaged(path, request):
    """Return the path of a damaged ledger, and what lies there."""
    if request.param == "folder":
        (path / "inside").mkdir(parents=True)
        return path, None
    path.write_bytes(DAMAGED[request.param])
    return path, DAMAGED[request.param]


def test_a_damaged_ledger_is_made_anew_from_the_models_and_kept_aside(damaged, tmp_path):
    path, content = damaged
    first = model(
        tmp_path, "v_20260101_000000", [entry("a", "a.tif", labels_sha256="1", held_out=((8, 9),))]
    )
    second = model(
        tmp_path,
        "v_20260102_000000",
        [
            # Rehearsed, and more of it is held out since.
            entry("a", "a.tif", labels_sha256="1", held_out=((8, 9), (5, 5))),
            entry("b", "b.tif", labels_sha256="2"),
        ],
    )
    ledger = Ledger.open(path, [first, second])
    [note] = ledger.notes
    assert str(path) in note
    assert "damaged" in note
    assert "2 videos" in note
    a, b = ledger.find(record("a")), ledger.find(record("b"))
    # The model that learned it first: a later one may have been left aside for being worse.
    assert (a.name, a.model_version, a.held_out) == ("a.tif", first.name, ((8, 9), (5, 5)))
    assert (b.name, b.model_version) == ("b.tif", second.name)

    # A run that is killed before its end finds the same again.
    assert Ledger.open(path, [first, second]).records == ledger.records
    ledger.learned([record("c", "c.tif")], "v_20260103_000000")
    assert set(json.loads(path.read_text(encoding="utf-8"))) == {"a.tif", "b.tif", "c.tif"}
    aside = path.with_name(f"{path.name}.damaged")
    assert aside.name in note
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, aside.name]
    if content is None:
        assert (aside / "inside").is_dir()
    else:
        assert aside.read_bytes() == content
    ledger.learned([record("d", "d.tif")], "v_20260104_000000")
    assert len(list(path.parent.iterdir())) == 2
    assert Ledger.open(path, []).notes == []


def test_a_second_damaged_ledger_is_kept_beside_the_first(path):
    for content in (b"first", b"second", b"third"):
        path.write_bytes(content)
        Ledger.open(path, []).learned([record("a")], "v_20260101_000000")
    kept = [path.with_name(f"{path.name}.damaged{end}").read_bytes() for end in ("", "_2", "_3")]
    assert kept == [b"first", b"second", b"third"]


def test_a_ledger_that_was_cleared_with_the_cache_is_made_anew(path, tmp_path):
    folder = model(tmp_path, "v_20260101_000000", [entry("a", held_out=((8, 9),))])
    ledger = Ledger.open(path, [folder])
    assert ledger.find(record("a")).held_out == ((8, 9),)
    assert "is missing" in ledger.notes[0]
    ledger.learned([], "v_20260102_000000")
    assert [file.name for file in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    "videos",
    [
        "{",
        "[" * 100_000,
        "[]",
        "{}",
        {},
        7,
        ["a.tif"],
        [{"hash": md5("a")}],
        [{"name": 7, "hash": md5("a")}],
        [{"name": "a.tif"}],
    ],
)
def test_models_that_name_no_videos_are_passed_over(path, tmp_path, videos):
    path.write_text("{", encoding="utf-8")
    odd = model(tmp_path, "v_20260101_000000", videos)
    good = model(tmp_path, "v_20260102_000000", [entry("a")])
    missing = tmp_path / "models" / "v_20260103_000000"
    ledger = Ledger.open(path, [odd, good, missing])
    assert [known.model_version for known in ledger.records] == [good.name]


def test_a_video_whose_labels_changed_was_learned_by_the_later_model(path, tmp_path):
    folders = [
        model(tmp_path, f"v_2026010{day}_000000", [entry("a", labels_sha256=str(day))])
        for day in (1, 2)
    ]
    assert Ledger.open(path, folders).find(record("a")).model_version == folders[1].name


def test_a_ledger_that_cannot_be_read_is_an_error_and_not_forgotten(version_3, monkeypatch):
    def fail(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(version_3), "read_text", fail)
    with pytest.raises(
        WorkspaceError, match=r"training_tracker\.json: cannot be read \(Permission"
    ):
        Ledger.open(version_3, [])


def test_a_video_is_found_by_its_content_under_any_name(version_3):
    ledger = Ledger.open(version_3, [])
    assert ledger.find(record("beads", "renamed.tif")).name == "beads.tif"
    assert ledger.find(record("unknown", "beads.tif")) is None
    # Another SHA-256 is another video, even where somebody made the MD5 the same.
    ledger.add([record("new")])
    forged = VideoRecord("forged.tif", md5("new"), sha256("forged"))
    assert ledger.find(forged) is None


def test_a_renamed_video_is_not_listed_twice(version_3):
    ledger = Ledger.open(version_3, [])
    ledger.add([record("beads", "renamed.tif")])
    assert sorted(known.name for known in ledger.records) == ["M\u00fcller 1.png", "renamed.tif"]


def test_a_replaced_video_stays_known_in_case_it_comes_back(version_3):
    ledger = Ledger.open(version_3, [])
    ledger.learned([record("a", "beads.tif", held_out=((7, 9),))], "v_1")
    ledger.learned([record("b", "beads.tif", held_out=((1, 2),))], "v_2")
    again = Ledger.open(version_3, [])
    assert again.named("beads.tif").md5 == md5("b")
    assert again.find(record("a")).held_out == ((7, 9),)
    assert again.find(VideoRecord("x", md5("beads"))).model_version == "v_20250110_101112"
    # What versions 2.0 and 3.0 look up is the name.
    written = json.loads(version_3.read_text(encoding="utf-8"))
    assert written["beads.tif"]["hash"] == md5("b")
    assert len(written) == 4
    assert {len(values["hash"]) for values in written.values()} == {32}

    again.learned([record("a", "beads.tif", held_out=((7, 9),))], "v_3")
    names = {known.md5: known.name for known in again.records}
    assert names[md5("a")] == "beads.tif"
    assert names[md5("b")] == f"beads.tif ({sha256('b')[:8]})"
    assert len(again.records) == 4


def test_two_videos_that_change_names_keep_what_was_held_out(path):
    ledger = Ledger.open(path, [])
    ledger.learned(
        [record("a", "a.tif", held_out=((1, 1),)), record("b", "b.tif", held_out=((2, 2),))], "v_1"
    )
    ledger.learned(
        [record("a", "b.tif", held_out=((1, 1),)), record("b", "a.tif", held_out=((2, 2),))], "v_2"
    )
    found = {known.name: (known.md5, known.held_out) for known in Ledger.open(path, []).records}
    assert found == {"b.tif": (md5("a"), ((1, 1),)), "a.tif": (md5("b"), ((2, 2),))}


def test_a_rehearsed_video_keeps_the_model_that_learned_it(path):
    ledger = Ledger.open(path, [])
    earlier = record("a", "a.tif", model_version="v_1", trained_date="2026-01-01T00:00:00")
    ledger.learned([earlier, record("b", "b.tif")], "v_2")
    by_name = {known.name: known for known in Ledger.open(path, []).records}
    assert by_name["a.tif"] == replace(earlier, models=("v_1", "v_2"))
    assert by_name["b.tif"].model_version == "v_2"


def test_every_model_that_learned_a_video_knows_it_until_its_labels_change(path):
    ledger = Ledger.open(path, [])
    ledger.learned([record("a", labels_sha256="first")], "v_1")
    ledger.learned([record("a", labels_sha256="first")], "v_2")
    [known] = Ledger.open(path, []).records
    assert (known.model_version, known.models) == ("v_2", ("v_1", "v_2"))
    assert known.known_to({"v_1"})
    assert known.known_to({"v_2", "v_9"})
    assert not known.known_to({"v_9"})
    assert not known.known_to({""})
    ledger.learned([record("a", labels_sha256="second")], "v_3")
    [known] = Ledger.open(path, []).records
    assert not known.known_to({"v_1", "v_2"})
    assert known.known_to({"v_3"})


def test_a_full_disk_keeps_the_old_ledger(small_disk):
    path = small_disk / "training_tracker.json"
    path.write_text(json.dumps(VERSION_3), encoding="utf-8")
    ledger = Ledger.open(path, [])
    with pytest.raises(OSError):
        (small_disk / "large").write_bytes(bytes(2 << 20))
    with pytest.raises(OSError):
        ledger.learned([record("a")], "v_1")
    assert json.loads(path.read_text(encoding="utf-8")) == VERSION_3
