"""The files of a snapshot, one for each bucket of customers: written with a marker beside them, and opened checked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import IntegrityError
from engine.files import checksum_bytes
from engine.storage import Place, open_input, write_bytes, write_json
from serving.snapshots.manifest import MEND, BucketFile, SnapshotInputs
from serving.snapshots.paths import bucket_path, marker_path
from serving.snapshots.schema import snapshot_schema


@dataclass(frozen=True, kw_only=True, slots=True)
class DoneBucket:
    """A bucket file that is complete, as its marker says."""

    inputs_digest: str
    device: str
    file: BucketFile


def write_bucket(
    folder: Place,
    inputs: SnapshotInputs,
    bucket: int,
    batch: pa.RecordBatch,
    *,
    device: str,
    is_durable: bool = True,
    parts: Sequence[str] = (),
) -> DoneBucket:
    """Write a bucket's file, then its marker; a kill at any moment leaves both or something that is redone.

    batch      : columns of `snapshot_schema`, ascending by customer_id
    is_durable : the file is on return; else whoever commits sees to it. The marker need not be: it holds the file's hash, so that
                 what a crash of the machine leaves is told from what is whole
    parts      : hashes of the parts of the history that the batch was made from, the oldest first
    raises : ValueError, if the batch has another schema or its ids are not strictly ascending
    """
    schema = snapshot_schema(len(inputs.edges_days), inputs.state_size)
    if not batch.schema.equals(schema, check_metadata=True):
        raise ValueError(f"bucket {bucket} has columns {batch.schema.to_string()}, expected {schema.to_string()}")
    ids = batch.column("customer_id")
    if len(ids) > 1 and not pc.all(pc.less(ids[:-1], ids[1:])).as_py():
        raise ValueError(f"bucket {bucket}: customer ids are not strictly ascending")
    data = _encode(batch)
    path = bucket_path(folder, bucket)
    write_bytes(path, data, is_durable=is_durable)
    file = BucketFile(
        bucket=bucket,
        path=path.name,
        checksum=checksum_bytes(memoryview(data)),
        num_bytes=len(data),
        num_customers=batch.num_rows,
        parts=tuple(parts),
    )
    done = DoneBucket(inputs_digest=inputs.digest, device=device, file=file)
    write_json(marker_path(folder, bucket), asdict(done), is_durable=False)
    return done


def write_bucket_anew(folder: Place, bucket: int, batch: pa.RecordBatch) -> BucketFile:
    """Write a bucket's file beside the one that a manifest names, under a name of its own."""
    data = _encode(batch)
    checksum = checksum_bytes(memoryview(data))
    name = f"bucket={bucket:04d}-{checksum.removeprefix('xxh3:')[:8]}.arrow"
    write_bytes(folder / name, data)
    return BucketFile(bucket=bucket, path=name, checksum=checksum, num_bytes=len(data), num_customers=batch.num_rows)


def find_done(folder: Place, inputs: SnapshotInputs, bucket: int) -> DoneBucket | None:
    """The finished file of a bucket, if its marker is of these inputs and its bytes are those that were written."""
    try:
        values = json.loads(marker_path(folder, bucket).read_bytes())
        done = DoneBucket(inputs_digest=values["inputs_digest"], device=values["device"], file=BucketFile(**values["file"]))
        data = bucket_path(folder, bucket).read_bytes()
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # not finished, or not to be trusted: either way it is scored again
    is_of_these_inputs = done.inputs_digest == inputs.digest and done.file.bucket == bucket
    return done if is_of_these_inputs and done.file.checksum == checksum_bytes(data) else None


def open_bucket_file(folder: Place, file: BucketFile, inputs: SnapshotInputs) -> pa.RecordBatch:
    """One file of a committed snapshot; its size, hash and schema are checked before a value of it is used.

    inputs : of any snapshot of the same bundle
    raises : IntegrityError naming the file
    """
    schema = snapshot_schema(len(inputs.edges_days), inputs.state_size)
    path = folder / file.path
    try:
        source = open_input(path)
    except FileNotFoundError:
        raise IntegrityError(f"{path} is absent; {MEND}") from None
    data = source.read_buffer()
    if len(data) != file.num_bytes:
        raise IntegrityError(f"{path} has {len(data)} bytes, expected {file.num_bytes}; {MEND}")
    # The mapped bytes themselves are hashed: what was checked is what is used, even if the name moves to another file.
    if (found := checksum_bytes(memoryview(data))) != file.checksum:
        raise IntegrityError(f"{path} has hash {found}, expected {file.checksum}; {MEND}")
    try:
        reader = pa.ipc.open_file(data)
    except pa.ArrowInvalid as error:
        raise IntegrityError(f"{path} is not an Arrow file ({error}); {MEND}") from error
    if not reader.schema.equals(schema, check_metadata=True):
        raise IntegrityError(f"{path} has columns {reader.schema.to_string()}, expected {schema.to_string()}; {MEND}")
    if reader.num_record_batches != 1:
        raise IntegrityError(f"{path} has {reader.num_record_batches} record batches, expected 1; {MEND}")
    batch = reader.get_batch(0)
    if batch.num_rows != file.num_customers or not np.isfinite(batch.column("churn_probability").to_numpy()).all():
        raise IntegrityError(f"{path} has {batch.num_rows} rows, expected {file.num_customers} with a finite probability; {MEND}")
    return batch


def _encode(batch: pa.RecordBatch) -> pa.Buffer:
    """The bytes of a file, in one piece of memory of the right size: one that grows would be copied again and again."""
    counted = pa.MockOutputStream()
    with pa.ipc.new_file(counted, batch.schema) as writer:
        writer.write_batch(batch)
    data = pa.allocate_buffer(counted.size())
    with pa.FixedSizeBufferWriter(data) as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return data
