"""Runs as processes: one works, one waits, and a killed one is told from one that works."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from small_lab import pretend, wait_until

from cloudtrainer.config import Config
from cloudtrainer.errors import WorkspaceError
from cloudtrainer.studio import jobs, worker

CONFIG = Config().to_dict()


def request(place, name="beads", **more):
    return {
        "video": str(place.videos / f"{name}.tif"), "out": str(place.results / name),
        "config": CONFIG, **more,
    }  # fmt: skip


def test_a_job_whose_process_is_gone_was_interrupted(place):
    now = time.time()
    assert pretend(place, "training", now, "running").state == "interrupted"
    assert pretend(place, "training", now - 1, "done").state == "done"
    assert pretend(place, "training", now - 2).state == "waiting"
    assert pretend(place, "training", now - 500).state == "interrupted"


def test_a_job_that_holds_its_lock_lives(place):
    job = pretend(place, "training", time.time() - 500, "running")
    with job.lock():
        assert job.state == "running"
        assert jobs.living_jobs(place) == [job]
    assert jobs.living_jobs(place) == []


def test_the_newest_of_a_kind_is_found_again(place):
    assert jobs.newest(place, "training") is None
    first, second = (pretend(place, "training", 100.0 + n, "done") for n in range(2))
    other = pretend(place, "analysis", 200.0, "done")
    assert jobs.jobs(place) == [first, second, other]
    assert jobs.newest(place, "training") == second
    assert jobs.newest(place, "analysis") == other


def test_one_works_one_waits_and_a_third_is_refused(place):
    with jobs.turn(place):
        first = jobs.start(place, "analysis", request(place))
        second = jobs.start(place, "analysis", request(place, "unlabelled"))
        with pytest.raises(WorkspaceError, match="waits already"):
            jobs.start(place, "analysis", request(place))
        wait_until(lambda: first.told and second.told)
        assert (first.state, second.state) == ("waiting", "waiting")
        second.stop()
        wait_until(lambda: second.state == "stopped")
        first.stop()
        wait_until(lambda: first.state == "stopped")
    assert list(place.results.iterdir()) == []


def test_a_killed_process_is_seen(place):
    with jobs.turn(place):
        job = jobs.start(place, "analysis", request(place))
        wait_until(lambda: job.told)
        os.kill(jobs._processes[-1].pid, signal.SIGKILL)
        wait_until(lambda: job.state == "interrupted")


def test_bad_input_ends_with_its_sentence_and_nothing_written(place, capsys):
    from cloudtrainer.atomic import write_json

    job = pretend(place, "analysis", time.time())
    write_json(
        job.folder / "request.json",
        {"workspace": str(place.root), "asked_at": time.time(), **request(place, "nowhere")},
    )
    assert worker.main(job.folder) == 0
    assert job.state == "failed"
    assert "nowhere.tif: no such file" in job.told["message"]
    assert "nowhere.tif: no such file" in capsys.readouterr().out
    assert list(place.results.iterdir()) == []


def test_a_fault_of_ours_is_told_as_one(place, monkeypatch, capsys):
    job = pretend(place, "analysis", time.time())
    monkeypatch.setitem(worker._DO, "analysis", lambda job: 1 / 0)
    assert worker.main(job.folder) == 1
    assert "internal error: ZeroDivisionError" in job.told["message"]
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("busy", ["working", "waiting"])
def test_a_stop_while_measuring_ends_it_with_nothing_half_written(place, monkeypatch, busy):
    from cloudtrainer.analysis.outputs import output_folder
    from cloudtrainer.atomic import write_json

    job = pretend(place, "analysis", time.time())
    asked = {"workspace": str(place.root), "asked_at": time.time(), **request(place)}
    write_json(job.folder / "request.json", asked)
    ended = threading.Event()

    def measure(video, out, model, **_):
        with output_folder(out, overwrite=False) as folder:
            (folder / "tracks.csv").write_text("half of it")
            job.stop()
            while busy == "working":
                sum(range(1000))
            ended.wait(60)

    monkeypatch.setattr("cloudtrainer.analysis.analyze", measure)
    begun = time.monotonic()
    assert worker.main(job.folder) == 0
    assert time.monotonic() - begun < 30
    assert job.state == "stopped"
    assert list(place.results.iterdir()) == []


def test_a_stop_that_comes_when_all_is_written_loses_nothing(place, monkeypatch):
    from cloudtrainer.atomic import write_json

    job = pretend(place, "analysis", time.time())
    asked = {"workspace": str(place.root), "asked_at": time.time(), **request(place)}
    write_json(job.folder / "request.json", asked)

    def measure(video, out, model, **_):
        out.mkdir()
        (out / "summary.json").write_text("{}")
        job.stop()
        time.sleep(60)

    monkeypatch.setattr("cloudtrainer.analysis.analyze", measure)
    assert worker.main(job.folder) == 0
    assert job.state == "done"


@pytest.mark.slow
def test_an_analysis_is_the_same_as_by_the_library(place, tmp_path):
    from cloudtrainer.analysis import analyze

    job = jobs.start(
        place, "analysis", request(place, given={"exposure_s": 0.01, "frames": [0, None]})
    )
    wait_until(lambda: job.state not in jobs.LIVING, 120)
    assert job.state == "done", job.log
    assert job.progress["done"] == job.progress["total"] == 30
    alone = analyze(place.videos / "beads.tif", tmp_path / "alone", exposure_s=0.01)

    summary = json.loads((place.results / "beads" / "summary.json").read_text())
    assert summary["measured"] == alone.summary["measured"]


@pytest.mark.slow
def test_a_twin_is_simulated_and_a_model_learns_it(place):
    from cloudtrainer.detector.versions import read_metadata

    video = str((place.videos / "unlabelled.tif").resolve())
    job = jobs.start(place, "twin", {"video": video, "out": str(place.cache / "twins" / "it")})
    config = Config.from_dict({"training": {"epochs": 1, "steps_per_epoch": 2, "batch_size": 2}})
    training = jobs.start(place, "training", {"config": config.to_dict(), "twins": [video]})
    wait_until(lambda: job.state not in jobs.LIVING, 180)
    assert job.state == "done", job.log
    assert set(job.told["result"]) == {"numbers", "frames", "picture"}
    for path in job.told["result"].values():
        assert Path(path).is_file()
    wait_until(lambda: training.state not in jobs.LIVING, 180)
    assert training.state == "done", training.log
    assert read_metadata(place.current_model())["data_info"]["twins"] == "unlabelled.tif"


@pytest.mark.slow
def test_a_training_tells_how_far_it_is_and_its_scores(place):
    config = Config.from_dict({"training": {"epochs": 2, "steps_per_epoch": 3, "batch_size": 2}})
    job = jobs.start(place, "training", {"config": config.to_dict()})
    wait_until(lambda: job.state not in jobs.LIVING, 180)
    assert job.state == "done", job.log
    assert job.progress["epochs"] == 2
    assert job.progress["done"] == job.progress["total"] == 6
    assert len(job.progress["history"]["val_f1"]) == 2
    assert job.told["result"]["model"] == place.current_model().name


def test_a_job_outlives_the_process_that_started_it(place):
    code = (
        "import json, sys\n"
        "from cloudtrainer.studio import jobs\n"
        "from cloudtrainer.workspace import Workspace\n"
        "jobs.start(Workspace(__import__('pathlib').Path(sys.argv[1])), 'analysis',"
        " json.loads(sys.argv[2]))\n"
    )
    with jobs.turn(place):
        asked = json.dumps(request(place))
        subprocess.run([sys.executable, "-c", code, str(place.root), asked], check=True)
        job = jobs.newest(place, "analysis")
        wait_until(lambda: job.told)
        assert job.state == "waiting"
        job.stop()
        wait_until(lambda: job.state == "stopped")


def test_files_of_endless_brackets_are_as_none(place):
    job = pretend(place, "analyse", time.time(), "done")
    for name in ("request.json", "state.json"):
        (job.folder / name).write_text('{"result": ' + "[" * 100_000)
    assert job.request == {}
    assert job.told == {}
