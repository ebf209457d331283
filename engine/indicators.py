"""The named numbers that describe a customer as of an instant: one catalogue, one function for training, batch and live call.

Money is in major units and signed as in the source. A number that needs a purchase or a gap that is not there is NaN, never
0: models and people must tell "none" from "not known". Products are NaN, and discounts and returns 0, where the source has no
such field. Gaps and active days take the first purchase of each UTC day: two baskets of one visit are no rhythm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from engine.partition import Partition
from engine.schema import EventKind
from kernels import GAP_COLUMNS, gap_statistics, locate_instants, next_selected, window_counts, window_sums


@dataclass(frozen=True, kw_only=True, slots=True)
class Indicator:
    """A column of what `compute_indicators` returns."""

    name: str
    unit: str
    meaning: str


def _indicator(name: str, unit: str, meaning: str) -> Indicator:
    return Indicator(name=name, unit=unit, meaning=meaning)


# The order is that of the columns and part of every bundle: a change makes bundles trained before it unreadable.
INDICATORS: tuple[Indicator, ...] = (
    _indicator("recency_days", "days", "Time since the last purchase."),
    _indicator("tenure_days", "days", "Time since the first purchase."),
    _indicator("orders_7d", "orders", "Orders in the last 7 days."),
    _indicator("orders_14d", "orders", "Orders in the last 14 days."),
    _indicator("orders_30d", "orders", "Orders in the last 30 days."),
    _indicator("orders_60d", "orders", "Orders in the last 60 days."),
    _indicator("orders_90d", "orders", "Orders in the last 90 days."),
    _indicator("orders_180d", "orders", "Orders in the last 180 days."),
    _indicator("orders_365d", "orders", "Orders in the last 365 days."),
    _indicator("orders_trend_30d", "share", "Orders of the last 30 days as a share of those of the last 60."),
    _indicator("orders_trend_90d", "share", "Orders of the last 90 days as a share of those of the last 180."),
    _indicator("spend_30d", "major units", "Amount of the orders in the last 30 days."),
    _indicator("spend_90d", "major units", "Amount of the orders in the last 90 days."),
    _indicator("spend_365d", "major units", "Amount of the orders in the last 365 days."),
    _indicator("spend_trend_30d", "share", "Spend of the last 30 days as a share of that of the last 60."),
    _indicator("gap_mean_days", "days", "Mean time between days with a purchase."),
    _indicator("gap_std_days", "days", "Standard deviation of the times between days with a purchase."),
    _indicator("gap_longest_days", "days", "Longest time between two days with a purchase."),
    _indicator("gap_longest_90d_days", "days", "Longest time between two days with a purchase, both in the last 90 days."),
    _indicator("gap_latest_days", "days", "Time between the last two days with a purchase."),
    _indicator("lateness", "gaps", "Time since the last purchase, in mean gaps."),
    _indicator("basket_mean_90d", "major units per order", "Mean amount of an order in the last 90 days."),
    _indicator("basket_trend", "ratio", "Mean amount of an order in the last 90 days, over that in the last 365."),
    _indicator("discount_share_90d", "share", "Discount of the last 90 days, as a share of spend and discount."),
    _indicator("returns_90d", "returns", "Returns in the last 90 days."),
    _indicator("return_rate_365d", "returns per order", "Returns per order in the last 365 days."),
    _indicator("active_days_90d", "days", "Days with a purchase in the last 90 days."),
    _indicator("active_weeks_13w", "weeks", "Weeks with a purchase in the last 13 weeks, counted back from the instant."),
    _indicator("lines_per_order_90d", "lines per order", "Mean number of lines of an order in the last 90 days."),
    _indicator(
        "products_per_order_90d", "products per order", "Mean number of distinct products of an order in the last 90 days."
    ),
)
NUM_INDICATORS = len(INDICATORS)

_MINOR_PER_MAJOR = 100
_NUM_WEEKS = 13
_WEEKS_DAYS = np.arange(1.0, _NUM_WEEKS + 1) * 7
_ORDERS_DAYS = np.array([30.0, 60.0, 90.0, 180.0, 365.0])
_SPEND_DAYS = np.array([30.0, 60.0, 90.0, 365.0])
_QUARTER_DAYS = np.array([90.0])
_RETURNS_DAYS = np.array([90.0, 365.0])


def compute_indicators(
    partition: Partition,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64] | int,
    *,
    backend: str = "cpu",
) -> NDArray[np.float32]:
    """The indicators of each (customer, instant), from events strictly before the instant.

    customer_index : int64[num_queries], in any order, a customer as often as there are instants to ask about
    as_of_us       : int64[num_queries], or one instant for all
    returns        : float32[num_queries, NUM_INDICATORS], columns as in INDICATORS; computed in float64, and the same
                     bits for a query whatever else is asked with it
    raises         : ValueError for a customer that the partition does not have
    """
    events, customer = _events_of(partition, customer_index)
    instants_us = np.ascontiguousarray(np.broadcast_to(np.asarray(as_of_us, np.int64), customer.shape))
    begin = events.offsets[customer]
    end, begin_90d = (
        locate_instants(events.timestamp_us, events.offsets, customer, instants_us - ago_us, backend=backend)
        for ago_us in (0, 90 * DAY_US)
    )

    def counts(selected: NDArray[np.bool_], window_days: NDArray[np.float64]) -> NDArray[np.int32]:
        return window_counts(events.timestamp_us, selected, begin, end, instants_us, window_days, backend=backend)

    def sums(values: NDArray[np.int64], window_days: NDArray[np.float64]) -> NDArray[np.int64]:
        return window_sums(events.timestamp_us, values, is_purchase, begin, end, instants_us, window_days, backend=backend)

    def rhythm(selected: NDArray[np.bool_], begin: NDArray[np.int64]) -> dict[str, NDArray[np.float64]]:
        columns = gap_statistics(events.timestamp_us, selected, begin, end, instants_us, backend=backend)
        return dict(zip(GAP_COLUMNS, columns.T, strict=True))

    is_purchase = events.kind == EventKind.PURCHASE
    is_visit = _first_of_day(events, is_purchase)
    gaps = rhythm(is_visit, begin)
    recency = rhythm(is_purchase, begin)["elapsed"]
    first_us = next_selected(events.timestamp_us, is_purchase, begin, end, backend=backend)
    # one call for both, as two would walk the same rows twice
    windows = counts(is_purchase, np.concatenate((_WEEKS_DAYS, _ORDERS_DAYS)))
    weeks, orders = windows[:, :_NUM_WEEKS], windows[:, _NUM_WEEKS:]
    in_week = np.diff(weeks, axis=1, prepend=0) > 0  # (num_queries, _NUM_WEEKS), the latest week first
    orders_30d, orders_60d, orders_90d, orders_180d, orders_365d = orders.T
    spend_30d, spend_60d, spend_90d, spend_365d = sums(events.amount_minor, _SPEND_DAYS).T / _MINOR_PER_MAJOR
    discount_90d = sums(np.abs(events.discount_minor), _QUARTER_DAYS)[:, 0] / _MINOR_PER_MAJOR
    lines_90d = sums(events.num_lines.astype(np.int64), _QUARTER_DAYS)[:, 0]
    products_90d = sums(events.num_products.astype(np.int64), _QUARTER_DAYS)[:, 0]
    returns_90d, returns_365d = counts(events.kind == EventKind.RETURN, _RETURNS_DAYS).T
    basket_mean_90d = _ratio(spend_90d, orders_90d)

    columns = {
        "recency_days": recency,
        "tenure_days": np.where(np.isnan(recency), np.nan, (instants_us - first_us) / DAY_US),
        "orders_7d": weeks[:, 0],
        "orders_14d": weeks[:, 1],
        "orders_30d": orders_30d,
        "orders_60d": orders_60d,
        "orders_90d": orders_90d,
        "orders_180d": orders_180d,
        "orders_365d": orders_365d,
        "orders_trend_30d": _ratio(orders_30d, orders_60d),
        "orders_trend_90d": _ratio(orders_90d, orders_180d),
        "spend_30d": spend_30d,
        "spend_90d": spend_90d,
        "spend_365d": spend_365d,
        "spend_trend_30d": _ratio(spend_30d, spend_60d),
        "gap_mean_days": gaps["mean"],
        "gap_std_days": gaps["std"],
        "gap_longest_days": gaps["longest"],
        "gap_longest_90d_days": rhythm(is_visit, begin_90d)["longest"],
        "gap_latest_days": gaps["latest"],
        "lateness": _ratio(recency, gaps["mean"]),
        "basket_mean_90d": basket_mean_90d,
        "basket_trend": _ratio(basket_mean_90d, _ratio(spend_365d, orders_365d)),
        "discount_share_90d": _ratio(discount_90d, spend_90d + discount_90d),
        "returns_90d": returns_90d,
        "return_rate_365d": _ratio(returns_365d, orders_365d),
        "active_days_90d": counts(is_visit, _QUARTER_DAYS)[:, 0],
        "active_weeks_13w": in_week.sum(axis=1),
        "lines_per_order_90d": _ratio(lines_90d, orders_90d),
        "products_per_order_90d": _ratio(np.where(products_90d > 0, products_90d, np.nan), orders_90d),
    }
    indicators = np.empty((len(customer), NUM_INDICATORS), np.float32)
    for column, indicator in enumerate(INDICATORS):
        indicators[:, column] = columns[indicator.name]
    return indicators


@dataclass(frozen=True, kw_only=True, slots=True)
class _Events:
    """What indicators read of the customers asked for; columns as in Partition."""

    offsets: NDArray[np.int64]
    timestamp_us: NDArray[np.int64]
    kind: NDArray[np.uint8]
    amount_minor: NDArray[np.int64]
    discount_minor: NDArray[np.int64]
    num_lines: NDArray[np.int32]
    num_products: NDArray[np.int32]


def _events_of(partition: Partition, customer_index: NDArray[np.int64]) -> tuple[_Events, NDArray[np.int64]]:
    """The events of the customers asked for, and customer_index into them.

    A live call asks for one customer of a partition of many: what it costs must not grow with the others.
    """
    if len(customer_index) == 0:
        low, high = 0, 0
    else:
        low, high = int(np.min(customer_index)), int(np.max(customer_index)) + 1
    if low < 0 or high > partition.num_customers:
        raise ValueError(f"customer_index: found {low} to {high - 1}, expected 0 to {partition.num_customers - 1}")
    first, stop = partition.offsets[low], partition.offsets[high]
    rows: slice | NDArray[np.int64] = slice(first, stop)
    offsets = partition.offsets[low : high + 1] - first
    customer = np.asarray(customer_index, np.int64) - low
    if high - low > 2 * len(customer):  # far apart: gathering their rows beats reading all between
        wanted, customer = np.unique(customer, return_inverse=True)
        lengths = offsets[wanted + 1] - offsets[wanted]
        starts = first + offsets[wanted]
        offsets = np.concatenate((np.zeros(1, np.int64), np.cumsum(lengths)))
        rows = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    events = _Events(
        offsets=offsets,
        timestamp_us=partition.timestamp_us[rows],
        kind=partition.kind[rows],
        amount_minor=partition.amount_minor[rows],
        discount_minor=partition.discount_minor[rows],
        num_lines=partition.num_lines[rows],
        num_products=partition.num_products[rows],
    )
    return events, customer


def _first_of_day(events: _Events, is_purchase: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """bool[num_events]: true at a customer's first purchase of a UTC day, which no later event can change."""
    rows = np.flatnonzero(is_purchase)
    day = events.timestamp_us[rows] // DAY_US
    is_first = np.ones(len(rows), np.bool_)
    is_first[1:] = day[1:] != day[:-1]
    first_of_customer = np.searchsorted(rows, events.offsets[:-1])
    is_first[first_of_customer[first_of_customer < len(rows)]] = True
    selected = np.zeros(len(is_purchase), np.bool_)
    selected[rows] = is_first
    return selected


def _ratio(part: NDArray[np.generic], whole: NDArray[np.generic]) -> NDArray[np.float64]:
    """part / whole where whole is positive, else NaN."""
    above, below = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    ratio = np.full(above.shape, np.nan)
    np.divide(above, below, out=ratio, where=below > 0)
    return ratio
