"""The predecessor: the committed snapshot whose states a rescoring goes on from."""

from __future__ import annotations

import logging
from dataclasses import replace

from engine.errors import IntegrityError
from engine.storage import Place
from serving.snapshots import SnapshotInfo, SnapshotInputs, SnapshotManifest, list_snapshots

_logger = logging.getLogger(__name__)


def find_predecessor(store: Place, inputs: SnapshotInputs) -> SnapshotManifest | None:
    """The newest snapshot of the same bundle and buckets, as of the same instant or an earlier one; None where there is none.

    The history may have changed in whatever way: which states still hold is found out customer by customer. Of several of one
    instant the served one is taken. One that cannot be read is told of in a log line and passed over.
    """
    infos = _list(store)
    fitting = [info for info in infos if info.manifest is not None and _fits(info.manifest.inputs, inputs)]
    chosen = max(fitting, key=lambda info: (_as_of_us(info), info.is_current, info.snapshot_id), default=None)
    for info in infos:  # ids begin with the instant
        if info.manifest is None and (chosen is None or info.snapshot_id > chosen.snapshot_id):
            _logger.warning("not beginning from snapshot %s: %s", info.snapshot_id, info.problem)
    return None if chosen is None else chosen.manifest


def read_predecessor(store: Place, snapshot_id: str) -> SnapshotManifest | None:
    """The manifest of a snapshot that was begun from; None for an empty id, or where it is not there any more."""
    return next((info.manifest for info in _list(store) if snapshot_id and info.snapshot_id == snapshot_id), None)


def find_equal(store: Place, inputs: SnapshotInputs, *, full: bool) -> SnapshotInputs | None:
    """The inputs of a committed snapshot that answers the same question: equal but for what it began from.

    full : only one that began from nothing will do
    """
    for info in _list(store):
        if info.manifest is None:
            continue
        theirs = info.manifest.inputs
        if replace(theirs, begun_from="") == inputs and not (full and theirs.begun_from):
            return theirs
    return None


def _as_of_us(info: SnapshotInfo) -> int:
    return -1 if info.manifest is None else info.manifest.inputs.as_of_us


def _list(store: Place) -> list[SnapshotInfo]:
    try:
        return list_snapshots(store)
    except IntegrityError as error:  # of the pointer, which a new snapshot mends
        _logger.warning("reading every customer from the first event: %s", error)
        return []


def _fits(theirs: SnapshotInputs, ours: SnapshotInputs) -> bool:
    names = ("model_hash", "num_buckets", "state_size")
    return all(getattr(theirs, name) == getattr(ours, name) for name in names) and theirs.as_of_us <= ours.as_of_us
