"""The chain's own pulse: orders per day over all customers, so that a model can tell a quiet season from a quiet customer."""

from __future__ import annotations

from collections.abc import Iterable
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
        if len(as_of_us) == 1:  # a live score, which would wait for the sum over all days
            return self._orders_before_one(int(as_of_us[0]), window_days)
        total = np.concatenate(([0], np.cumsum(self.num_orders)))  # (num_days + 1,)
        stop = np.clip(np.asarray(as_of_us) // DAY_US - self.first_day, 0, len(self.num_orders))
        start = np.maximum(stop - window_days, 0)
        num_days = stop - start
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.where(num_days > 0, (total[stop] - total[start]) / num_days, np.nan)

    def _orders_before_one(self, as_of_us: int, window_days: int) -> NDArray[np.float64]:
        stop = min(max(as_of_us // DAY_US - self.first_day, 0), len(self.num_orders))
        start = max(stop - window_days, 0)
        return np.array([self.num_orders[start:stop].sum() / (stop - start) if stop > start else np.nan])

    def before(self, as_of_us: int, num_days: int) -> DailyActivity:
        """Of the last `num_days` days before the day of an instant: all that `orders_before` looks at there for such windows."""
        stop = int(np.clip(as_of_us // DAY_US - self.first_day, 0, len(self.num_orders)))
        start = max(stop - num_days, 0)
        return DailyActivity(first_day=self.first_day + start, num_orders=self.num_orders[start:stop])


def measure_activity(partitions: Iterable[Partition], *, before_us: int | None = None) -> DailyActivity:
    """Count the orders per day of all partitions, only those strictly before an instant if one is given."""
    days = [partition.timestamp_us[_visible(partition, before_us)] // DAY_US for partition in partitions]
    days = [part for part in days if len(part)]
    if not days:
        return DailyActivity(first_day=0, num_orders=np.zeros(0, np.int64))
    first_day = int(min(part.min() for part in days))
    num_days = int(max(part.max() for part in days)) - first_day + 1
    num_orders = np.zeros(num_days, np.int64)
    for part in days:
        num_orders += np.bincount(part - first_day, minlength=num_days)
    return DailyActivity(first_day=first_day, num_orders=num_orders)


def _visible(partition: Partition, before_us: int | None) -> NDArray[np.bool_]:
    if before_us is None:
        return partition.is_purchase
    return partition.is_purchase & (partition.timestamp_us < before_us)
