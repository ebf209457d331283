"""Events that arrive meet those that are there: what is new, what replaces an old version, what changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.history.events import CODE_COLUMNS, NUMERIC_COLUMNS, BucketEvents
from engine.history.folding import find_twins
from engine.history.totals import Columns


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """What has to be stored of the events that arrived.

    events            : new ones and new versions, sorted; there may be none
    replaced          : columns of the old versions
    num_new_customers : of whom nothing was known
    """

    events: BucketEvents
    replaced: Columns
    num_new_customers: int
    counts: MergeCounts


def meet(parts: Sequence[BucketEvents], arriving: BucketEvents) -> Arrival:
    """Compare events that arrive with the parts of their bucket.

    parts    : the oldest first; of two versions of an event that in the newer part counts
    arriving : at most one version of each event
    """
    is_met = np.zeros(arriving.num_events, bool)
    is_same = np.zeros(arriving.num_events, bool)
    is_known = np.zeros(len(arriving.customer_ids), bool)
    replaced: list[dict[str, NDArray[np.generic]]] = []
    for part in reversed(parts):
        is_known |= np.asarray(pc.is_in(arriving.customer_ids, value_set=part.customer_ids))
        theirs, ours = find_twins(part, arriving)
        theirs, ours = theirs[~is_met[ours]], ours[~is_met[ours]]
        is_met[ours] = True
        is_equal = _are_equal(part, theirs, arriving, ours)
        is_same[ours] = is_equal
        replaced.append({name: part.columns[name][theirs[~is_equal]] for name in NUMERIC_COLUMNS})
    num_met, num_same = int(is_met.sum()), int(is_same.sum())
    return Arrival(
        events=(arriving.take(np.flatnonzero(~is_same)) if num_same else arriving).sorted(),
        replaced={
            name: np.concatenate([arriving.columns[name][:0], *(columns[name] for columns in replaced)])
            for name in NUMERIC_COLUMNS
        },
        num_new_customers=int((~is_known).sum()),
        counts=MergeCounts(num_new=arriving.num_events - num_met, num_replaced=num_met - num_same, num_unchanged=num_same),
    )


def _are_equal(
    first: BucketEvents, first_rows: NDArray[np.int64], second: BucketEvents, second_rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """bool[num_rows]: whether the rows agree in every column, names of stores and channels included."""
    is_equal = np.ones(len(first_rows), bool)
    for name in NUMERIC_COLUMNS:
        is_equal &= first.columns[name][first_rows] == second.columns[name][second_rows]
    for name in CODE_COLUMNS:
        known_as = np.asarray(pc.fill_null(pc.index_in(first.names[name], value_set=second.names[name]), -2))
        renumbered = np.append(known_as, -1)  # the last entry is where -1 points
        is_equal &= renumbered[first.columns[name][first_rows]] == second.columns[name][second_rows]
    return is_equal
