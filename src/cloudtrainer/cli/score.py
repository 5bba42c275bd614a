"""``score``: how well detections and tracks agree with known ones."""

from math import isnan
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.markup import escape

from cloudtrainer.cli.output import console, print_table

if TYPE_CHECKING:
    import pandas as pd

    from cloudtrainer.evaluation import DetectionScore, TrackScore


def score(
    found: Annotated[
        Path, typer.Argument(help="Detections or tracks that were found: a table, CSV or Parquet.")
    ],
    truth: Annotated[
        Path, typer.Argument(help="Labels or tracks that are known, in any format that is read.")
    ],
    gate_px: Annotated[
        float, typer.Option(help=escape("Largest distance of a found from a true position [px]."))
    ],
    pixel_size_um: Annotated[
        float | None,
        typer.Option(help=escape("Pixel size [um], where positions are lengths.")),
    ] = None,
) -> None:
    """Score detections against labels, and tracks where both tables have them."""
    from cloudtrainer.annotations import as_in_video, read_labels, read_tracks
    from cloudtrainer.annotations.files import read_spots
    from cloudtrainer.evaluation import score_detections, score_tracks
    from cloudtrainer.tracking.tables import checked_positions

    ours, known = read_spots(found, pixel_size_um), read_spots(truth, pixel_size_um)
    for path, spots in ((found, ours), (truth, known)):
        _check_one_video(path, spots.table)
    linked = all("particle" in spots.table.columns for spots in (ours, known))
    # Before anything is printed: what is wrong with a table is said once, and first.
    tracks = None
    if linked:
        ours_linked = as_in_video(read_tracks(found, pixel_size_um))
        tracks = ours_linked, read_tracks(truth, pixel_size_um)
    detections = checked_positions(as_in_video(ours.table), name=found.name, row_numbers=ours.rows)
    if ours.repeats:
        detections = detections.drop_duplicates(["frame", "x", "y"])
    labels = read_labels(truth, pixel_size_um=pixel_size_um)
    detected = score_detections(detections, labels, gate_px)
    print_table((f"detections, gate {gate_px:g} px", "score"), _detection_rows(detected))
    unlinked = [
        path
        for path, spots in ((found, ours), (truth, known))
        if "particle" not in spots.table.columns
    ]
    if tracks is not None:
        console.print()
        tracked = score_tracks(*tracks, gate_px)
        print_table((f"tracks, gate {gate_px:g} px", "score"), _track_rows(tracked))
    elif len(unlinked) == 1:
        where = escape(str(unlinked[0]))
        console.print(f"Tracks are not scored: {where} has no column particle.")


def _check_one_video(path: Path, table: "pd.DataFrame") -> None:
    """Make sure that a table is of one video: frames of several would be taken for the same."""
    from cloudtrainer.errors import LabelError

    videos = table["video"].nunique() if "video" in table.columns else 1
    if videos > 1:
        raise LabelError(
            f"{path.name}: its column video names {videos} videos, and one is scored at a time; "
            "keep the rows of one of them"
        )


def _detection_rows(score: "DetectionScore") -> list[tuple[str, str]]:
    rows = [
        ("found, true, matched", f"{score.found}, {score.truth}, {score.matched}"),
        ("F1", f"{score.f1:.4f}"),
        ("precision", f"{score.precision:.4f}"),
        ("recall", f"{score.recall:.4f}"),
        ("Jaccard index", f"{score.jaccard:.4f}"),
    ]
    if score.matched:
        rows += [
            ("RMSE of one axis", _px(score.rmse_px)),
            ("RMSE along x, y", _px(score.rmse_x_px, score.rmse_y_px)),
            ("bias along x, y", _px(*score.bias_px)),
        ]
    if not isnan(score.error_over_stated):
        rows += [
            (
                "error / stated error (robust)",
                f"{score.error_over_stated:.3f} ({score.error_over_stated_robust:.3f})",
            ),
            (
                "within stated 68%, 95% intervals",
                f"{score.stated_within_68:.1%}, {score.stated_within_95:.1%}",
            ),
        ]
    return rows


def _track_rows(score: "TrackScore") -> list[tuple[str, str]]:
    rows = [
        ("alpha", f"{score.alpha:.4f}"),
        ("beta", f"{score.beta:.4f}"),
        ("JSC (positions)", f"{score.jsc:.4f}"),
        ("JSC-theta (tracks)", f"{score.jsc_theta:.4f}"),
        (
            "positions TP, FN, FP",
            f"{score.positions_tp}, {score.positions_fn}, {score.positions_fp}",
        ),
        ("tracks TP, FN, FP", f"{score.tracks_tp}, {score.tracks_fn}, {score.tracks_fp}"),
    ]
    if score.positions_tp:
        rows += [
            ("RMSE of the distance", _px(score.rmse_px)),
            ("RMSE along x, y", _px(score.rmse_x_px, score.rmse_y_px)),
            ("bias along x, y", _px(*score.bias_px)),
        ]
    return rows


def _px(*values: float) -> str:
    return ", ".join(f"{value:.4f}" for value in values) + " px"
