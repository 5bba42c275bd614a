"""Files that are whole or not there, whatever stops the writing."""

import errno
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

from cloudtrainer.atomic import replacing, replacing_folder, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@pytest.fixture(params=[True, False], ids=["over_an_old_file", "where_none_was"])
def target(tmp_path, request):
    """Return a path, and what lies there."""
    path = tmp_path / "values.json"
    if request.param:
        path.write_bytes(b"old")
    return path, request.param


def as_it_was(target):
    path, there = target
    return names(path.parent) == (["values.json"] if there else []) and (
        not there or path.read_bytes() == b"old"
    )


def test_what_is_written_takes_the_place_of_the_old_file(target):
    path, _ = target
    with replacing(path) as unfinished:
        assert unfinished.parent == path.parent
        unfinished.write_bytes(b"new")
        assert path.exists() == target[1]
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["values.json"]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
@pytest.mark.parametrize("begun", [True, False])
def test_an_error_leaves_the_old_file_and_nothing_else(target, error, begun):
    def write():
        with replacing(target[0]) as unfinished:
            if begun:
                unfinished.write_bytes(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert as_it_was(target)


def test_writing_nothing_is_an_error(target):
    with pytest.raises(FileNotFoundError), replacing(target[0]):
        pass
    assert as_it_was(target)


KILLED = """
import os, sys
from pathlib import Path
from cloudtrainer.atomic import replacing
with replacing(Path(sys.argv[1])) as unfinished, unfinished.open("wb") as file:
    file.write(b"half")
    file.flush()
    print("writing", flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill a process")
def test_a_killed_program_leaves_the_old_file_and_the_next_one_clears_up(target):
    path, there = target
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout.readline() == b"writing\n"
        program.kill()
        assert program.wait() == -signal.SIGKILL
    assert path.exists() == there
    if there:
        assert path.read_bytes() == b"old"
    write_text(path, "new")
    assert path.read_bytes() == b"new"
    assert names(path.parent) == ["values.json"]


def test_a_full_disk_leaves_the_old_file_and_its_room_free(small_disk):
    path = small_disk / "values.json"
    path.write_bytes(b"old")
    free = shutil.disk_usage(small_disk).free
    with pytest.raises(OSError) as caught, replacing(path) as unfinished:
        unfinished.write_bytes(bytes(2 << 20))
    assert caught.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"old"
    assert names(small_disk) == ["values.json"]
    assert shutil.disk_usage(small_disk).free == free


def test_a_folder_in_the_way_is_an_error_and_stays(tmp_path):
    (tmp_path / "values.json" / "inside").mkdir(parents=True)
    with pytest.raises(OSError):
        write_text(tmp_path / "values.json", "new")
    assert names(tmp_path) == ["values.json"]
    assert names(tmp_path / "values.json") == ["inside"]


@pytest.mark.parametrize("folder", ["missing", "file"])
def test_a_folder_that_is_none_is_an_error(tmp_path, folder):
    (tmp_path / "file").write_bytes(b"x")
    with pytest.raises(OSError):
        write_text(tmp_path / folder / "values.json", "new")
    assert names(tmp_path) == ["file"]


def test_values_are_read_back_whatever_their_names(tmp_path):
    values = {'Müller\'s "beads" (1).tif': [1, 2.5, None, True], "粒子.tif": {"é": "\n"}}
    write_json(tmp_path / "values.json", values)
    text = (tmp_path / "values.json").read_text(encoding="utf-8")
    assert json.loads(text) == values
    assert "粒子" in text


def test_a_name_that_is_not_unicode_is_written_and_read_back(tmp_path):
    # What an archive of an old Windows unpacks to: one byte a letter, no UTF-8.
    name = os.fsdecode(b"m\xe4use.tif")
    write_json(tmp_path / "values.json", {name: 1})
    assert json.loads((tmp_path / "values.json").read_text(encoding="utf-8")) == {name: 1}


def test_a_folder_takes_the_place_of_the_old_one_whole(tmp_path):
    path = tmp_path / "graph"
    for content in (b"old", b"new"):
        with replacing_folder(path) as unfinished:
            assert list(unfinished.iterdir()) == []
            (unfinished / "inside").mkdir()
            (unfinished / "inside" / content.decode()).write_bytes(content)
        assert names(tmp_path) == ["graph"]
        assert names(path / "inside") == [content.decode()]


@pytest.mark.parametrize("error", [ValueError, OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_folder_and_nothing_else(tmp_path, error):
    path = tmp_path / "graph"
    (path / "inside").mkdir(parents=True)

    def write():
        with replacing_folder(path) as unfinished:
            (unfinished / "half").write_bytes(b"half")
            raise error

    with pytest.raises(error):
        write()
    assert names(tmp_path) == ["graph"]
    assert names(path) == ["inside"]


def test_a_folder_does_not_take_the_place_of_a_file(tmp_path):
    (tmp_path / "graph").write_bytes(b"mine")
    with pytest.raises(OSError), replacing_folder(tmp_path / "graph"):
        pass
    assert names(tmp_path) == ["graph"]
    assert (tmp_path / "graph").read_bytes() == b"mine"
