"""Slow and obvious versions of what kernels and engine compute, in plain Python: what the fast ones are compared with."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, pstdev

import numpy as np
import pyarrow as pa

from engine.partition import Partition
from engine.schema import EventKind

DAY_US = 86_400_000_000
WEEK_US = 7 * DAY_US


def locate_instant(timestamp_us: Sequence[int], first: int, stop: int, as_of_us: int) -> int:
    """First row in [first, stop) at or after the instant, else stop."""
    for row in range(first, stop):
        if timestamp_us[row] >= as_of_us:
            return row
    return stop


def next_selected(timestamp_us: Sequence[int], selected: Sequence[bool], begin: int, stop: int) -> int:
    """Timestamp of the first selected row, or -1."""
    for row in range(begin, stop):
        if selected[row]:
            return timestamp_us[row]
    return -1


def rows_in_window(
    timestamp_us: Sequence[int], selected: Sequence[bool], begin: int, end: int, as_of_us: int, window_days: float
) -> list[int]:
    """Selected rows not older than the window."""
    return [row for row in range(begin, end) if selected[row] and as_of_us - timestamp_us[row] <= window_days * DAY_US]


def gap_statistics(
    timestamp_us: Sequence[int], selected: Sequence[bool], begin: int, end: int, as_of_us: int
) -> tuple[float, float, float, float, float, float]:
    """num_gaps, mean, std, longest, latest, elapsed; in days, NaN where undefined."""
    times = [timestamp_us[row] for row in range(begin, end) if selected[row]]
    gaps = [(later - earlier) / DAY_US for earlier, later in pairwise(times)]
    return (
        float(len(gaps)),
        fmean(gaps) if gaps else math.nan,
        pstdev(gaps) if len(gaps) > 1 else math.nan,
        max(gaps) if gaps else math.nan,
        gaps[-1] if gaps else math.nan,
        (as_of_us - times[-1]) / DAY_US if times else math.nan,
    )


def last_rows(begin: int, end: int, max_length: int) -> list[int]:
    """The rows that a sequence holds."""
    return list(range(begin, end))[-max_length:]


def active_weeks(times_us: Sequence[int], as_of_us: int, num_weeks: int) -> int:
    """Weeks with a time in them, counted back from the instant; a time on the border belongs to the later week."""
    weeks = {max(math.ceil((as_of_us - time_us) / WEEK_US), 1) for time_us in times_us}
    return sum(week <= num_weeks for week in weeks)


def ratio(part: float, whole: float) -> float:
    """part / whole, NaN unless whole is positive."""
    return part / whole if whole > 0 else math.nan


@dataclass(frozen=True, kw_only=True, slots=True)
class Order:
    """An event as a person would note it; money in minor units."""

    time_us: int
    kind: EventKind = EventKind.PURCHASE
    amount: int = 1000
    discount: int = 0
    num_lines: int = 1
    num_products: int = 1


def build_partition(customers: Sequence[Sequence[Order]]) -> Partition:
    """Customers' orders, each in order of time, as a partition of read-only arrays."""
    orders = [order for of_customer in customers for order in of_customer]
    nothing_known = np.full(len(orders), -1, np.int32)
    arrays = {
        "offsets": np.cumsum([0, *map(len, customers)], dtype=np.int64),
        "timestamp_us": np.array([order.time_us for order in orders], np.int64),
        "kind": np.array([order.kind for order in orders], np.uint8),
        "amount_minor": np.array([order.amount for order in orders], np.int64),
        "discount_minor": np.array([order.discount for order in orders], np.int64),
        "quantity_milli": np.full(len(orders), 1000, np.int64),
        "num_lines": np.array([order.num_lines for order in orders], np.int32),
        "num_products": np.array([order.num_products for order in orders], np.int32),
        "num_categories": np.zeros(len(orders), np.int32),
        "store_code": nothing_known,
        "channel_code": nothing_known,
        "rating_milli": nothing_known,
    }
    for array in arrays.values():
        array.flags.writeable = False
    names = pa.array([f"customer-{number:03d}" for number in range(len(customers))], pa.string())
    return Partition(customer_ids=names, store_names=[], channel_names=[], **arrays)


def indicators(orders: Sequence[Order], as_of_us: int) -> dict[str, float]:
    """Every indicator of one customer, from a plain list of orders."""
    seen = [order for order in orders if order.time_us < as_of_us]
    bought = [order for order in seen if order.kind == EventKind.PURCHASE]
    returned = [order for order in seen if order.kind == EventKind.RETURN]

    def within(events: Sequence[Order], days: float) -> list[Order]:
        return [event for event in events if as_of_us - event.time_us <= days * DAY_US]

    def num(days: float) -> int:
        return len(within(bought, days))

    def spend(days: float) -> float:
        return sum(order.amount for order in within(bought, days)) / 100

    first_of_day: dict[int, Order] = {}
    for order in bought:
        first_of_day.setdefault(order.time_us // DAY_US, order)
    visits = list(first_of_day.values())
    recent = within(bought, 90)
    discount = sum(abs(order.discount) for order in recent) / 100
    num_products = sum(order.num_products for order in recent)
    recency = (as_of_us - bought[-1].time_us) / DAY_US if bought else math.nan

    def gaps(events: Sequence[Order]) -> dict[str, float]:
        times = [event.time_us for event in events]
        columns = ("num_gaps", "mean", "std", "longest", "latest", "elapsed")
        return dict(zip(columns, gap_statistics(times, [True] * len(times), 0, len(times), as_of_us), strict=True))

    return {
        "recency_days": recency,
        "tenure_days": (as_of_us - bought[0].time_us) / DAY_US if bought else math.nan,
        **{f"orders_{days}d": num(days) for days in (7, 14, 30, 60, 90, 180, 365)},
        "orders_trend_30d": ratio(num(30), num(60)),
        "orders_trend_90d": ratio(num(90), num(180)),
        **{f"spend_{days}d": spend(days) for days in (30, 90, 365)},
        "spend_trend_30d": ratio(spend(30), spend(60)),
        **{f"gap_{name}_days": gaps(visits)[name] for name in ("mean", "std", "longest", "latest")},
        "gap_longest_90d_days": gaps(within(visits, 90))["longest"],
        "lateness": ratio(recency, gaps(visits)["mean"]),
        "basket_mean_90d": ratio(spend(90), num(90)),
        "basket_trend": ratio(ratio(spend(90), num(90)), ratio(spend(365), num(365))),
        "discount_share_90d": ratio(discount, spend(90) + discount),
        "returns_90d": len(within(returned, 90)),
        "return_rate_365d": ratio(len(within(returned, 365)), num(365)),
        "active_days_90d": len(within(visits, 90)),
        "active_weeks_13w": active_weeks([order.time_us for order in bought], as_of_us, 13),
        "lines_per_order_90d": ratio(sum(order.num_lines for order in recent), num(90)),
        "products_per_order_90d": ratio(num_products or math.nan, num(90)),
    }
