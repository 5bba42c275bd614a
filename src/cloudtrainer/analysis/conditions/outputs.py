"""The folder of a comparison: tables, figure, methods and report, whole or not at all."""

from collections.abc import Iterable
from pathlib import Path

from cloudtrainer.analysis.conditions.compare import Comparison
from cloudtrainer.analysis.conditions.document import comparison_report
from cloudtrainer.analysis.conditions.picture import draw_conditions
from cloudtrainer.analysis.outputs import output_folder
from cloudtrainer.errors import WorkspaceError
from cloudtrainer.figures import to_png, to_svg
from cloudtrainer.report import write_report


def write_comparison(comparison: Comparison, out: Path, *, overwrite: bool) -> None:
    """Write ``report.html``, ``comparison.csv``, ``videos.csv``, ``methods.txt`` and the figure.

    Raises
    ------
    WorkspaceError
        The folder holds the results of a video, holds files already, or cannot be written.
    """
    _keep_results((one.folder for one in comparison.recordings), out)
    drawn = draw_conditions(comparison)
    png = to_png(drawn)
    report = comparison_report(comparison, png)
    with output_folder(out, overwrite=overwrite) as folder:
        for name, table in (
            ("comparison", comparison.table()),
            ("videos", comparison.videos()),
        ):
            table.to_csv(folder / f"{name}.csv", index=False, float_format="%.6g")
        (folder / "comparison.png").write_bytes(png)
        (folder / "comparison.svg").write_bytes(to_svg(drawn))
        (folder / "methods.txt").write_text(f"{report.methods}\n", encoding="utf-8")
        write_report(folder / "report.html", report)


def _keep_results(folders: Iterable[Path], out: Path) -> None:
    """Refuse to write over the results that are compared, or those of any other analysis."""
    if out.expanduser().resolve() in set(folders) or (out / "summary.json").exists():
        raise WorkspaceError(
            f"{out}: holds the results of an analysis, whose report would be replaced; give "
            "another folder for the comparison"
        )
