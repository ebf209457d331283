"""Compaction: each bucket of several parts becomes one of a single part again, which readers map without a copy.

A history that has outgrown its buckets is split into more of them on the way. A customer of bucket b of n falls into b, b + n or
b + 2 n … of a multiple of n, so that each bucket is split by itself.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from engine.errors import InvalidArgumentError
from engine.hashing import bucket_of
from engine.history import HISTORY_FOLDER
from engine.history.events import BucketEvents
from engine.history.folding import fold
from engine.history.manifest import Manifest, read_manifest, write_manifest
from engine.history.parts import check_part, read_events, write_part
from engine.history.totals import measure_events
from engine.ingest.bucket_number import check_num_buckets
from engine.ingest.staging import collect_garbage, writing
from engine.storage import Delivery, Place, StoreLike, resolve


@dataclass(frozen=True, kw_only=True, slots=True)
class CompactionReport:
    """What a compaction did.

    manifest            : the history after it
    num_buckets_before  : fewer than now where it was split
    num_buckets_folded  : those that had several parts, or were split
    num_events_replaced : old versions of events that are gone
    """

    store: Place
    manifest: Manifest
    num_buckets_before: int
    num_buckets_folded: int
    num_parts_before: int
    num_events_replaced: int


def compact(
    store: StoreLike, *, num_buckets: int | None = None, progress: Callable[[int, int], None] | None = None
) -> CompactionReport:
    """Fold the parts of every bucket into one. The events stay what they are; a killed compaction leaves the old parts.

    num_buckets : a multiple of those that there are, to split the history into; None: as many as there are
    progress    : called with (buckets folded, buckets to fold)
    raises      : NoHistoryError, InvalidArgumentError, StoreBusyError, IntegrityError
    """
    check_num_buckets(num_buckets)
    store = resolve(store)
    history = store / HISTORY_FOLDER
    read_manifest(history)  # refuses before the lock makes a folder
    with writing(history) as desk:
        present, _ = read_manifest(history)
        wanted = present.num_buckets if num_buckets is None else num_buckets
        if wanted % present.num_buckets:
            problem = f"found {wanted}, expected a multiple of the {present.num_buckets} that {store} has"
            raise InvalidArgumentError("num_buckets", problem)
        is_split = wanted > present.num_buckets
        buckets = present.parts_by_bucket()
        chosen = [bucket for bucket, parts in buckets.items() if len(parts) > 1 or is_split]
        parts = {bucket: kept for bucket, kept in buckets.items() if bucket not in chosen}
        totals = {} if is_split else {one.bucket: one for one in present.totals}
        with Delivery() as delivery:
            for num_folded, bucket in enumerate(chosen, 1):
                for part in buckets[bucket]:
                    check_part(history, part)  # else damage would get a hash that fits it
                events = fold([read_events(history, part) for part in buckets[bucket]])
                for number, some in _split(events, wanted) if is_split else [(bucket, events)]:
                    parts[number] = (write_part(history, desk.staging, number, some, delivery),)
                    if is_split:
                        totals[number] = measure_events(number, some)
                if progress:
                    progress(num_folded, len(chosen))
            delivery.wait()
        manifest = dataclasses.replace(
            present,
            num_buckets=wanted,
            parts=tuple(part for number in sorted(parts) for part in parts[number]),
            totals=tuple(totals[number] for number in sorted(totals)),
        )
        if chosen:
            desk.check(present)
            write_manifest(history, manifest)
            desk.check(manifest)
            collect_garbage(history, manifest, present)
    return CompactionReport(
        store=store,
        manifest=manifest,
        num_buckets_before=present.num_buckets,
        num_buckets_folded=len(chosen),
        num_parts_before=len(present.parts),
        num_events_replaced=sum(part.num_events for part in present.parts) - sum(part.num_events for part in manifest.parts),
    )


def _split(events: BucketEvents, num_buckets: int) -> Iterator[tuple[int, BucketEvents]]:
    """The buckets into which the customers of one fall, ascending, each with its events in the order that they have."""
    bucket_of_event = bucket_of(events.customer_ids, num_buckets)[events.customer]
    for bucket in np.unique(bucket_of_event).tolist():
        yield bucket, events.take(np.flatnonzero(bucket_of_event == bucket))
