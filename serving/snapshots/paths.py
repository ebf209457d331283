"""Where snapshots lie.

store/snapshots/current.json                     which snapshot is served, and which was before it; replaced atomically
store/snapshots/<id>/bucket=0000.arrow           Arrow IPC file of one record batch, uncompressed
store/snapshots/<id>/bucket=0000.done.json       its hash, written after it: the bucket need not be scored again
store/snapshots/<id>/manifest.json               written last: without it there is no snapshot
"""

from __future__ import annotations

from engine.storage import Place, StoreLike, resolve


def snapshots_folder(store: StoreLike) -> Place:
    return resolve(store) / "snapshots"


def current_path(store: StoreLike) -> Place:
    """The file that names the current snapshot."""
    return snapshots_folder(store) / "current.json"


def snapshot_folder(store: StoreLike, snapshot_id: str) -> Place:
    return snapshots_folder(store) / snapshot_id


def manifest_path(folder: Place) -> Place:
    """The file that commits the snapshot of a folder."""
    return folder / "manifest.json"


def bucket_path(folder: Place, bucket: int) -> Place:
    """The file of a bucket, as it is first written; one that was written anew is named by the manifest."""
    return folder / f"bucket={bucket:04d}.arrow"


def marker_path(folder: Place, bucket: int) -> Place:
    """The file that says that a bucket is done."""
    return folder / f"bucket={bucket:04d}.done.json"
