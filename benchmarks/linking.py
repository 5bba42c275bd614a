"""Linking beside trackpy and laptrack: time, links in crowds, tracks of simulated scenes, memory.

    python benchmarks/linking.py [frames]

Brownian particles in a square field that is closed on itself (a particle that leaves on one side
enters on the other as a new one), drawn by this file; positions have an error of 0.15 px per axis,
5% of the particles are missed in each frame, and 5% of the detections are false. All engines get
the same search range and a memory of 3 frames; "same links" compares those of cloudtrainer and
trackpy without memory, for across gaps they differ. Times are of the process; trackpy runs as it is
installed here, and laptrack on a tenth of the frames of the first table. Scores are of tracks of at
least 5 frames, and so is D, over that of the true links between the same detections, over
4 scenes. The default is 1000 frames, and takes five minutes; the last table needs Linux.
"""

import json
import platform
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import trackpy
from trackpy.try_numba import NUMBA_AVAILABLE

from cloudtrainer.diffusion import estimate_diffusion
from cloudtrainer.evaluation import score_tracks
from cloudtrainer.tracking import suggest_search_range, track_particles

MEMORY = 3
GATE_PX = 3.0
LEAST_FRAMES = 5
MEASURES = ("jsc", "alpha", "beta", "jsc_theta")


def scene(
    particles: int, step_px: float, frames: int, side_px: float, seed: int, flaws: float = 0.05
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return detections ``frame, x, y, truth`` (-1: false) and the true tracks."""
    rng = np.random.default_rng(seed)
    place = rng.uniform(0, side_px, (particles, 2))
    name, names = np.arange(particles), particles
    seen, true = [], []
    for frame in range(frames):
        true.append(pd.DataFrame({"frame": frame, "particle": name, "x": place[:, 0]}))
        true[-1]["y"] = place[:, 1]
        there = rng.random(particles) >= flaws
        false = rng.uniform(0, side_px, (rng.poisson(flaws * particles), 2))
        xy = np.concatenate([place[there] + rng.normal(0, 0.15, (there.sum(), 2)), false])
        who = np.concatenate([name[there], np.full(len(false), -1)])
        seen.append(pd.DataFrame({"frame": frame, "x": xy[:, 0], "y": xy[:, 1], "truth": who}))
        place = place + rng.normal(0, step_px, place.shape)
        left = ((place < 0) | (place >= side_px)).any(axis=1)
        name = name.copy()
        name[left] = np.arange(names, names + left.sum())
        names += int(left.sum())
        place = place % side_px
    return pd.concat(seen, ignore_index=True), pd.concat(true, ignore_index=True)


def by_trackpy(table: pd.DataFrame, reach_px: float, memory: int = MEMORY) -> pd.DataFrame:
    return trackpy.link(table, reach_px, memory=memory)


def by_default(table: pd.DataFrame, reach_px: float, memory: int = MEMORY) -> pd.DataFrame:
    return track_particles(table, reach_px, memory, min_track_frames=1)


def by_laptrack(table: pd.DataFrame, reach_px: float) -> pd.DataFrame:
    return track_particles(table, reach_px, MEMORY, min_track_frames=1, engine="laptrack")


ENGINES: dict[str, Callable[[pd.DataFrame, float], pd.DataFrame]] = {
    "cloudtrainer": by_default,
    "trackpy": by_trackpy,
    "laptrack": by_laptrack,
}


def timed(link: Callable[[], pd.DataFrame], repeats: int = 2) -> tuple[float, pd.DataFrame]:
    seconds = []
    for _ in range(repeats):
        begin = time.process_time()
        linked = link()
        seconds.append(time.process_time() - begin)
    return min(seconds), linked


def same_tracks(one: pd.DataFrame, other: pd.DataFrame) -> bool:
    both = one.merge(other, on=["frame", "x", "y"])[["particle_x", "particle_y"]].drop_duplicates()
    return len(both) == both["particle_x"].nunique() == both["particle_y"].nunique()


def right_links(tracks: pd.DataFrame) -> tuple[float, float]:
    """Return the shares of the true links that were found, and of the found that are true."""
    found = links(tracks, "particle")
    true = links(tracks[tracks["truth"] >= 0], "truth")
    return len(found & true) / len(true), len(found & true) / len(found)


def links(table: pd.DataFrame, column: str) -> set[tuple[int, int]]:
    """Return the pairs of rows that follow each other in one track, up to the memory."""
    ordered = table.sort_values([column, "frame"])
    rows = ordered.index.to_numpy()
    same = (np.diff(ordered[column]) == 0) & (np.diff(ordered["frame"]) <= MEMORY + 1)
    return set(zip(rows[:-1][same].tolist(), rows[1:][same].tolist(), strict=True))


def speed(frames: int) -> list[dict[str, object]]:
    print(f"\nTime, {frames} frames, steps of 1 px, search range 5 px (ms a frame)\n")
    print("particles    side   cloudtrainer   trackpy   times   same links   laptrack")
    rows = []
    for particles, side in ((20, 200), (100, 512), (1000, 1000), (1000, 512)):
        table, _ = scene(particles, 1.0, frames, side, seed=1)
        ours, _ = timed(lambda table=table: by_default(table, 5.0))
        theirs, _ = timed(lambda table=table: by_trackpy(table, 5.0), 1)
        few = table[table["frame"] < max(frames // 10, 2)]
        lap, _ = timed(lambda few=few: by_laptrack(few, 5.0), 1)
        row = {
            "particles": particles,
            "side_px": side,
            "cloudtrainer_ms": 1000 * ours / frames,
            "trackpy_ms": 1000 * theirs / frames,
            "laptrack_ms": 1000 * lap / few["frame"].nunique(),
            "same": same_tracks(by_default(few, 5.0, 0), by_trackpy(few, 5.0, 0)),
        }
        rows.append(row)
        print(
            f"{particles:9d}  {side:6d}   {row['cloudtrainer_ms']:12.2f}   "
            f"{row['trackpy_ms']:7.2f}   {theirs / ours:5.1f}   {row['same']!s:>10}   "
            f"{row['laptrack_ms']:8.1f}",
            flush=True,
        )
    return rows


def crowds() -> list[dict[str, object]]:
    print(
        "\nCrowds, 512 x 512 px, 20 frames: true links that were found, found ones that are true\n"
    )
    print("particles   step   range   trackpy            cloudtrainer: s   found   true")
    rows = []
    for particles, step, reach in ((1000, 0.5, 15), (1000, 1.0, 15), (3000, 0.5, 15)):
        table, _ = scene(particles, step, 20, 512, seed=2)
        try:
            by_trackpy(table, reach)
            outcome = "links"
        except trackpy.SubnetOversizeException:
            outcome = "SubnetOversize"
        seconds, tracks = timed(lambda table=table, reach=reach: by_default(table, reach), 1)
        found, true = right_links(tracks)
        rows.append(
            {
                "particles": particles,
                "step_px": step,
                "range_px": reach,
                "trackpy": outcome,
                "seconds": seconds,
                "found": found,
                "true": true,
            }
        )
        print(
            f"{particles:9d}   {step:4.1f}   {reach:5d}   {outcome:16s}   {seconds:15.2f}   "
            f"{100 * found:4.1f}%   {100 * true:4.1f}%",
            flush=True,
        )
    return rows


def scenes() -> list[dict[str, object]]:
    print("\nTracks, 512 x 512 px, 50 frames, search range measured, gate 3 px\n")
    print("particles   step   range   engine            s     JSC   alpha    beta   JSC of tracks")
    rows = []
    for particles in (100, 500, 1000):
        for step in (1.0, 2.0):
            table, truth = scene(particles, step, 50, 512, seed=3)
            reach = suggest_search_range(table, MEMORY).value_px
            for engine, link in ENGINES.items():
                row = {"particles": particles, "step_px": step, "range_px": reach, "engine": engine}
                begin = f"{particles:9d}   {step:4.1f}   {reach:5.1f}   {engine:12s}"
                try:
                    seconds, tracks = timed(
                        lambda table=table, reach=reach, link=link: link(table, reach), 1
                    )
                except trackpy.SubnetOversizeException:
                    print(f"{begin}   raises SubnetOversizeException", flush=True)
                    rows.append(row | {"raises": True})
                    continue
                tracks = trackpy.filter_stubs(tracks, LEAST_FRAMES).reset_index(drop=True)
                score = score_tracks(tracks[["frame", "particle", "x", "y"]], truth, GATE_PX)
                measured = {name: float(getattr(score, name)) for name in MEASURES}
                rows.append(row | {"seconds": seconds} | measured)
                numbers = "   ".join(f"{value:5.3f}" for value in measured.values())
                print(f"{begin}   {seconds:6.2f}   {numbers}", flush=True)
    return rows


def diffusion() -> list[dict[str, object]]:
    print("\nD over that of the true links, 512 x 512 px, 60 frames (missed and false alike)\n")
    print("particles   step   missed   cloudtrainer   trackpy   cloudtrainer, no memory")
    rows = []
    for particles, step, flaws in ((100, 1, 0.05), (100, 1, 0.2), (500, 1, 0.05), (500, 2, 0.05)):
        ratios = []
        for seed in range(4):
            table, _ = scene(particles, step, 60, 512, seed, flaws)
            reach = suggest_search_range(table, MEMORY).value_px
            true = _diffusion_of(
                table[table["truth"] >= 0].assign(particle=lambda rows: rows["truth"])
            )
            linked = (
                by_default(table, reach), by_trackpy(table, reach), by_default(table, reach, 0)
            )  # fmt: skip
            ratios.append([_diffusion_of(tracks) / true for tracks in linked])
        ours, theirs, without = np.mean(ratios, axis=0)
        rows.append(
            {
                "particles": particles,
                "step_px": step,
                "missed": flaws,
                "cloudtrainer": float(ours),
                "trackpy": float(theirs),
                "without_memory": float(without),
            }
        )
        print(
            f"{particles:9d}   {step:4.1f}   {flaws:6.0%}   {ours:12.3f}   {theirs:7.3f}   "
            f"{without:23.3f}",
            flush=True,
        )
    return rows


def _diffusion_of(tracks: pd.DataFrame) -> float:
    tracks = trackpy.filter_stubs(tracks, LEAST_FRAMES).reset_index(drop=True)
    return estimate_diffusion(tracks, None, None, interval="model").value


def streaming() -> list[dict[str, object]]:
    print("\nA frame at a time from and to Parquet, 100 particles (peak over that of 500 frames)\n")
    print("  frames   file, MB   peak, MB more")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for frames in (500, 5000, 20000):
            path = Path(folder) / f"{frames}.parquet"
            rng = np.random.default_rng(0)
            place = rng.uniform(0, 512, (100, 2)) + rng.normal(0, 1, (frames, 100, 2)).cumsum(0)
            table = pd.DataFrame(place.reshape(-1, 2), columns=["x", "y"])
            table["frame"] = np.repeat(np.arange(frames), 100)
            table.to_parquet(path, index=False)
            done = subprocess.run(
                [sys.executable, __file__, "--peak", str(path)],
                check=True, capture_output=True, text=True,
            )  # fmt: skip
            rows.append({"frames": frames, "peak_mb": float(done.stdout)})
            print(
                f"{frames:8d}   {path.stat().st_size / 1e6:8.1f}   "
                f"{rows[-1]['peak_mb'] - rows[0]['peak_mb']:12.1f}",
                flush=True,
            )
    return rows


def peak(path: str) -> None:
    from cloudtrainer.tracking import link_parquet

    link_parquet(path, path + ".tracks", search_range=5)
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    print(next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1000)


def main() -> None:
    if sys.argv[1:2] == ["--peak"]:
        peak(sys.argv[2])
        return
    frames = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    warnings.simplefilter("ignore")
    trackpy.quiet()
    print(f"trackpy {trackpy.__version__} {'with' if NUMBA_AVAILABLE else 'without'} numba")
    results = {
        "machine": platform.platform(),
        "numba": NUMBA_AVAILABLE,
        "speed": speed(frames),
        "crowds": crowds(),
        "scenes": scenes(),
        "diffusion": diffusion(),
        "streaming": streaming(),
    }
    folder = Path(__file__).parent / "results"
    folder.mkdir(exist_ok=True)
    (folder / "linking.json").write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
