"""Committed snapshots: made the current one, and opened with every byte checked."""

from __future__ import annotations

import re
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from engine.errors import IntegrityError, NoSnapshotError
from engine.storage import Place, RemotePath, StoreLike, is_remote, size_of, sizes_below, write_json
from serving.snapshots.bucket_files import DoneBucket, open_bucket_file
from serving.snapshots.manifest import MEND, BucketFile, RecentActivity, SnapshotInputs, SnapshotManifest, read_manifest
from serving.snapshots.paths import current_path, manifest_path, snapshot_folder
from serving.snapshots.pointer import read_pointer, set_current
from serving.snapshots.snapshot import Snapshot

_NUM_FETCHES = 8


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

    def open_file(file: BucketFile) -> pa.RecordBatch:
        return open_bucket_file(folder, file, manifest.inputs)

    if not is_remote(folder):
        return Snapshot(manifest, list(map(open_file, manifest.files)))
    # The whole snapshot into memory, several files at once: an endpoint is far away, and answers many.
    with ThreadPoolExecutor(_NUM_FETCHES) as threads:
        return Snapshot(manifest, list(threads.map(open_file, manifest.files)))


def open_bucket(store: StoreLike, manifest: SnapshotManifest, bucket: int) -> pa.RecordBatch:
    """One bucket of a committed snapshot, checked in the same way, for who goes through them one by one.

    raises : IntegrityError naming the file
    """
    return open_bucket_file(snapshot_folder(store, manifest.snapshot_id), manifest.files[bucket], manifest.inputs)


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
