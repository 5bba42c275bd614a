"""What people read of an analysis: one self-contained HTML file, and a methods section."""

from cloudtrainer.report.methods import methods_text
from cloudtrainer.report.report import (
    Headline,
    Report,
    ReportFigure,
    ReportLink,
    ReportTable,
    render_report,
    write_report,
)

__all__ = [
    "Headline",
    "Report",
    "ReportFigure",
    "ReportLink",
    "ReportTable",
    "methods_text",
    "render_report",
    "write_report",
]
