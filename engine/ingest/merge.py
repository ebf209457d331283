"""Events that arrive meet those that are there: the same one again replaces the old one, unless nothing in it changed.

An event is known by customer, order key and kind. The kind belongs to it because goods often come back under the id of the
order that sold them, weeks later and in another file: the return joins the purchase and does not replace it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.history.events import BucketEvents, concatenate


@dataclass(frozen=True, kw_only=True, slots=True)
class MergeCounts:
    """Events that arrived, by what they did to the history."""

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
    """All events, sorted; where both have one, the arriving one.

    present, arriving : at most one event per customer, order key and kind in each
    """
    if present is None:
        return arriving.sorted(), MergeCounts(num_new=arriving.num_events)
    both = concatenate(present, arriving)
    is_arriving = np.arange(both.num_events) >= present.num_events
    columns = both.columns
    row = np.lexsort((is_arriving, columns["kind"], columns["order_key"], both.customer))

    # A present event that the row after it comes to replace: twins stand side by side, the arriving one second.
    has_twin = both.customer[row[1:]] == both.customer[row[:-1]]
    for name in ("order_key", "kind"):
        has_twin &= columns[name][row[1:]] == columns[name][row[:-1]]
    is_same = has_twin.copy()
    for values in columns.values():
        is_same &= values[row[1:]] == values[row[:-1]]

    num_twins, num_same = int(has_twin.sum()), int(is_same.sum())
    counts = MergeCounts(num_new=arriving.num_events - num_twins, num_replaced=num_twins - num_same, num_unchanged=num_same)
    return both.take(row[np.append(~has_twin, True)]).sorted(), counts
