"""What an ingest tells while it runs and when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from engine.history.manifest import Manifest
from engine.storage import Place


class Stage(StrEnum):
    """What an ingest is doing."""

    READ = "read"
    STORE = "store"


class FileStatus(StrEnum):
    """What became of a source file."""

    INGESTED = "ingested"
    SKIPPED = "skipped"  # the same bytes went in before, under the same mapping
    REPEATED = "repeated"  # the same bytes twice in one command


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestProgress:
    """A step forward, over all files of the command.

    file       : the one being read, "" while storing
    rows_total : None where only reading tells (CSV)
    """

    stage: Stage
    file: str
    rows_done: int
    rows_total: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class FileReport:
    """One source file.

    mapping    : field -> column, as resolved
    bad_rows   : reason -> rows kept out
    quarantine : where they are, None where there are none
    """

    path: Path
    sha256: str
    status: FileStatus
    mapping: Mapping[str, str]
    num_rows: int
    bad_rows: Mapping[str, int]
    quarantine: Place | None


@dataclass(frozen=True, kw_only=True, slots=True)
class IngestReport:
    """The whole of an ingest. An event is an order, or what came back of one.

    manifest        : the history after it
    num_sub_cent    : lines of this ingest whose amount has a fraction of a cent
    rounding_major  : what rounding each order to the cent added to the total of this ingest, in major units
    """

    store: Place
    files: tuple[FileReport, ...]
    manifest: Manifest
    num_events_new: int
    num_events_replaced: int
    num_events_unchanged: int
    num_sub_cent: int
    rounding_major: float

    @property
    def num_rows(self) -> int:
        """Rows read in this ingest, bad ones included."""
        return sum(file.num_rows for file in self.files if file.status == FileStatus.INGESTED)

    @property
    def bad_rows(self) -> dict[str, int]:
        """Reason -> rows kept out in this ingest."""
        total: dict[str, int] = {}
        for file in self.files:
            if file.status == FileStatus.INGESTED:
                for reason, num_rows in file.bad_rows.items():
                    total[reason] = total.get(reason, 0) + num_rows
        return total

    @property
    def num_bad_rows(self) -> int:
        return sum(self.bad_rows.values())
