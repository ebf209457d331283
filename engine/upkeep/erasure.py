"""Erasure: a customer leaves the history, the quarantine and the names of the sources, and no list of names is kept.

The parts that hold the customer are written anew and removed at once, those kept for readers of the state before included:
whoever has them open still sees them, and nobody can open them again.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from engine.errors import InvalidArgumentError, NoHistoryError
from engine.files import is_utf8
from engine.hashing import bucket_of
from engine.history import HISTORY_FOLDER
from engine.history.events import BucketEvents
from engine.history.folding import fold
from engine.history.manifest import MANIFEST_NAME, Manifest, PartRecord, SourceRecord, read_manifest, write_manifest
from engine.history.parts import check_part, read_events, write_part
from engine.history.totals import measure_events
from engine.ingest.quarantine import QUARANTINE_FOLDER, erase_rows, short_hash
from engine.ingest.staging import Desk, collect_garbage, writing
from engine.sources.identifiers import mentions
from engine.storage import Delivery, Place, StoreLike, remove_tree, resolve, sync

_ERASED_NAME = "(erased)"


@dataclass(frozen=True, kw_only=True, slots=True)
class HistoryErasure:
    """What was erased.

    num_events           : of the customer, as the history counted them
    num_quarantined_rows : bad rows of the customer
    num_source_names     : names of source files, and of their quarantine files, that spoke of the customer
    """

    num_events: int
    num_quarantined_rows: int
    num_source_names: int

    @property
    def found_any(self) -> bool:
        return bool(self.num_events or self.num_quarantined_rows or self.num_source_names)


def erase_from_history(store: StoreLike, customer_id: str) -> HistoryErasure:
    """Erase a customer; a killed erasure is done by running it again.

    raises : InvalidArgumentError for an id that is blank or no text, StoreBusyError, IntegrityError
    """
    if not customer_id.strip() or not is_utf8(customer_id):
        raise InvalidArgumentError("CUSTOMER_ID", f"found {customer_id!r}, expected the id of a customer, UTF-8 text")
    history = resolve(store) / HISTORY_FOLDER
    if not history.is_dir():
        return HistoryErasure(num_events=0, num_quarantined_rows=0, num_source_names=0)
    with writing(history) as desk:
        try:
            present, _ = read_manifest(history)
        except NoHistoryError:
            present = None
            _remove_orphans(history, customer_id)
        num_rows = erase_rows(history, customer_id, _customer_columns(() if present is None else present.sources))
        num_names = _rename_quarantine(history, customer_id)
        num_events = 0
        if present is not None:
            num_events, manifest = _without(history, desk.staging, present, customer_id)
            sources = tuple(_unnamed(source, customer_id) for source in manifest.sources)
            num_names += sum(new != old for new, old in zip(sources, manifest.sources, strict=True))
            _commit(desk, present, dataclasses.replace(manifest, sources=sources))
    return HistoryErasure(num_events=num_events, num_quarantined_rows=num_rows, num_source_names=num_names)


def _without(history: Place, staging: Path, present: Manifest, customer_id: str) -> tuple[int, Manifest]:
    """(events of the customer, the manifest of the parts that are left)."""
    bucket = int(bucket_of(pa.array([customer_id], pa.string()), present.num_buckets)[0])
    buckets = present.parts_by_bucket()
    stored = [read_events(history, part) for part in buckets.get(bucket, ())]
    if not any(_row_of(one, customer_id) is not None for one in stored):
        return 0, present
    for part in buckets[bucket]:
        check_part(history, part)  # else damage would get a hash that fits it
    events = fold(stored)
    is_left = events.customer != _row_of(events, customer_id)
    totals = {one.bucket: one for one in present.totals}
    if is_left.any():
        left = events.take(np.flatnonzero(is_left))
        with Delivery() as delivery:
            rewritten: tuple[PartRecord, ...] = (write_part(history, staging, bucket, left, delivery),)
            delivery.wait()
        buckets[bucket] = rewritten
        totals[bucket] = measure_events(bucket, left)
    else:
        del buckets[bucket], totals[bucket]
    manifest = dataclasses.replace(
        present,
        num_forgotten=present.num_forgotten + 1,
        parts=tuple(part for number in sorted(buckets) for part in buckets[number]),
        totals=tuple(totals[number] for number in sorted(totals)),
    )
    return int((~is_left).sum()), manifest


def _commit(desk: Desk, present: Manifest, manifest: Manifest) -> None:
    history = desk.history
    desk.check(present)
    if not manifest.parts:
        # Nobody is left: the store holds no history, as before its first ingest.
        (history / MANIFEST_NAME).unlink()
        sync(history)
        for folder in history.glob("bucket=*"):
            remove_tree(folder)
        return
    if manifest != present:
        write_manifest(history, manifest)
        desk.check(manifest)
    # Also after an erasure that was killed before this, and so has nothing else left to do.
    collect_garbage(history, manifest, None)
    for folder in {path.parent for path in history.glob("bucket=*/*")}:
        sync(folder)


def _remove_orphans(history: Place, customer_id: str) -> None:
    """Without a manifest no part is history, but an erasure may have been killed just then."""
    for path in history.glob("bucket=*/*.customers.arrow"):
        if customer_id.encode() in path.read_bytes():
            path.unlink()
            path.with_name(path.name.replace(".customers.", ".events.")).unlink(missing_ok=True)
            sync(path.parent)


def _row_of(events: BucketEvents, customer_id: str) -> int | None:
    index = pc.index(events.customer_ids, customer_id).as_py()
    return None if index < 0 else int(index)


def _customer_columns(sources: Iterable[SourceRecord]) -> dict[str, str]:
    return {short_hash(source.sha256): source.mapping["customer_id"] for source in sources}


def _unnamed(source: SourceRecord, customer_id: str) -> SourceRecord:
    return dataclasses.replace(source, name=_ERASED_NAME) if mentions(source.name, customer_id) else source


def _rename_quarantine(history: Place, customer_id: str) -> int:
    """Take the customer out of the names of quarantine files; what is left is the hash of the source."""
    num_renamed = 0
    for path in sorted((history / QUARANTINE_FOLDER).glob("*.csv")):
        stem, _, tail = path.stem.rpartition("-")
        if mentions(stem, customer_id):
            path.rename(path.with_name(f"erased-{tail}.csv"))
            num_renamed += 1
    if num_renamed:
        sync(history / QUARANTINE_FOLDER)
    return num_renamed
