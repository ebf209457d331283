"""Pruning: old snapshots go, and folders that nobody works on any more.

What stays whatever is asked for: the snapshot that is served, and the one that was served before it. Servers pin the latter for
walks over pages that began before the newest one; locally they have it mapped, and it outlives its files there, but over a
network file system it would not, and a server that is just reading the pointer opens it by name.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from engine.errors import InvalidArgumentError
from engine.storage import Place, StoreLike, remove_tree, sync, usage_of, writer_lock
from serving.snapshots.committed import no_snapshot_error
from serving.snapshots.listing import SnapshotInfo, UnfinishedSnapshot, list_snapshots, list_unfinished
from serving.snapshots.paths import manifest_path, snapshot_folder, snapshots_folder

DEFAULT_ABANDONED_AFTER_HOURS = 24.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Pruning:
    """What became of the snapshots of a store.

    kept      : those that stay, in the order of `list_snapshots`
    removed   : committed ones that went; those that cannot be read among them
    cleared   : unfinished ones that went
    working   : unfinished ones that stay, because somebody wrote there lately
    num_bytes : what went, on the disk; where a server has files mapped, they are freed when it lets go of them
    """

    kept: tuple[SnapshotInfo, ...]
    removed: tuple[SnapshotInfo, ...]
    cleared: tuple[UnfinishedSnapshot, ...]
    working: tuple[UnfinishedSnapshot, ...]
    num_bytes: int


def prune_snapshots(
    store: StoreLike,
    *,
    keep: int,
    abandoned_after_hours: float = DEFAULT_ABANDONED_AFTER_HOURS,
    is_rehearsal: bool = False,
) -> Pruning:
    """Keep the newest snapshots by as-of, the served one and the one before it; remove the others.

    keep                  : 1 or more; snapshots that cannot be read do not count, and go unless they are served
    abandoned_after_hours : an unfinished folder that nothing was written to for so long is nobody's
    is_rehearsal          : tell what would go, and remove nothing
    raises                : InvalidArgumentError, NoSnapshotError; StoreBusyError while a rescoring commits

    A removed snapshot loses its manifest first: killed at any moment, what is left of it is no snapshot, and is cleared by a
    later run, once it is old enough.
    """
    if keep < 1:
        raise InvalidArgumentError("keep", f"found {keep}, expected 1 or more")
    if abandoned_after_hours < 0:
        raise InvalidArgumentError("abandoned_after_hours", f"found {abandoned_after_hours}, expected 0 or more")
    folder = snapshots_folder(store)
    if not folder.is_dir():  # taking the lock would make it
        raise no_snapshot_error(store)
    with writer_lock(folder) as lock:
        infos = list_snapshots(store)
        newest = {info.snapshot_id for info in [info for info in infos if info.manifest][-keep:]}
        kept = [info for info in infos if info.snapshot_id in newest or info.is_current or info.is_previous]
        removed = [info for info in infos if info not in kept]
        unfinished = list_unfinished(store)
        last_s = time.time() - abandoned_after_hours * 3600
        cleared = [entry for entry in unfinished if entry.written_at_s <= last_s]
        num_bytes = sum(entry.num_bytes for entry in cleared)
        for info in removed:
            num_bytes += usage_of(snapshot_folder(store, info.snapshot_id))[0]
        if not is_rehearsal:
            for name in [*(info.snapshot_id for info in removed), *(entry.snapshot_id for entry in cleared)]:
                lock.check()
                _remove(snapshot_folder(store, name))
            sync(folder)
    return Pruning(
        kept=tuple(kept),
        removed=tuple(removed),
        cleared=tuple(cleared),
        working=tuple(entry for entry in unfinished if entry not in cleared),
        num_bytes=num_bytes,
    )


def _remove(folder: Place) -> None:
    manifest_path(folder).unlink(missing_ok=True)
    sync(folder)
    remove_tree(folder)
