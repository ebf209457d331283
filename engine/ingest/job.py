"""Ingest: source files into the history, all of it or nothing.

    check every header -> read lines, spill them by bucket -> per bucket: lines to orders, the new ones to a part -> manifest

Until the manifest is replaced nothing is visible; what a killed ingest left behind is swept by the next one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.errors import InvalidArgumentError, NoHistoryError, SourceError
from engine.fields import SOURCE_FIELD_NAMES
from engine.files import sha256_file
from engine.history import HISTORY_FOLDER
from engine.history.manifest import Manifest, SourceRecord, read_manifest, write_manifest
from engine.ingest.arrival import MergeCounts
from engine.ingest.bucket_number import check_num_buckets, choose_num_buckets
from engine.ingest.intake import Intake, read_source
from engine.ingest.quarantine import Quarantine
from engine.ingest.report import FileReport, FileStatus, IngestProgress, IngestReport, Stage
from engine.ingest.spill import Spill
from engine.ingest.staging import collect_garbage, writing
from engine.ingest.storing import Stored, store_orders
from engine.schema import EventKind
from engine.sources import Source, check_fields, find_files, open_source
from engine.sources.instant_text import compile_format
from engine.sources.lines import AMOUNT_DIGITS, Reason
from engine.storage import Place, StoreLike, resolve

__all__ = ["FileReport", "FileStatus", "IngestProgress", "IngestReport", "Stage", "ingest"]

Progress = Callable[[IngestProgress], None]


def ingest(
    store: StoreLike,
    files: Sequence[str | Path],
    *,
    columns: Mapping[str, str] | None = None,
    timestamp_format: str | None = None,
    num_buckets: int | None = None,
    kind: EventKind = EventKind.PURCHASE,
    progress: Progress | None = None,
) -> IngestReport:
    """Take files into the history of a store.

    files            : Parquet, CSV or Arrow; a folder stands for all below it
    columns          : field -> column; fields not named are found by their own name
    timestamp_format : as of strptime, for text that is not ISO 8601
    kind             : what the rows are, unless a column `kind` says it; purchases include returns, as their signs or flags tell
    num_buckets      : 1 to 4096, for a new store only; without it, chosen from the number of rows
    raises           : SourceError (a file is refused whole), InvalidArgumentError, StoreBusyError, IntegrityError;
                       the history is then as it was; RemoteError where a remote store does not answer

    Lines of one order in several files of one call add up. An order that arrives again in a later call replaces the stored one;
    goods that come back under its id join it as a return. The same file under the same mapping changes nothing, unless rows
    of it were in the future then.
    """
    store = resolve(store)
    columns = columns or {}
    report_progress = progress or _tell_nobody
    check_fields(columns)
    if timestamp_format is not None:
        compile_format(timestamp_format)
    check_num_buckets(num_buckets)
    if store.exists() and not store.is_dir():
        raise InvalidArgumentError("store", f"{store} is a file, expected a folder")
    sources = [open_source(path, columns, timestamp_format, kind) for path in find_files(files)]
    intended = [_intend(source) for source in sources]

    history = store / HISTORY_FOLDER
    with writing(history) as desk:
        present = _present_manifest(history)
        if present is not None and num_buckets not in (None, present.num_buckets):
            raise InvalidArgumentError(
                "num_buckets",
                f"found {num_buckets}, but {store} has {present.num_buckets}; leave it out, and split it with `ebbtide compact`",
            )
        statuses = _statuses(intended, present, timestamp_format, kind)
        fresh = [one for one, status in zip(intended, statuses, strict=True) if status == FileStatus.INGESTED]
        if present is not None and not fresh:
            return _report(store, intended, statuses, {}, present, MergeCounts(), 0)
        if present is not None:
            num_buckets = present.num_buckets
        elif num_buckets is None:
            num_buckets = choose_num_buckets(sum(one.source.header.estimated_rows for one in fresh))

        spill = Spill(desk.staging, num_buckets)
        taken = _read_files(fresh, history, desk.staging, timestamp_format, kind, spill, report_progress)
        stored = store_orders(history, desk.staging, spill, present, _count_stored(spill, report_progress))
        manifest = _next_manifest(present, num_buckets, stored, taken, timestamp_format, kind)
        desk.check(present)
        for one in taken.values():
            one.quarantine.commit()
        if manifest != present:
            desk.check(present)
            write_manifest(history, manifest)
            desk.check(manifest)
            collect_garbage(history, manifest, present)
        return _report(store, intended, statuses, taken, manifest, stored.counts, stored.rounding_units)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Intended:
    """A source to be read, and what tells that nobody changed it in between."""

    source: Source
    sha256: str
    stamp: tuple[int, int]  # bytes, nanoseconds of the last change


@dataclass(frozen=True, kw_only=True, slots=True)
class _Taken:
    """A source that was read to its end."""

    intended: _Intended
    intake: Intake
    quarantine: Quarantine


def _intend(source: Source) -> _Intended:
    stamp = _stamp(source.path)
    return _Intended(source=source, sha256=sha256_file(source.path), stamp=stamp)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _tell_nobody(_: IngestProgress) -> None:
    pass


def _present_manifest(history: Place) -> Manifest | None:
    try:
        return read_manifest(history)[0]
    except NoHistoryError:
        return None


def _statuses(
    intended: Sequence[_Intended], present: Manifest | None, timestamp_format: str | None, kind: EventKind
) -> list[FileStatus]:
    known = {
        (record.sha256, record.kind, tuple(sorted(record.mapping.items())), record.timestamp_format)
        for record in (present.sources if present is not None else ())
        if Reason.TIMESTAMP_FUTURE not in record.bad_rows
    }
    seen: set[str] = set()
    statuses = []
    for one in intended:
        if (one.sha256, kind.name.lower(), tuple(sorted(one.source.mapping.items())), timestamp_format) in known:
            statuses.append(FileStatus.SKIPPED)
        else:
            statuses.append(FileStatus.REPEATED if one.sha256 in seen else FileStatus.INGESTED)
            seen.add(one.sha256)
    return statuses


def _read_files(
    fresh: Sequence[_Intended],
    history: Place,
    staging: Path,
    timestamp_format: str | None,
    kind: EventKind,
    spill: Spill,
    progress: Progress,
) -> dict[str, _Taken]:
    """Phase one; sha256 -> what was taken."""
    known_rows = [one.source.header.num_rows for one in fresh]
    rows_total = None if None in known_rows else sum(num_rows or 0 for num_rows in known_rows)
    rows_done = 0
    now_us = time.time_ns() // 1000
    taken = {}
    for one in fresh:
        path = one.source.path

        def on_rows(num_rows: int, path: Path = path) -> None:
            nonlocal rows_done
            rows_done += num_rows
            progress(IngestProgress(stage=Stage.READ, file=str(path), rows_done=rows_done, rows_total=rows_total))

        quarantine = Quarantine(history, staging, source_name=path.name, sha256=one.sha256)
        intake = read_source(
            one.source,
            timestamp_format=timestamp_format,
            now_us=now_us,
            spill=spill,
            quarantine=quarantine,
            on_rows=on_rows,
            kind=kind,
        )
        if _stamp(path) != one.stamp:
            raise SourceError(str(path), "changed while it was being read; wait until it is complete, then run this again")
        taken[one.sha256] = _Taken(intended=one, intake=intake, quarantine=quarantine)
    spill.flush()
    return taken


def _count_stored(spill: Spill, progress: Progress) -> Callable[[int], None]:
    """What tells how far phase two is."""
    rows_total = int(spill.num_lines.sum())
    rows_done = 0

    def on_rows(num_rows: int) -> None:
        nonlocal rows_done
        rows_done += num_rows
        progress(IngestProgress(stage=Stage.STORE, file="", rows_done=rows_done, rows_total=rows_total))

    return on_rows


def _next_manifest(
    present: Manifest | None,
    num_buckets: int,
    stored: Stored,
    taken: Mapping[str, _Taken],
    timestamp_format: str | None,
    kind: EventKind,
) -> Manifest:
    records = {record.sha256: record for record in (present.sources if present is not None else ())}
    for sha256, one in taken.items():
        records[sha256] = SourceRecord(
            sha256=sha256,
            name=one.intended.source.path.name,
            kind=kind.name.lower(),
            mapping=one.intended.source.mapping,
            timestamp_format=timestamp_format,
            num_rows=one.intake.num_rows,
            bad_rows=one.intake.bad_rows,
        )
    has_integer_ids = (present is None or present.customer_id_type == "integer") and all(
        one.intake.has_integer_ids for one in taken.values()
    )
    fields = set(present.fields if present is not None else ()).union(*(one.intended.source.mapping for one in taken.values()))
    return Manifest(
        num_buckets=num_buckets,
        customer_id_type="integer" if has_integer_ids else "string",
        fields=tuple(name for name in SOURCE_FIELD_NAMES if name in fields),
        sources=tuple(records.values()),
        parts=stored.parts,
        totals=stored.totals,
        num_forgotten=0 if present is None else present.num_forgotten,
    )


def _report(
    store: Place,
    intended: Sequence[_Intended],
    statuses: Sequence[FileStatus],
    taken: Mapping[str, _Taken],
    manifest: Manifest,
    counts: MergeCounts,
    rounding_units: int,
) -> IngestReport:
    records = {record.sha256: record for record in manifest.sources}
    return IngestReport(
        store=store,
        files=tuple(
            FileReport(
                path=one.source.path,
                sha256=one.sha256,
                status=status,
                mapping=one.source.mapping,
                num_rows=records[one.sha256].num_rows,
                bad_rows=records[one.sha256].bad_rows,
                quarantine=taken[one.sha256].quarantine.path_if_written if one.sha256 in taken else None,
            )
            for one, status in zip(intended, statuses, strict=True)
        ),
        manifest=manifest,
        num_events_new=counts.num_new,
        num_events_replaced=counts.num_replaced,
        num_events_unchanged=counts.num_unchanged,
        num_sub_cent=sum(one.intake.num_sub_cent for one in taken.values()),
        rounding_major=rounding_units / 10**AMOUNT_DIGITS,
    )
