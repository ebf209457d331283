"""The scores of the whole chain as of one instant: written bucket by bucket, committed by a manifest, opened memory-mapped."""

from serving.snapshots.erasure import SnapshotErasure, erase_from_snapshots
from serving.snapshots.folder import (
    DoneBucket,
    SnapshotInfo,
    commit,
    current_path,
    find_done,
    list_snapshots,
    no_snapshot_error,
    open_current,
    open_snapshot,
    set_current,
    snapshot_folder,
    snapshots_folder,
    write_bucket,
)
from serving.snapshots.manifest import BucketFile, SnapshotInputs, SnapshotManifest
from serving.snapshots.schema import MEMORY_COLUMNS, snapshot_schema
from serving.snapshots.snapshot import Snapshot, floats, survival

__all__ = [
    "MEMORY_COLUMNS",
    "BucketFile",
    "DoneBucket",
    "Snapshot",
    "SnapshotErasure",
    "SnapshotInfo",
    "SnapshotInputs",
    "SnapshotManifest",
    "commit",
    "current_path",
    "erase_from_snapshots",
    "find_done",
    "floats",
    "list_snapshots",
    "no_snapshot_error",
    "open_current",
    "open_snapshot",
    "set_current",
    "snapshot_folder",
    "snapshot_schema",
    "snapshots_folder",
    "survival",
    "write_bucket",
]
