"""Snapshots on disk: bucket files, their markers, the manifest that commits them, and the pointer to the current one.

store/snapshots/current.json                     which snapshot is served, and which was before it; replaced atomically
store/snapshots/<id>/bucket=0000.arrow           Arrow IPC file of one record batch, uncompressed
store/snapshots/<id>/bucket=0000.done.json       its hash, written after it: the bucket need not be scored again
store/snapshots/<id>/manifest.json               written last: without it there is no snapshot
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import IntegrityError, NoSnapshotError
from engine.files import checksum_bytes, sha256_bytes
from engine.storage import (
    Place,
    RemotePath,
    StoreLike,
    is_remote,
    open_input,
    resolve,
    size_of,
    sizes_below,
    write_bytes,
    write_json,
)
from serving.snapshots.manifest import MEND, BucketFile, RecentActivity, SnapshotInputs, SnapshotManifest, read_manifest
from serving.snapshots.schema import snapshot_schema
from serving.snapshots.snapshot import Snapshot

_NUM_FETCHES = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class DoneBucket:
    """A bucket file that is complete, as its marker says."""

    inputs_digest: str
    device: str
    file: BucketFile


def snapshots_folder(store: StoreLike) -> Place:
    return resolve(store) / "snapshots"


def current_path(store: StoreLike) -> Place:
    """The file that names the current snapshot."""
    return snapshots_folder(store) / "current.json"


def snapshot_folder(store: StoreLike, snapshot_id: str) -> Place:
    return snapshots_folder(store) / snapshot_id


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
    path = _bucket_path(folder, bucket)
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
    write_json(_marker_path(folder, bucket), asdict(done), is_durable=False)
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
        values = json.loads(_marker_path(folder, bucket).read_bytes())
        done = DoneBucket(inputs_digest=values["inputs_digest"], device=values["device"], file=BucketFile(**values["file"]))
        data = _bucket_path(folder, bucket).read_bytes()
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None  # not finished, or not to be trusted: either way it is scored again
    is_of_these_inputs = done.inputs_digest == inputs.digest and done.file.bucket == bucket
    return done if is_of_these_inputs and done.file.checksum == checksum_bytes(data) else None


def commit(
    store: StoreLike,
    inputs: SnapshotInputs,
    done: Sequence[DoneBucket],
    *,
    executor: str,
    activity: RecentActivity | None = None,
) -> SnapshotManifest:
    """Write the manifest and make the snapshot the current one.

    done     : one per bucket, their files durable
    activity : of the chain; without it nobody can tell reasons
    raises   : IntegrityError, if a bucket is missing or given twice, or a file has not the size with which it was written
    """
    ordered = sorted(done, key=lambda entry: entry.file.bucket)
    if [entry.file.bucket for entry in ordered] != list(range(inputs.num_buckets)):
        raise IntegrityError(f"found {len(ordered)} finished buckets, expected each of {inputs.num_buckets} once; {MEND}")
    manifest = SnapshotManifest(
        snapshot_id=inputs.snapshot_id,
        inputs=inputs,
        num_customers=sum(entry.file.num_customers for entry in ordered),
        device="+".join(sorted({entry.device for entry in ordered})),
        executor=executor,
        files=tuple(entry.file for entry in ordered),
        activity=activity,
    )
    folder = snapshot_folder(store, manifest.snapshot_id)
    _check_presence(folder, manifest)
    for unfinished in folder.glob(".*.tmp"):  # of a worker that was killed while it wrote
        unfinished.unlink(missing_ok=True)
    write_json(manifest_path(folder), manifest.to_json())
    set_current(store, manifest.snapshot_id)
    return manifest


def set_current(store: StoreLike, snapshot_id: str) -> None:
    """Point at a committed snapshot; a running server takes it up within seconds.

    raises : IntegrityError, if the snapshot was removed meanwhile
    """
    try:
        before = read_pointer(store) or {}
    except IntegrityError:
        before = {}  # a damaged pointer: this is what mends it
    before_id = before.get("previous_id" if before.get("snapshot_id") == snapshot_id else "snapshot_id")
    pointer = _pointer(store, snapshot_id, previous_id=before_id)
    # The same pointer is not written again, so that a rerun that has nothing to do makes no server reload.
    if before != pointer:
        write_json(current_path(store), pointer)


def renew_pointer(store: StoreLike, snapshot_id: str, *, previous_id: str | None, has_hash: bool = True) -> None:
    """Write the pointer though it may be the same: servers then open the snapshot anew, and let go of the one before.

    has_hash : False for the moment in which its manifest is replaced; both will do then
    """
    write_json(current_path(store), _pointer(store, snapshot_id, previous_id=previous_id, has_hash=has_hash))


def open_current(store: StoreLike) -> Snapshot:
    """The current snapshot, every byte of it checked.

    raises : NoSnapshotError, IntegrityError naming the file
    """
    pointer = read_pointer(store)
    if pointer is None:
        raise no_snapshot_error(store)
    snapshot_id = pointer.get("snapshot_id")
    if not isinstance(snapshot_id, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", snapshot_id):
        raise IntegrityError(f"{current_path(store)} names no snapshot (found {snapshot_id!r}); {MEND}")
    return open_snapshot(store, snapshot_id, manifest_sha256=pointer.get("manifest_sha256"))


def no_snapshot_error(store: StoreLike) -> NoSnapshotError:
    """What a store without a snapshot answers."""
    return NoSnapshotError(f"{store} holds no snapshot; run: ebbtide rescore --store {store} --as-of DATE")


def open_snapshot(store: StoreLike, snapshot_id: str, *, manifest_sha256: str | None = None) -> Snapshot:
    """A committed snapshot by its id; each file's size, hash and schema are checked before a value of it is used.

    raises : IntegrityError naming the file
    """
    folder = snapshot_folder(store, snapshot_id)
    manifest = read_manifest(manifest_path(folder), expected_sha256=manifest_sha256)
    schema = snapshot_schema(len(manifest.inputs.edges_days), manifest.inputs.state_size)
    if not is_remote(folder):
        return Snapshot(manifest, [_open_bucket(folder, file, schema) for file in manifest.files])
    # The whole snapshot into memory, several files at once: an endpoint is far away, and answers many.
    with ThreadPoolExecutor(_NUM_FETCHES) as threads:
        return Snapshot(manifest, list(threads.map(lambda file: _open_bucket(folder, file, schema), manifest.files)))


def open_bucket(store: StoreLike, manifest: SnapshotManifest, bucket: int) -> pa.RecordBatch:
    """One bucket of a committed snapshot, checked in the same way, for who goes through them one by one.

    raises : IntegrityError naming the file
    """
    return open_bucket_file(snapshot_folder(store, manifest.snapshot_id), manifest.files[bucket], manifest.inputs)


def read_pointer(store: StoreLike) -> dict[str, Any] | None:
    """What the pointer holds; None where there is none.

    raises : IntegrityError
    """
    path = current_path(store)
    try:
        pointer = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise IntegrityError(f"{path} is not JSON ({error}); {MEND}") from error
    if not isinstance(pointer, dict):
        raise IntegrityError(f"{path} holds {type(pointer).__name__}, expected an object; {MEND}")
    return pointer


def open_bucket_file(folder: Place, file: BucketFile, inputs: SnapshotInputs) -> pa.RecordBatch:
    """One file of a committed snapshot, as checked as `open_snapshot` checks all of them.

    inputs : of any snapshot of the same bundle
    raises : IntegrityError naming the file
    """
    return _open_bucket(folder, file, snapshot_schema(len(inputs.edges_days), inputs.state_size))


def manifest_path(folder: Place) -> Place:
    """The file that commits the snapshot of a folder."""
    return folder / "manifest.json"


def _bucket_path(folder: Place, bucket: int) -> Place:
    return folder / f"bucket={bucket:04d}.arrow"


def _marker_path(folder: Place, bucket: int) -> Place:
    return folder / f"bucket={bucket:04d}.done.json"


def _check_presence(folder: Place, manifest: SnapshotManifest) -> None:
    """Sizes only: each file was hashed when it was written, or taken up again."""
    sizes = sizes_below(folder) if isinstance(folder, RemotePath) else None
    for file in manifest.files:
        num_bytes = sizes.get(file.path) if sizes is not None else size_of(folder / file.path)
        if num_bytes != file.num_bytes:
            raise IntegrityError(
                f"{folder / file.path} has {num_bytes or 'no'} bytes, expected {file.num_bytes}: it was removed or changed "
                f"while the others were scored; {MEND}"
            )


def _pointer(store: StoreLike, snapshot_id: str, *, previous_id: str | None, has_hash: bool = True) -> dict[str, Any]:
    pointer: dict[str, Any] = {"snapshot_id": snapshot_id}
    if has_hash:
        path = manifest_path(snapshot_folder(store, snapshot_id))
        try:
            pointer["manifest_sha256"] = sha256_bytes(path.read_bytes())
        except FileNotFoundError:
            raise IntegrityError(f"{path} is absent; {MEND}") from None
    if isinstance(previous_id, str) and previous_id != snapshot_id:
        pointer["previous_id"] = previous_id
    return pointer


def _encode(batch: pa.RecordBatch) -> pa.Buffer:
    """The bytes of a file, in one piece of memory of the right size: one that grows would be copied again and again."""
    counted = pa.MockOutputStream()
    with pa.ipc.new_file(counted, batch.schema) as writer:
        writer.write_batch(batch)
    data = pa.allocate_buffer(counted.size())
    with pa.FixedSizeBufferWriter(data) as sink, pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return data


def _open_bucket(folder: Place, file: BucketFile, schema: pa.Schema) -> pa.RecordBatch:
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
