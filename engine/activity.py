"""The chain's own pulse: orders per day over all customers, so that a model can tell a quiet season from a quiet customer."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from engine.partition import Partition

_DAYS_OF_YEAR = 364
# What the days of a season are compared with: those before them, which are also what a customer's recent numbers speak of.
SEASON_BASE_DAYS = 91
# Of the log of true ratios from one time of the year to another, beforehand: by a third, up or down.
_SEASON_VARIANCE = 0.3**2


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

    def season_ahead(
        self, as_of_us: NDArray[np.int64], num_days: int, *, known_until_us: int | None = None
    ) -> NDArray[np.float64]:
        """What the year before says of the days to come: the log of how much busier they were than the quarter before them.

        as_of_us       : int64[num_queries]
        num_days       : so many days from the day of each instant on
        known_until_us : for instants of the past: where the year before is not known, the year after may tell, up to there
        returns        : float64[num_queries]; NaN where neither year is known

        Years are of 52 weeks, so that weekdays meet weekdays. Of the year before, only days before the instant count. Where
        there were few orders the ratio is chance for the most part, and comes out nearer to 0.
        """
        total = np.concatenate(([0], np.cumsum(self.num_orders)))
        day = np.asarray(as_of_us) // DAY_US - self.first_day
        last_year = self._season(total, day - _DAYS_OF_YEAR, num_days, known_days=np.minimum(day, len(self.num_orders)))
        if known_until_us is None:
            return last_year
        known_days = min(known_until_us // DAY_US - self.first_day, len(self.num_orders))
        next_year = self._season(total, day + _DAYS_OF_YEAR, num_days, known_days=np.full(np.shape(day), known_days))
        return np.where(np.isnan(last_year), next_year, last_year)

    @staticmethod
    def _season(
        total: NDArray[np.int64], day: NDArray[np.int64], num_days: int, *, known_days: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """total : int64[num_days + 1], of all orders before each day; day, known_days : counted from the first entry"""
        is_known = (day - SEASON_BASE_DAYS >= 0) & (day + num_days <= known_days)
        begin, middle, end = (np.where(is_known, at, 0) for at in (day - SEASON_BASE_DAYS, day, day + num_days))
        ratio = _season_ratio(total[middle] - total[begin], total[end] - total[middle], num_days, np.log)
        return np.where(is_known, ratio, np.nan)

    def seasons_ahead(self, as_of_us: int, windows_days: Sequence[int]) -> list[float]:
        """`season_ahead` of one instant for some numbers of days, for a live score."""
        day = as_of_us // DAY_US - self.first_day
        last_year, num_known = day - _DAYS_OF_YEAR, min(day, len(self.num_orders))
        if last_year < SEASON_BASE_DAYS or last_year + min(windows_days) > num_known:
            return [math.nan] * len(windows_days)
        orders = self.num_orders[last_year - SEASON_BASE_DAYS : last_year + max(windows_days)].tolist()
        before = sum(orders[:SEASON_BASE_DAYS])
        return [
            _season_ratio(before, sum(orders[SEASON_BASE_DAYS : SEASON_BASE_DAYS + num_days]), num_days, math.log)
            if last_year + num_days <= num_known
            else math.nan
            for num_days in windows_days
        ]

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


def _season_ratio(before: Any, ahead: Any, num_days: int, log: Callable[[Any], Any]) -> Any:
    """The log of the ratio of two daily means, trusted as far as its orders go.

    before, ahead : orders of SEASON_BASE_DAYS, and of num_days; numbers, or arrays of them, as `log` takes them
    """
    before, ahead = before + 0.5, ahead + 0.5
    trust = _SEASON_VARIANCE / (_SEASON_VARIANCE + 1.0 / ahead + 1.0 / before)
    return trust * (log(ahead / num_days) - log(before / SEASON_BASE_DAYS))


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
