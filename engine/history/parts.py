"""Parts at rest: two uncompressed Arrow IPC files each, named by their content; memory-mapped, or fetched, without a copy."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import IntegrityError
from engine.files import sha256_files
from engine.history.events import CODE_COLUMNS, BucketEvents
from engine.history.manifest import PartRecord
from engine.partition import Partition
from engine.refusals import naming
from engine.schema import CUSTOMER_SCHEMA, EVENT_SCHEMA
from engine.storage import Delivery, Place, RemotePath, open_input, sha256_of, size_of, sizes_below

_NAME_DIGITS = 24  # of the hash; 96 bits tell the few parts of a bucket apart
_NAMES_KEY = b"ebbtide.names"


def write_part(history: Place, staging: Path, bucket: int, events: BucketEvents, delivery: Delivery) -> PartRecord:
    """Write sorted events of a bucket; equal events give equal bytes and so the same files.

    history  : the folder of the manifest; the files appear below it whole
    staging  : a local folder, on the same file system where the history is local
    delivery : to be waited for before a manifest names the part
    """
    customers = pa.record_batch([events.customer_ids, pa.array(events.first_event, pa.int64())], schema=CUSTOMER_SCHEMA)
    names = {name: events.names[name].to_pylist() for name in CODE_COLUMNS}
    schema = EVENT_SCHEMA.with_metadata({_NAMES_KEY: json.dumps(names, ensure_ascii=False, sort_keys=True).encode()})
    rows = pa.record_batch([pa.array(events.columns[name]) for name in EVENT_SCHEMA.names], schema=schema)
    # A name for each bucket: several may be written at once.
    customers_path, events_path = staging / f"{bucket:04d}.customers.arrow", staging / f"{bucket:04d}.events.arrow"
    _write_batch(customers_path, customers)
    _write_batch(events_path, rows)

    sha256 = sha256_files(customers_path, events_path)
    record = PartRecord(
        bucket=bucket,
        path=f"bucket={bucket:04d}/{sha256.removeprefix('sha256:')[:_NAME_DIGITS]}",
        sha256=sha256,
        customers_bytes=customers_path.stat().st_size,
        events_bytes=events_path.stat().st_size,
        num_customers=len(events.customer_ids),
        num_events=events.num_events,
    )
    folder = (history / record.path).parent
    folder.mkdir(exist_ok=True)
    for temporary, (path, _) in zip((customers_path, events_path), record.files, strict=True):
        delivery.put(temporary, history / path)
    delivery.sync(folder)
    return record


def read_partition(history: Place, record: PartRecord) -> Partition:
    """Map or fetch a part; the event columns are views of the file, or of its bytes in memory.

    raises : IntegrityError where a file is missing or is not such a part
    """
    return _partition(_open_part(history, record))


def read_events(history: Place, record: PartRecord) -> BucketEvents:
    """The same part for merging, with the keys of the orders."""
    return _events(_open_part(history, record))


def read_both(history: Place, record: PartRecord) -> tuple[Partition, Mapping[str, NDArray[np.generic]]]:
    """The same part for readers, and all of its columns, which the partition's are of, for merging some of them."""
    part = _open_part(history, record)
    return _partition(part), {name: _view(part.events, name) for name in EVENT_SCHEMA.names}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """A part's two files, open.

    offsets : int64[num_customers + 1]
    names   : code column -> what its codes stand for
    """

    customers: pa.RecordBatch
    events: pa.RecordBatch
    offsets: NDArray[np.int64]
    names: dict[str, list[str]]


def _open_part(history: Place, record: PartRecord) -> _Part:
    customers, events = map_part(history, record)
    (customers_path, _), (events_path, _) = record.files
    first_event = first_events(customers, events, history / customers_path)
    return _Part(
        customers=customers,
        events=events,
        offsets=np.append(first_event, events.num_rows),
        names=names_of(events, history / events_path),
    )


def _partition(part: _Part) -> Partition:
    columns: dict[str, Any] = {name: _view(part.events, name) for name in EVENT_SCHEMA.names if name != "order_key"}
    return Partition(
        customer_ids=part.customers.column("customer_id"),
        offsets=part.offsets,
        store_names=part.names["store_code"],
        channel_names=part.names["channel_code"],
        **columns,
    )


def _events(part: _Part) -> BucketEvents:
    ids = part.customers.column("customer_id")
    return BucketEvents(
        customer_ids=ids,
        customer=np.repeat(np.arange(len(ids)), np.diff(part.offsets)),
        columns={name: _view(part.events, name) for name in EVENT_SCHEMA.names},
        names={name: pa.array(part.names[name], pa.string()) for name in CODE_COLUMNS},
    )


def empty_partition() -> Partition:
    """What a bucket is into which no customer falls."""
    columns: dict[str, Any] = {
        field.name: np.zeros(0, field.type.to_pandas_dtype()) for field in EVENT_SCHEMA if field.name != "order_key"
    }
    return Partition(
        customer_ids=pa.array([], pa.string()), offsets=np.zeros(1, np.int64), store_names=(), channel_names=(), **columns
    )


def find_missing(history: Place, parts: Iterable[PartRecord]) -> Iterator[str]:
    """Files of parts that are not there or cut short, a line each; of a remote history all are asked for at once."""
    known = sizes_below(history) if isinstance(history, RemotePath) else None
    for part in parts:
        for name, expected_bytes in part.files:
            num_bytes = size_of(history / name) if known is None else known.get(name)
            if problem := _size_problem(history / name, num_bytes, expected_bytes):
                yield problem


def find_part_problems(history: Place, record: PartRecord) -> list[str]:
    """What is wrong with the files of a part, a line each: presence, size, then every byte."""
    problems = [
        problem
        for name, expected in record.files
        if (problem := _size_problem(history / name, size_of(history / name), expected))
    ]
    if not problems:
        try:
            found = sha256_of(*(history / name for name, _ in record.files))
        except FileNotFoundError as error:  # removed since its size was asked for
            return [f"{error.filename} is missing"]
        if found != record.sha256:
            # There is one hash of both: two would have to be kept, and made of every byte twice.
            first, second = (history / name for name, _ in record.files)
            problems.append(f"{first} or {second} has changed: together they hash to {found}, expected {record.sha256}")
    return problems


def check_part(history: Place, record: PartRecord) -> None:
    """Hash every byte of a part.

    raises : IntegrityError naming the first file that is not as it was written, or both where only their hash tells
    """
    for problem in find_part_problems(history, record):
        raise integrity_error(problem)


def integrity_error(problem: str) -> IntegrityError:
    """The error for a damaged part: what was found, and the way out."""
    return IntegrityError(f"{problem}; restore the file from a backup, or ingest the sources again into a new store")


def _size_problem(path: Place, num_bytes: int | None, expected_bytes: int) -> str:
    if num_bytes is None:
        return f"{path} is missing"
    return "" if num_bytes == expected_bytes else f"{path} has {num_bytes:,} bytes, expected {expected_bytes:,}"


def _write_batch(path: Path, batch: pa.RecordBatch) -> None:
    with naming(path), pa.OSFile(str(path), "wb") as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)


def map_part(history: Place, record: PartRecord) -> tuple[pa.RecordBatch, pa.RecordBatch]:
    """The customers and the events of a part, as they lie in its files.

    raises : IntegrityError
    """
    batches = []
    wanted = ((CUSTOMER_SCHEMA, record.num_customers), (EVENT_SCHEMA, record.num_events))
    for (name, _), (schema, num_rows) in zip(record.files, wanted, strict=True):
        path = history / name
        try:
            # Without threads: to hand so little to one and back takes longer than to do it.
            reader = pa.ipc.open_file(open_input(path), options=pa.ipc.IpcReadOptions(use_threads=False))
            if not reader.schema.equals(schema) or reader.num_record_batches != 1:
                raise integrity_error(f"{path} is no part of a history: found {reader.schema.names}, expected {schema.names}")
            batch = reader.get_batch(0)
            if schema is CUSTOMER_SCHEMA:
                batch.validate(full=True)  # texts with broken offsets would reach past their memory; numbers cannot
        except (OSError, pa.ArrowException) as error:
            raise integrity_error(f"{path} cannot be read ({error})") from error
        if batch.num_rows != num_rows:
            raise integrity_error(f"{path} has {batch.num_rows:,} rows, expected {num_rows:,}")
        batches.append(batch)
    return batches[0], batches[1]


def names_of(events: pa.RecordBatch, path: Place) -> dict[str, list[str]]:
    """Code column -> what its codes stand for.

    raises : IntegrityError
    """
    try:
        names = json.loads(events.schema.metadata[_NAMES_KEY])
        return {name: list(names[name]) for name in CODE_COLUMNS}
    except (KeyError, TypeError, ValueError) as error:
        raise integrity_error(f"{path} lacks the names of its stores and channels") from error


def _view(batch: pa.RecordBatch, name: str) -> Any:
    return batch.column(name).to_numpy(zero_copy_only=True)


def first_events(customers: pa.RecordBatch, events: pa.RecordBatch, path: Place) -> Any:
    """Where each customer's events begin; what does not ascend would reach into those of others, or past the end.

    raises : IntegrityError
    """
    first_event = _view(customers, "first_event")
    if len(first_event) and (first_event[0] != 0 or (np.diff(np.append(first_event, events.num_rows)) <= 0).any()):
        raise integrity_error(f"{path} is damaged (the customers' first events do not ascend from 0 to {events.num_rows:,})")
    return first_event
