"""Totals of a bucket: exact, and kept up to date from what arrives and what it replaces, without reading the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.activity import DailyActivity, add_activities, count_orders
from engine.history.events import BucketEvents, exact_sum
from engine.schema import KIND_NAMES, ORDER_KINDS, EventKind

_ORDER_NAMES = tuple(kind.name.lower() for kind in ORDER_KINDS)

Columns = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, kw_only=True, slots=True)
class BucketTotals:
    """What a bucket holds, over all its parts: an event that a newer part replaces does not count.

    num_by_kind        : name of the kind -> events; only kinds that occur
    amount_minor_total : of purchases and returns, each with the sign that the source gave
    first_us_by_kind   : name of the kind -> instant of its first event; the same kinds
    last_order_us      : of purchases and returns; None where there are none, as in a bucket of visits
    purchases_by_day   : as `DailyActivity.to_text` writes them; None in a manifest that was made before they were kept
    """

    bucket: int
    num_customers: int
    num_by_kind: Mapping[str, int]
    amount_minor_total: int
    first_us_by_kind: Mapping[str, int]
    last_event_us: int
    last_order_us: int | None
    purchases_by_day: str | None = None

    @property
    def num_events(self) -> int:
        return sum(self.num_by_kind.values())

    @property
    def first_event_us(self) -> int:
        return min(self.first_us_by_kind.values())

    @property
    def first_order_us(self) -> int | None:
        """Of purchases and returns; None where there are none."""
        return min((self.first_us_by_kind[name] for name in _ORDER_NAMES if name in self.first_us_by_kind), default=None)


def measure_events(bucket: int, events: BucketEvents) -> BucketTotals:
    """The totals of events, one or more, none of which replaces another."""
    return _measure(bucket, len(events.customer_ids), events.columns)


def add_arrivals(
    totals: BucketTotals, *, arriving: BucketEvents, num_new_customers: int, replaced: Columns
) -> BucketTotals | None:
    """The totals once events have arrived.

    arriving : new events and new versions of old ones, one or more
    replaced : kind, amount_minor and timestamp_us of the old versions
    returns  : None where a replaced event was the first or last one, so that only measuring all events tells
    """
    added = _measure(totals.bucket, num_new_customers, arriving.columns)
    num_by_kind = {name: totals.num_by_kind.get(name, 0) + added.num_by_kind.get(name, 0) for name in KIND_NAMES}
    amount_minor_total = totals.amount_minor_total + added.amount_minor_total
    if len(replaced["kind"]):
        gone = _measure(totals.bucket, 0, replaced)
        if _holds_an_end(totals, gone):
            return None
        num_by_kind = {name: count - gone.num_by_kind.get(name, 0) for name, count in num_by_kind.items()}
        amount_minor_total -= gone.amount_minor_total
    purchases_by_day = None
    if totals.purchases_by_day is not None:
        grown = (DailyActivity.from_text(totals.purchases_by_day), _purchases(arriving.columns))
        purchases_by_day = add_activities(grown, less=(_purchases(replaced),)).to_text()
    return BucketTotals(
        bucket=totals.bucket,
        num_customers=totals.num_customers + num_new_customers,
        num_by_kind={name: count for name, count in num_by_kind.items() if count},
        amount_minor_total=amount_minor_total,
        first_us_by_kind={
            name: min(_known(totals.first_us_by_kind.get(name), added.first_us_by_kind.get(name)))
            for name in KIND_NAMES
            if num_by_kind[name]
        },
        last_event_us=max(totals.last_event_us, added.last_event_us),
        last_order_us=max(_known(totals.last_order_us, added.last_order_us), default=None),
        purchases_by_day=purchases_by_day,
    )


def _measure(bucket: int, num_customers: int, columns: Columns) -> BucketTotals:
    kind = columns["kind"]
    timestamp_us = columns["timestamp_us"].astype(np.int64, copy=False)
    is_order = np.isin(kind, ORDER_KINDS)
    orders_us = timestamp_us[is_order]
    num_by_kind = np.bincount(kind.astype(np.int64), minlength=max(EventKind) + 1)
    present = [one for one in EventKind if num_by_kind[one]]
    return BucketTotals(
        bucket=bucket,
        num_customers=num_customers,
        num_by_kind={one.name.lower(): int(num_by_kind[one]) for one in present},
        amount_minor_total=exact_sum(columns["amount_minor"][is_order].astype(np.int64, copy=False)),
        first_us_by_kind={one.name.lower(): int(timestamp_us[kind == one].min()) for one in present},
        last_event_us=int(timestamp_us.max()),
        last_order_us=int(orders_us.max()) if len(orders_us) else None,
        purchases_by_day=_purchases(columns).to_text(),
    )


def _purchases(columns: Columns) -> DailyActivity:
    timestamp_us = columns["timestamp_us"].astype(np.int64, copy=False)
    return count_orders(timestamp_us[columns["kind"] == EventKind.PURCHASE])


def _holds_an_end(totals: BucketTotals, gone: BucketTotals) -> bool:
    return (
        any(first_us == totals.first_us_by_kind[name] for name, first_us in gone.first_us_by_kind.items())
        or gone.last_event_us == totals.last_event_us
        or (gone.last_order_us is not None and gone.last_order_us == totals.last_order_us)
    )


def _known(*instants_us: int | None) -> list[int]:
    return [instant_us for instant_us in instants_us if instant_us is not None]
