"""Storing: the spilled lines of each bucket as orders, and what is new among them as one more part of the bucket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from engine.bucket_walk import available_cores, walk_buckets
from engine.history.events import BucketEvents, concatenate
from engine.history.folding import fold
from engine.history.manifest import Manifest, PartRecord
from engine.history.parts import read_events, write_part
from engine.history.totals import BucketTotals, add_arrivals, measure_events
from engine.ingest.arrival import MergeCounts, meet
from engine.ingest.orders import Orders, aggregate_lines
from engine.ingest.spill import Spill
from engine.storage import Delivery, Place

# A bucket with more is folded: reading it costs about a tenth more for each.
MAX_PARTS = 8
# The first part is written anew once what came after it has grown to this share of it, so that folding costs little.
_LARGE_SHARE = 0.25
# Lines of the buckets that are under way on several threads: about 400 MB. A store that began small has large buckets.
_LINES_AT_ONCE = 1 << 21


@dataclass(frozen=True, kw_only=True, slots=True)
class Stored:
    """The history once everything is stored, and what the orders did.

    rounding_units : what rounding added, as in engine.ingest.orders.Orders
    """

    parts: tuple[PartRecord, ...]
    totals: tuple[BucketTotals, ...]
    counts: MergeCounts
    rounding_units: int


def store_orders(history: Place, staging: Path, spill: Spill, present: Manifest | None, on_rows: Callable[[int], None]) -> Stored:
    """Write a part for each bucket that something new came for; the buckets' other parts stay as they are.

    on_rows : called with the number of lines of each bucket
    """
    with Delivery() as delivery:
        stored = _store(history, staging, spill, present, on_rows, delivery)
        delivery.wait()
    return stored


def _store(
    history: Place,
    staging: Path,
    spill: Spill,
    present: Manifest | None,
    on_rows: Callable[[int], None],
    delivery: Delivery,
) -> Stored:
    parts = {} if present is None else present.parts_by_bucket()
    totals = {} if present is None else {bucket.bucket: bucket for bucket in present.totals}

    def settle(bucket: int) -> _Settled:
        lines = [aggregate_lines(piece) for piece in spill.pieces(bucket)]
        settled = _settle(history, staging, bucket, lines, parts.get(bucket, ()), totals.get(bucket), delivery)
        spill.remove(bucket)
        return settled

    buckets = spill.buckets()
    counts = MergeCounts()
    rounding_units = 0
    num_threads = min(available_cores(), max(1, _LINES_AT_ONCE // int(spill.num_lines.max(initial=1))))
    for bucket, settled in zip(buckets, walk_buckets(buckets, settle, num_threads=num_threads), strict=True):
        if settled.totals is not None:
            parts[bucket], totals[bucket] = settled.parts, settled.totals
        counts += settled.counts
        rounding_units += settled.rounding_units
        on_rows(int(spill.num_lines[bucket]))
    return Stored(
        parts=tuple(part for bucket in sorted(parts) for part in parts[bucket]),
        totals=tuple(totals[bucket] for bucket in sorted(totals)),
        counts=counts,
        rounding_units=rounding_units,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Settled:
    """A bucket after its lines; parts and totals as they were where nothing new came."""

    parts: tuple[PartRecord, ...]
    totals: BucketTotals | None
    counts: MergeCounts
    rounding_units: int


def _settle(
    history: Place,
    staging: Path,
    bucket: int,
    pieces: Sequence[Orders],
    parts: tuple[PartRecord, ...],
    totals: BucketTotals | None,
    delivery: Delivery,
) -> _Settled:
    arriving = pieces[0].events
    for piece in pieces[1:]:
        arriving = concatenate(arriving, piece.events)
    stored = [read_events(history, part) for part in parts]
    arrival = meet(stored, arriving)
    if arrival.events.num_events:
        stored.append(arrival.events)
        grown = (
            None
            if totals is None
            else add_arrivals(
                totals, arriving=arrival.events, num_new_customers=arrival.num_new_customers, replaced=arrival.replaced
            )
        )
        totals = measure_events(bucket, fold(stored)) if grown is None else grown
        kept, folded = _fold_if_many(stored)
        is_addition = kept > 0 and arrival.counts.num_replaced == 0 and all(part.is_addition for part in parts[kept:])
        written = write_part(history, staging, bucket, folded, delivery)
        parts = (*parts[:kept], replace(written, is_addition=is_addition))
    return _Settled(
        parts=parts, totals=totals, counts=arrival.counts, rounding_units=sum(piece.rounding_units for piece in pieces)
    )


def _fold_if_many(stored: Sequence[BucketEvents]) -> tuple[int, BucketEvents]:
    """(how many parts stay as they are, what becomes of the others and the newest, which is the last)."""
    if len(stored) <= MAX_PARTS:
        return len(stored) - 1, stored[-1]
    later = fold(stored[1:])
    if later.num_events < _LARGE_SHARE * stored[0].num_events:
        return 1, later
    return 0, fold((stored[0], later))
