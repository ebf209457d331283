"""Orders that arrive meet those that are there: an order that comes again replaces the old one, unless nothing in it changed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.events import BucketEvents, concatenate


@dataclass(frozen=True, kw_only=True, slots=True)
class MergeCounts:
    """Orders that arrived, each a customer and an order key, by what they did to the history."""

    num_new: int = 0
    num_replaced: int = 0
    num_unchanged: int = 0

    def __add__(self, other: MergeCounts) -> MergeCounts:
        return MergeCounts(
            num_new=self.num_new + other.num_new,
            num_replaced=self.num_replaced + other.num_replaced,
            num_unchanged=self.num_unchanged + other.num_unchanged,
        )


def merge_events(present: BucketEvents | None, arriving: BucketEvents) -> tuple[BucketEvents, MergeCounts]:
    """All events, sorted, in which the orders of `arriving` stand as they arrived.

    present, arriving : at most one event per customer, order key and kind in each
    """
    if present is None:
        keys = np.stack((arriving.customer.astype(np.uint64), arriving.columns["order_key"].astype(np.uint64)))
        return arriving.sorted(), MergeCounts(num_new=np.unique(keys, axis=1).shape[1])
    both = concatenate(present, arriving)
    is_arriving = np.arange(both.num_events) >= present.num_events
    columns = both.columns
    row = np.lexsort((is_arriving, columns["kind"], columns["order_key"], both.customer))
    customer, order_key, is_arriving = both.customer[row], columns["order_key"][row], is_arriving[row]

    starts_order = np.ones(len(row), bool)
    starts_order[1:] = (customer[1:] != customer[:-1]) | (order_key[1:] != order_key[:-1])
    order = np.cumsum(starts_order) - 1
    num_orders = int(order[-1]) + 1
    has_arriving = np.bincount(order, weights=is_arriving, minlength=num_orders) > 0
    has_present = np.bincount(order, weights=~is_arriving, minlength=num_orders) > 0

    # An event is confirmed where the row after it is its arriving twin: an order is unchanged if all its events pair up so.
    is_twin = ~starts_order[1:] & ~is_arriving[:-1] & is_arriving[1:]
    for values in columns.values():
        is_twin &= values[row[1:]] == values[row[:-1]]
    num_paired = 2 * np.bincount(order[1:], weights=is_twin, minlength=num_orders)
    is_unchanged = num_paired == np.bincount(order, minlength=num_orders)

    counts = MergeCounts(
        num_new=int((has_arriving & ~has_present).sum()),
        num_replaced=int((has_arriving & has_present & ~is_unchanged).sum()),
        num_unchanged=int(is_unchanged.sum()),
    )
    kept = row[is_arriving | ~has_arriving[order]]
    return both.take(kept).sorted(), counts
