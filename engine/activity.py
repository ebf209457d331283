"""The chain's own pulse: orders per day over all customers, so that a model can tell a quiet season from a quiet customer."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from engine.partition import Partition


@dataclass(frozen=True, kw_only=True, slots=True)
class DailyActivity:
    """Orders of the whole chain per UTC day.

    first_day  : days since 1970 of the first entry
    num_orders : int64[num_days]
    """

    first_day: int
    num_orders: NDArray[np.int64]

    def orders_before(self, as_of_us: NDArray[np.int64], window_days: int) -> NDArray[np.float64]:
        """Mean orders a day over the `window_days` whole days before the day of each instant.

        as_of_us : int64[num_queries]
        returns  : float64[num_queries]; over the days that there are, NaN where there is none

        Only whole days strictly before the instant's own day count, so nothing at or after the instant is seen.
        """
        total = np.concatenate(([0], np.cumsum(self.num_orders)))  # (num_days + 1,)
        stop = np.clip(np.asarray(as_of_us) // DAY_US - self.first_day, 0, len(self.num_orders))
        start = np.maximum(stop - window_days, 0)
        num_days = stop - start
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(num_days > 0, (total[stop] - total[start]) / num_days, np.nan)

    def means_before(self, as_of_us: int, windows_days: Sequence[int]) -> list[float]:
        """`orders_before` of one instant for some windows; a live score would wait for the sum over all days."""
        stop = min(max(as_of_us // DAY_US - self.first_day, 0), len(self.num_orders))
        latest = self.num_orders[max(stop - max(windows_days), 0) : stop].tolist()
        shares = (latest[-window_days:] for window_days in windows_days)
        return [sum(days) / len(days) if days else math.nan for days in shares]

    def days_before(self, as_of_us: NDArray[np.int64]) -> NDArray[np.float64]:
        """Days from the first entry to each instant: how far back the log can be asked, at most as far as it is kept here.

        as_of_us : int64[num_queries]
        returns  : float64[num_queries]; negative for an instant before the first entry, inf where there is no entry at all
        """
        if len(self.num_orders) == 0:
            return np.full(np.shape(as_of_us), np.inf)
        return np.asarray(as_of_us) / DAY_US - self.first_day

    def before(self, as_of_us: int, num_days: int) -> DailyActivity:
        """Of the last `num_days` days before the day of an instant: all that `orders_before` looks at there for such windows.

        `days_before` of what comes back is right up to `num_days`, and is more than that wherever it was.
        """
        stop = int(np.clip(as_of_us // DAY_US - self.first_day, 0, len(self.num_orders)))
        start = max(stop - num_days, 0)
        return DailyActivity(first_day=self.first_day + start, num_orders=self.num_orders[start:stop])

    def to_text(self) -> str:
        """Such as "17167:2 0 1": the first day, then the counts; empty where there is none. Equal activities give equal texts."""
        return f"{self.first_day}:{' '.join(map(str, self.num_orders.tolist()))}" if len(self.num_orders) else ""

    @classmethod
    def from_text(cls, text: str) -> DailyActivity:
        """raises : ValueError for another text"""
        if not text:
            return cls(first_day=0, num_orders=np.zeros(0, np.int64))
        first_day, _, counts = text.partition(":")
        return cls(first_day=int(first_day), num_orders=np.array(counts.split(" "), np.int64))


def count_orders(timestamp_us: NDArray[np.int64]) -> DailyActivity:
    """The activity that orders of these instants make, in any order."""
    if len(timestamp_us) == 0:
        return DailyActivity(first_day=0, num_orders=np.zeros(0, np.int64))
    days = timestamp_us // DAY_US
    first_day = int(days.min())
    return DailyActivity(first_day=first_day, num_orders=np.bincount(days - first_day).astype(np.int64))


def add_activities(added: Iterable[DailyActivity], *, less: Iterable[DailyActivity] = ()) -> DailyActivity:
    """The sum, day by day, less what else is given; from the first day to the last one that has orders."""
    signed = [(sign, part) for sign, parts in ((1, added), (-1, less)) for part in parts if len(part.num_orders)]
    if not signed:
        return DailyActivity(first_day=0, num_orders=np.zeros(0, np.int64))
    first_day = min(part.first_day for _, part in signed)
    total = np.zeros(max(part.first_day + len(part.num_orders) for _, part in signed) - first_day, np.int64)
    for sign, part in signed:
        start = part.first_day - first_day
        total[start : start + len(part.num_orders)] += sign * part.num_orders
    busy = np.flatnonzero(total)
    if len(busy) == 0:
        return DailyActivity(first_day=0, num_orders=np.zeros(0, np.int64))
    return DailyActivity(first_day=first_day + int(busy[0]), num_orders=total[busy[0] : busy[-1] + 1])


def measure_activity(partitions: Iterable[Partition], *, before_us: int | None = None) -> DailyActivity:
    """Count the orders per day of all partitions, only those strictly before an instant if one is given."""
    return add_activities(count_orders(partition.timestamp_us[_visible(partition, before_us)]) for partition in partitions)


def _visible(partition: Partition, before_us: int | None) -> NDArray[np.bool_]:
    if before_us is None:
        return partition.is_purchase
    return partition.is_purchase & (partition.timestamp_us < before_us)
