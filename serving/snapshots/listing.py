"""Which snapshots a store holds: committed ones, the one of a name, and folders that no job has finished."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.errors import IntegrityError, InvalidArgumentError
from engine.storage import StoreLike, usage_of, written_at_s
from serving.snapshots.committed import no_snapshot_error, open_snapshot
from serving.snapshots.manifest import MEND, SnapshotManifest, read_manifest
from serving.snapshots.paths import manifest_path, snapshot_folder, snapshots_folder
from serving.snapshots.pointer import read_pointer
from serving.snapshots.snapshot import Snapshot

CURRENT, PREVIOUS = "current", "previous"

_NUM_NAMED = 5


@dataclass(frozen=True, kw_only=True, slots=True)
class SnapshotInfo:
    """One committed snapshot of a store, or the one that is served although its manifest is lost, for a listing."""

    snapshot_id: str
    is_current: bool  # the one that is served
    is_previous: bool  # the one that was served before it
    committed_at_s: float  # seconds since the epoch; an erasure commits anew. 0 where the manifest is lost
    manifest: SnapshotManifest | None  # None where it cannot be read
    problem: str  # why it cannot be read; else empty

    @property
    def num_bytes(self) -> int | None:
        """Bytes of its bucket files, as the manifest says; None where it cannot be read."""
        return sum(file.num_bytes for file in self.manifest.files) if self.manifest else None


@dataclass(frozen=True, kw_only=True, slots=True)
class UnfinishedSnapshot:
    """A folder without a manifest: somebody works there, or a job was killed, or a removal."""

    snapshot_id: str
    num_bytes: int
    written_at_s: float  # of the newest file in it, in seconds since the epoch


def list_snapshots(store: StoreLike) -> list[SnapshotInfo]:
    """Every committed snapshot by as-of, then by when it was committed; only manifests are read, not the files.

    Those that cannot be read come first, and before them the one that the pointer names, if its manifest is lost.
    raises : IntegrityError, if the pointer is damaged
    """
    pointer = read_pointer(store) or {}
    read = []
    for path in snapshots_folder(store).glob("*/manifest.json"):
        manifest, problem = None, ""
        try:
            committed_at_s = written_at_s(path)
            manifest = read_manifest(path)
        except FileNotFoundError:
            continue  # it was pruned at this moment
        except IntegrityError as error:
            problem = str(error)
        as_of_us = manifest.inputs.as_of_us if manifest else None
        read.append(((as_of_us is not None, as_of_us or 0, committed_at_s, path.parent.name), manifest, problem))
    read.sort(key=lambda entry: entry[0])
    ids = [snapshot_id for (*_, snapshot_id), _, _ in read]
    current_id = pointer.get("snapshot_id")
    if isinstance(current_id, str) and current_id not in ids:
        lost = manifest_path(snapshot_folder(store, current_id))
        read.insert(0, ((False, 0, 0.0, current_id), None, f"{lost} is absent; restore it, or {MEND}"))
    previous_id = pointer.get("previous_id")
    if previous_id not in ids:
        # A pointer of an older version names none: then it is the newest one that came before.
        before = ids[: ids.index(current_id)] if current_id in ids else []
        previous_id = before[-1] if before else None
    return [
        SnapshotInfo(
            snapshot_id=snapshot_id,
            is_current=snapshot_id == current_id,
            is_previous=snapshot_id == previous_id,
            committed_at_s=committed_at_s,
            manifest=manifest,
            problem=problem,
        )
        for (_, _, committed_at_s, snapshot_id), manifest, problem in read
    ]


def list_unfinished(store: StoreLike) -> list[UnfinishedSnapshot]:
    """Folders that no manifest commits, by id; not the one that the pointer names, which has lost its manifest.

    raises : IntegrityError, if the pointer is damaged
    """
    current_id = (read_pointer(store) or {}).get("snapshot_id")
    folders = [path for path in snapshots_folder(store).iterdir() if path.is_dir()] if snapshots_folder(store).is_dir() else []
    unfinished = []
    for folder in sorted(folders):
        if folder.name != current_id and not manifest_path(folder).exists():
            num_bytes, written_at = usage_of(folder)
            unfinished.append(UnfinishedSnapshot(snapshot_id=folder.name, num_bytes=num_bytes, written_at_s=written_at))
    return unfinished


def open_previous(store: StoreLike) -> Snapshot | None:
    """The snapshot that was served before the current one, every byte of it checked; None where there is none.

    raises : IntegrityError naming the file
    """
    previous_id = next((info.snapshot_id for info in list_snapshots(store) if info.is_previous), None)
    return None if previous_id is None else open_snapshot(store, previous_id)


def find_snapshot(store: StoreLike, name: str) -> SnapshotManifest:
    """The snapshot that a person means, by its manifest.

    name   : an id, the beginning of one, an as-of date, "current" or "previous"
    raises : NoSnapshotError where there is none at all; InvalidArgumentError, if the name fits none or several;
             IntegrityError, if its manifest cannot be read
    """
    infos = list_snapshots(store)
    if not infos:
        raise no_snapshot_error(store)
    if name == CURRENT:
        found = [info for info in infos if info.is_current]
    elif name == PREVIOUS:
        found = [info for info in infos if info.is_previous]
        if not found:
            raise InvalidArgumentError("snapshot", f"found no previous one: none was served before {infos[-1].snapshot_id}")
    else:
        # 2018-01-01 begins the ids of that day as 20180101.
        beginning = name.replace("-", "") if re.fullmatch(r"\d{4}-\d\d-\d\d", name) else name
        found = [info for info in infos if info.snapshot_id == name]
        found = found or [info for info in infos if beginning and info.snapshot_id.startswith(beginning)]
    if len(found) != 1:
        what = f"found {name!r}, with which {len(found)} ids begin" if found else f"found no snapshot {name!r}"
        shown = ", ".join(info.snapshot_id for info in (found or infos)[-_NUM_NAMED:])
        raise InvalidArgumentError("snapshot", f"{what}; expected current, previous, or the beginning of one id: {shown}")
    manifest = found[0].manifest
    if manifest is None:
        raise IntegrityError(found[0].problem)
    return manifest
