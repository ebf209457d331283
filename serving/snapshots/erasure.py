"""Erasure: a customer leaves every snapshot, and the others' scores stay what they are and stay served.

The bucket of the customer is written anew under another name, then the manifest that names it, then the pointer; a reader, or
a restart after a kill, finds a snapshot that opens at any moment. A snapshot that cannot be opened, and one that was never
committed, is dropped: what it holds nobody can tell.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from engine.errors import IntegrityError
from engine.hashing import bucket_of
from engine.history.events import find_text
from engine.storage import Place, StoreLike, remove_tree, sync, write_json, writer_lock
from serving.snapshots.bucket_files import write_bucket_anew
from serving.snapshots.committed import open_snapshot
from serving.snapshots.manifest import SnapshotManifest
from serving.snapshots.paths import current_path, manifest_path, snapshot_folder, snapshots_folder
from serving.snapshots.pointer import read_pointer, renew_pointer


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotErasure:
    """What became of the snapshots.

    rewritten : ids of those that held the customer
    dropped   : ids of those that cannot be opened, or were never finished
    """

    rewritten: tuple[str, ...]
    dropped: tuple[str, ...]


def erase_from_snapshots(store: StoreLike, customer_id: str) -> SnapshotErasure:
    """Erase a customer from every snapshot of a store; a killed erasure is done by running it again.

    raises : StoreBusyError while a rescoring commits
    """
    if not snapshots_folder(store).is_dir():
        return SnapshotErasure(rewritten=(), dropped=())
    with writer_lock(snapshots_folder(store)) as lock:
        rewritten, dropped = [], []
        current_id, previous_id = _named_by_pointer(store)
        for folder in sorted(path for path in snapshots_folder(store).iterdir() if path.is_dir()):
            lock.check()
            for temporary in folder.glob(".*.tmp"):
                temporary.unlink()
            try:
                is_changed = _erase(store, folder.name, customer_id, current_id, previous_id)
            except IntegrityError:
                remove_tree(folder)
                dropped.append(folder.name)
            else:
                rewritten += [folder.name] if is_changed else []
        lock.check()
        # The one before goes on being served where the current one had to go; servers open it anew, without the customer.
        whole = [
            one for one in (current_id, previous_id) if one is not None and manifest_path(snapshot_folder(store, one)).is_file()
        ]
        if whole:
            renew_pointer(store, whole[0], previous_id=whole[1] if len(whole) > 1 else None)
        elif current_id is not None:
            current_path(store).unlink()
        sync(snapshots_folder(store))
    return SnapshotErasure(rewritten=tuple(rewritten), dropped=tuple(dropped))


def _erase(store: StoreLike, snapshot_id: str, customer_id: str, current_id: str | None, previous_id: str | None) -> bool:
    """Whether the snapshot held the customer; the caller writes the pointer.

    raises : IntegrityError
    """
    folder = snapshot_folder(store, snapshot_id)
    snapshot = open_snapshot(store, snapshot_id)
    manifest = snapshot.manifest
    bucket = int(bucket_of(pa.array([customer_id], pa.string()), manifest.inputs.num_buckets)[0])
    batch = snapshot.files[bucket]
    row = find_text(batch.column("customer_id"), customer_id)
    if row >= 0:
        file = write_bucket_anew(folder, bucket, batch.take(pa.array(np.delete(np.arange(batch.num_rows), row))))
        files = tuple(file if old.bucket == bucket else old for old in manifest.files)
        manifest = dataclasses.replace(manifest, files=files, num_customers=sum(one.num_customers for one in files))
        if snapshot_id == current_id:
            renew_pointer(store, snapshot_id, previous_id=previous_id, has_hash=False)
        write_json(manifest_path(folder), manifest.to_json())
    _sweep(folder, manifest)
    return row >= 0


def _sweep(folder: Place, manifest: SnapshotManifest) -> None:
    """Remove the bucket files that the manifest does not name, and the markers that speak of them."""
    named = {file.path for file in manifest.files}
    for path in folder.glob("bucket=*.arrow"):
        if path.name not in named:
            path.unlink()
            path.with_suffix(".done.json").unlink(missing_ok=True)
    sync(folder)


def _named_by_pointer(store: StoreLike) -> tuple[str | None, str | None]:
    """The ids in the pointer, of the current snapshot and of the one before, whether they are there or not; else None."""
    try:
        pointer = read_pointer(store) or {}
    except IntegrityError:
        return None, None
    ids = (pointer.get("snapshot_id"), pointer.get("previous_id"))
    current_id, previous_id = (name if isinstance(name, str) else None for name in ids)
    return current_id, previous_id
