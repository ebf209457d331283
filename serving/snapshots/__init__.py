"""The scores of the whole chain as of one instant: written bucket by bucket, committed by a manifest, opened memory-mapped."""

from serving.snapshots.bucket_files import DoneBucket, find_done, open_bucket_file, write_bucket
from serving.snapshots.committed import commit, no_snapshot_error, open_bucket, open_current, open_snapshot
from serving.snapshots.comparison import Comparison, Move, compare_snapshots
from serving.snapshots.erasure import SnapshotErasure, erase_from_snapshots
from serving.snapshots.exporting import ExportReport, export_snapshot
from serving.snapshots.listing import (
    SnapshotInfo,
    UnfinishedSnapshot,
    find_snapshot,
    list_snapshots,
    list_unfinished,
    open_previous,
)
from serving.snapshots.manifest import BucketFile, RecentActivity, SnapshotInputs, SnapshotManifest
from serving.snapshots.paths import current_path, snapshot_folder, snapshots_folder
from serving.snapshots.pointer import set_current
from serving.snapshots.pruning import Pruning, prune_snapshots
from serving.snapshots.schema import MEMORY_COLUMNS, snapshot_schema
from serving.snapshots.snapshot import Snapshot, floats, rhythms, survival

__all__ = [
    "MEMORY_COLUMNS",
    "BucketFile",
    "Comparison",
    "DoneBucket",
    "ExportReport",
    "Move",
    "Pruning",
    "RecentActivity",
    "Snapshot",
    "SnapshotErasure",
    "SnapshotInfo",
    "SnapshotInputs",
    "SnapshotManifest",
    "UnfinishedSnapshot",
    "commit",
    "compare_snapshots",
    "current_path",
    "erase_from_snapshots",
    "export_snapshot",
    "find_done",
    "find_snapshot",
    "floats",
    "list_snapshots",
    "list_unfinished",
    "no_snapshot_error",
    "open_bucket",
    "open_bucket_file",
    "open_current",
    "open_previous",
    "open_snapshot",
    "prune_snapshots",
    "rhythms",
    "set_current",
    "snapshot_folder",
    "snapshot_schema",
    "snapshots_folder",
    "survival",
    "write_bucket",
]
