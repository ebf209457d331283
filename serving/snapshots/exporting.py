"""Exports: the scores of a snapshot as one file, for warehouses, notebooks and spreadsheets.

The columns are those of `snapshot_schema`, so that a score which is added there is exported, too; a time in microseconds becomes
a timestamp, a churn probability one column for each horizon.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError
from engine.instants import format_instant
from engine.storage import StoreLike
from engine.table_files import check_table_path, table_file
from serving.risk import DEFAULT_THRESHOLDS, Grade, Tier, risk_scores, tiers
from serving.snapshots.committed import open_bucket
from serving.snapshots.flat_reasons import FLAT_REASON_FIELDS, ReasonGiver, with_flat_reasons
from serving.snapshots.manifest import SnapshotInputs, SnapshotManifest
from serving.snapshots.schema import MEMORY_COLUMNS, snapshot_schema
from serving.snapshots.snapshot import survival

_GRADE_NAMES = pa.array([grade.name for grade in Grade])
_TIER_NAMES = pa.array([tier.name.lower() for tier in Tier])
# Kept for the next scoring, and the curve that every horizon is read off: in a file only on request.
_STATE_COLUMNS = ("survival", *MEMORY_COLUMNS)
_REASON_COLUMNS = frozenset(field.name for field in FLAT_REASON_FIELDS)


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportReport:
    """What was written.

    num_marked : texts that a CSV holds with a ' in front, so that no spreadsheet runs them (`engine.table_files`)
    """

    out: Path
    file_format: str
    snapshot_id: str
    columns: tuple[str, ...]
    num_customers: int
    num_bytes: int
    num_marked: int


@dataclass(frozen=True, kw_only=True, slots=True)
class _Column:
    """A column of the file, and how it is made of a bucket."""

    field: pa.Field
    is_usual: bool  # in a file for which no columns were named
    values: Callable[[pa.RecordBatch], pa.Array]


def export_snapshot(
    store: StoreLike,
    manifest: SnapshotManifest,
    out: str | Path,
    *,
    file_format: str | None = None,
    horizon_days: Sequence[int] = (),
    columns: Sequence[str] = (),
    with_states: bool = False,
    find_reasons: Callable[[], ReasonGiver | None] | None = None,
    marks_formulas: bool = True,
    may_replace: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> ExportReport:
    """Write every customer of a committed snapshot, bucket by bucket; equal snapshots give equal bytes.

    file_format    : one of engine.table_files.FORMATS; by default what the file's ending says
    horizon_days   : of churn_probability_<H>d columns; the bundle's own by default
    columns        : names, in the order of the file; by default all scores as they are served
    with_states    : by default also the survival curve and what the next scoring begins from; not in a CSV, which has no lists
    find_reasons   : also FLAT_REASON_FIELDS, from what this gives; None where nobody was scored. Called once all else is checked
    marks_formulas : see `table_file`
    may_replace    : an old file of that name is replaced, once the new one is whole
    progress       : called with buckets done and in all
    raises         : InvalidArgumentError; IntegrityError naming the bucket; StorageError where the disk refuses
    """
    out = Path(out)
    file_format = check_table_path(out, file_format=file_format, may_replace=may_replace)
    chosen = _choose(
        _columns_of(manifest.inputs, horizon_days, with_reasons=find_reasons is not None),
        columns,
        with_states=with_states,
        file_format=file_format,
    )
    has_reasons = any(column.field.name in _REASON_COLUMNS for column in chosen)
    reasons = find_reasons() if find_reasons is not None and has_reasons else None
    schema = pa.schema([column.field for column in chosen], metadata=_metadata(manifest))
    with table_file(out, schema, file_format=file_format, marks_formulas=marks_formulas, may_replace=may_replace) as table:
        for bucket in range(manifest.inputs.num_buckets):
            rows = open_bucket(store, manifest, bucket)
            pieces: Iterable[pa.RecordBatch] = (rows,) if reasons is None else with_flat_reasons(rows, reasons)
            for piece in pieces if rows.num_rows else ():  # of nobody there are no reasons
                table.write(pa.record_batch([column.values(piece) for column in chosen], schema=schema))
            if progress is not None:
                progress(bucket + 1, manifest.inputs.num_buckets)
    return ExportReport(
        out=out,
        file_format=file_format,
        snapshot_id=manifest.snapshot_id,
        columns=tuple(schema.names),
        num_customers=table.num_rows,
        num_bytes=out.stat().st_size,
        num_marked=table.num_marked,
    )


def _columns_of(inputs: SnapshotInputs, horizon_days: Sequence[int], *, with_reasons: bool) -> list[_Column]:
    """Everything that a snapshot can be asked for, in the order of a file."""
    found = []
    for field in snapshot_schema(len(inputs.edges_days), inputs.state_size):
        is_usual = field.name not in _STATE_COLUMNS
        if field.name == "churn_probability":
            found += [_probability_column(inputs, horizon) for horizon in dict.fromkeys(horizon_days or [inputs.horizon_days])]
            found += _risk_columns()
        elif field.name == "store_id":
            found.append(_Column(field=field.with_nullable(True), is_usual=is_usual, values=_store_ids))
        elif field.name.endswith("_us"):
            found.append(_timestamp_column(field, is_usual=is_usual))
        else:
            found.append(_as_it_is(field, is_usual=is_usual))
    if with_reasons:
        found += [_as_it_is(field, is_usual=True) for field in FLAT_REASON_FIELDS]
    return found


def _as_it_is(field: pa.Field, *, is_usual: bool) -> _Column:
    return _Column(field=field, is_usual=is_usual, values=methodcaller("column", field.name))


def _choose(found: Sequence[_Column], names: Sequence[str], *, with_states: bool, file_format: str) -> list[_Column]:
    by_name = {column.field.name: column for column in found}
    has_lists = file_format != "csv"
    if with_states and not has_lists:
        raise InvalidArgumentError("with_states", "found it with csv, which has no lists; expected parquet or arrow")
    for name in names:
        if name not in by_name:
            hint = "; reasons come with --with-reasons" if name in _REASON_COLUMNS else ""
            hint = "; ask for other horizons with --horizon-days" if name.startswith("churn_probability") else hint
            raise InvalidArgumentError("columns", f"found {name!r}, expected some of {', '.join(by_name)}{hint}")
        if not has_lists and pa.types.is_nested(by_name[name].field.type):
            raise InvalidArgumentError("columns", f"found {name!r}, a list, which csv has not; expected parquet or arrow")
    if names:
        return [by_name[name] for name in dict.fromkeys(names)]
    return [
        column
        for column in found
        if (column.is_usual or with_states) and (has_lists or not pa.types.is_nested(column.field.type))
    ]


def _probability_column(inputs: SnapshotInputs, horizon_days: int) -> _Column:
    last = int(inputs.edges_days[-1])
    if not 1 <= horizon_days <= last:
        raise InvalidArgumentError(
            "horizon_days", f"found {horizon_days}, expected 1 to {last}, the last day that the model looks ahead"
        )
    field = pa.field(f"churn_probability_{horizon_days}d", pa.float32(), nullable=False)
    if horizon_days == inputs.horizon_days:
        return _Column(field=field, is_usual=True, values=lambda rows: rows.column("churn_probability"))
    from training.predict import churn_probability  # takes torch along, which the usual export does not need

    edges_days = np.asarray(inputs.edges_days)
    return _Column(
        field=field,
        is_usual=True,
        values=lambda rows: pa.array(churn_probability(edges_days, survival(rows), horizon_days).astype(np.float32)),
    )


def _risk_columns() -> list[_Column]:
    """Risk score, grade and tier: at the bundle's own horizon, as they are served."""

    def score(rows: pa.RecordBatch) -> NDArray[np.float32]:
        return risk_scores(rows.column("churn_probability").to_numpy())

    def grades(rows: pa.RecordBatch) -> NDArray[np.int8]:
        return DEFAULT_THRESHOLDS.grades(score(rows))

    makers: tuple[tuple[str, pa.DataType, Callable[[pa.RecordBatch], pa.Array]], ...] = (
        ("risk_score", pa.float32(), lambda rows: pa.array(score(rows))),
        ("grade", pa.string(), lambda rows: _GRADE_NAMES.take(pa.array(grades(rows) - 1))),
        ("tier", pa.string(), lambda rows: _TIER_NAMES.take(pa.array(tiers(grades(rows)) - 1))),
    )
    return [_Column(field=pa.field(name, kind, nullable=False), is_usual=True, values=values) for name, kind, values in makers]


def _store_ids(rows: pa.RecordBatch) -> pa.StringArray:
    """Null where it is not known: an empty text would be a store like another."""
    column = rows.column("store_id")
    return pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)


def _timestamp_column(field: pa.Field, *, is_usual: bool) -> _Column:
    """UTC microseconds as a timestamp, by a name without the unit."""
    kind = pa.timestamp("us", tz="UTC")
    return _Column(
        field=pa.field(field.name.removesuffix("_us"), kind, nullable=False),
        is_usual=is_usual,
        values=lambda rows: rows.column(field.name).cast(kind),
    )


def _metadata(manifest: SnapshotManifest) -> dict[str, str]:
    """What the numbers speak of; a CSV has no room for it."""
    inputs = manifest.inputs
    return {
        "ebbtide.snapshot": manifest.snapshot_id,
        "ebbtide.as_of": format_instant(inputs.as_of_us),
        "ebbtide.model": inputs.model_version,
        "ebbtide.model_hash": inputs.model_hash,
        "ebbtide.horizon_days": str(inputs.horizon_days),
        "ebbtide.active_within_days": str(inputs.active_within_days),
        "ebbtide.edges_days": json.dumps(inputs.edges_days),
    }
