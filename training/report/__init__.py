"""A back-test as files: JSON for programs, a table of predictions, and one page for people.

The page is self-contained HTML with inline SVG; nothing is loaded from anywhere.
"""

from training.report.document import describe_backtest
from training.report.files import METRICS_FILE, PREDICTIONS_FILE, REPORT_FILE, check_can_write, write_backtest
from training.report.page import draw_report

__all__ = [
    "METRICS_FILE",
    "PREDICTIONS_FILE",
    "REPORT_FILE",
    "check_can_write",
    "describe_backtest",
    "draw_report",
    "write_backtest",
]
