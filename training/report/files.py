"""The files of a back-test: predictions.parquet, metrics.json and report.html."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyarrow.parquet as pq

from engine.errors import InvalidArgumentError
from engine.files import is_utf8, move_into_place, sync_folder, temporary_name, write_bytes_atomic, write_json_atomic
from engine.refusals import naming
from training.backtest.windows import Backtest
from training.report.document import describe_backtest
from training.report.page import draw_report

PREDICTIONS_FILE = "predictions.parquet"
METRICS_FILE = "metrics.json"
REPORT_FILE = "report.html"


def check_can_write(out_dir: str | Path) -> None:
    """Find out before a training, and not after it, that nothing can be written into a folder; leaves nothing, nor makes it.

    raises : StorageError; InvalidArgumentError for a name that is not UTF-8
    """
    if not is_utf8(str(out_dir)):
        raise InvalidArgumentError("out", f"found {str(out_dir)!r}, a name that is not UTF-8; choose another folder")
    out_dir = Path(out_dir).absolute()
    folder = next(place for place in (out_dir, *out_dir.parents) if place.exists())
    with naming(folder), tempfile.TemporaryFile(dir=folder):
        pass


def write_backtest(result: Backtest, out_dir: str | Path) -> None:
    """Write the three files into a folder, each whole or not at all; the folder is made if missing."""
    out_dir = Path(out_dir)
    out_dir.mkdir(parents=True, exist_ok=True)
    temporary = out_dir / temporary_name(PREDICTIONS_FILE)
    try:
        pq.write_table(result.predictions, temporary)
        move_into_place(temporary, out_dir / PREDICTIONS_FILE)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(out_dir)
    write_json_atomic(out_dir / METRICS_FILE, describe_backtest(result))
    write_bytes_atomic(out_dir / REPORT_FILE, draw_report(result).encode())
