"""Compaction: each bucket of several parts becomes one of a single part again, which readers map without a copy."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from engine.history import HISTORY_FOLDER
from engine.history.folding import fold
from engine.history.manifest import Manifest, PartRecord, read_manifest, write_manifest
from engine.history.parts import check_part, read_events, write_part
from engine.ingest.staging import collect_garbage, writing
from engine.storage import Delivery, Place, StoreLike, resolve


@dataclass(frozen=True, kw_only=True, slots=True)
class CompactionReport:
    """What a compaction did.

    manifest            : the history after it
    num_buckets_folded  : those that had several parts
    num_events_replaced : old versions of events that are gone
    """

    store: Place
    manifest: Manifest
    num_buckets_folded: int
    num_parts_before: int
    num_events_replaced: int


def compact(store: StoreLike, *, progress: Callable[[int, int], None] | None = None) -> CompactionReport:
    """Fold the parts of every bucket into one. The events stay what they are; a killed compaction leaves the old parts.

    progress : called with (buckets folded, buckets to fold)
    raises   : NoHistoryError, StoreBusyError, IntegrityError
    """
    store = resolve(store)
    history = store / HISTORY_FOLDER
    read_manifest(history)  # refuses before the lock makes a folder
    with writing(history) as desk:
        present, _ = read_manifest(history)
        buckets = present.parts_by_bucket()
        several = [bucket for bucket, parts in buckets.items() if len(parts) > 1]
        folded: dict[int, PartRecord] = {}
        with Delivery() as delivery:
            for bucket in several:
                for part in buckets[bucket]:
                    check_part(history, part)  # else damage would get a hash that fits it
                events = fold([read_events(history, part) for part in buckets[bucket]])
                folded[bucket] = write_part(history, desk.staging, bucket, events, delivery)
                if progress:
                    progress(len(folded), len(several))
            delivery.wait()
        parts = tuple(part for bucket in sorted(buckets) for part in ((folded[bucket],) if bucket in folded else buckets[bucket]))
        manifest = dataclasses.replace(present, parts=parts)
        if several:
            desk.check(present)
            write_manifest(history, manifest)
            desk.check(manifest)
            collect_garbage(history, manifest, present)
    return CompactionReport(
        store=store,
        manifest=manifest,
        num_buckets_folded=len(several),
        num_parts_before=len(present.parts),
        num_events_replaced=sum(part.num_events for part in present.parts) - sum(part.num_events for part in parts),
    )
