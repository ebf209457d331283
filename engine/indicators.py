"""The thirty indicators that describe a customer as of an instant: one catalogue, one function for all who ask.

Most are one number; orders and spend are one for each of five windows, so that thirty entries come to 38 columns.
Money is in major units and signed as in the source. A number whose source is missing, or that needs a purchase or a gap that is
not there, is NaN and never 0: models and people must tell "none" from "not known".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.backends import device_errors
from engine.catalogue_entry import Column, Factor, Indicator, Level, Worry
from engine.coverage import Coverage
from engine.partition import Partition
from engine.schema import EventKind
from kernels import SUMMARY_COLUMNS, WINDOWS_DAYS, locate_instants, summarise_events
from kernels.registry import resolve


def _indicator(
    name: str, level: str, factor: str, unit: str, meaning: str, worry: str, *thresholds: float, windows: tuple[int, ...] = ()
) -> Indicator:
    return Indicator(
        name=name,
        level=Level(level),
        factor=Factor(factor),
        unit=unit,
        meaning=meaning,
        worry=Worry(worry),
        thresholds=thresholds,
        windows_days=windows,
    )


_PER_ORDER = "major units per order"
_BALANCE = "balance, -1 to 1"  # (now - before) / (now + before)

# The order is that of the columns and part of every bundle: a change makes bundles trained before it unreadable.
INDICATORS: tuple[Indicator, ...] = (
    _indicator("recency_days", "behaviour", "time", "days", "Time since the last purchase.", "above", 20),
    _indicator(
        "orders",
        "behaviour",
        "time",
        "orders",
        "Orders in the last 7 to 90 days.",
        "below",
        1,
        1,
        1,
        2,
        3,
        windows=WINDOWS_DAYS,
    ),
    _indicator(
        "spend",
        "value",
        "customer",
        "major units",
        "Amount of the orders in the last 7 to 90 days.",
        "below",
        0.01,
        0.01,
        0.01,
        0.01,
        0.01,
        windows=WINDOWS_DAYS,
    ),
    _indicator(
        "orders_change_30d",
        "behaviour",
        "competition",
        _BALANCE,
        "Orders of the last 30 days against the 30 before.",
        "below",
        -0.5,
    ),
    _indicator(
        "spend_change_30d", "value", "competition", _BALANCE, "Spend of the last 30 days against the 30 before.", "below", -0.5
    ),
    _indicator("gap_mean_days", "behaviour", "time", "days", "Mean time between days with a purchase.", "above", 45),
    _indicator(
        "gap_spread_days", "behaviour", "time", "days", "Standard deviation of time between days with a purchase.", "above", 45
    ),
    _indicator("gap_longest_days", "behaviour", "time", "days", "Longest time between days with a purchase.", "above", 90),
    _indicator("lateness", "behaviour", "time", "mean gaps", "Time since the last purchase, in mean gaps.", "above", 2),
    _indicator("tenure_days", "behaviour", "customer", "days", "Time since the first purchase.", "below", 30),
    _indicator("basket_90d", "value", "product", _PER_ORDER, "Mean amount of an order of the last 90 days.", "below", 0.01),
    _indicator(
        "basket_change_90d", "value", "product", _BALANCE, "Mean order of the last 90 days against the 90 before.", "below", -0.33
    ),
    _indicator(
        "discount_share_90d",
        "value",
        "competition",
        "share",
        "Discount of the last 90 days, of spend and discount.",
        "above",
        0.3,
    ),
    _indicator(
        "categories_per_order_90d",
        "value",
        "product",
        "per order",
        "Distinct categories in an order of the last 90 days.",
        "below",
        1.5,
    ),
    _indicator(
        "categories_change_90d",
        "value",
        "product",
        _BALANCE,
        "Categories per order of the last 90 days against the 90 before.",
        "below",
        -0.33,
    ),
    _indicator(
        "store_share_90d", "behaviour", "channel", "share", "Orders of the last 90 days at the latest one's store.", "below", 0.5
    ),
    _indicator(
        "store_switch_rate_90d",
        "behaviour",
        "channel",
        "share",
        "Orders of the last 90 days at another store than the one before.",
        "above",
        0.5,
    ),
    _indicator(
        "channel_share_90d",
        "behaviour",
        "channel",
        "share",
        "Orders of the last 90 days by the latest one's channel.",
        "below",
        0.5,
    ),
    _indicator(
        "channel_switch_rate_90d",
        "behaviour",
        "channel",
        "share",
        "Orders of the last 90 days by another channel than the one before.",
        "above",
        0.5,
    ),
    _indicator(
        "weekday_regularity",
        "behaviour",
        "time",
        "share",
        "Days with a purchase, of the last 90, on their most common weekday.",
        "below",
        0.2,
    ),
    _indicator("return_rate_180d", "value", "product", "per order", "Returns of the last 180 days per order.", "above", 0.25),
    _indicator("days_since_visit", "behaviour", "channel", "days", "Time since the last visit to a store.", "above", 30),
    _indicator("days_since_login", "behaviour", "channel", "days", "Time since the last login.", "above", 15),
    _indicator("visits_30d", "behaviour", "channel", "visits", "Visits to a store in the last 30 days.", "below", 1),
    _indicator("logins_30d", "behaviour", "channel", "logins", "Logins in the last 30 days.", "below", 1),
    _indicator("rating_mean_180d", "sentiment", "product", "rating", "Mean rating of the last 180 days.", "below", 3),
    _indicator(
        "rating_change_180d",
        "sentiment",
        "product",
        "rating",
        "Latest rating, less the mean of those of 180 days before.",
        "below",
        -1,
    ),
    _indicator("complaints_90d", "sentiment", "customer", "complaints", "Complaints in the last 90 days.", "above", 1),
    # about one a week: from there on it is the chain that wears the customer out
    _indicator("contacts_90d", "sentiment", "context", "contacts", "Contacts by the chain in the last 90 days.", "above", 13),
    _indicator(
        "contact_response_90d",
        "sentiment",
        "context",
        "share",
        "Contacts of the last 90 days with a purchase within 14 days.",
        "below",
        0.1,
    ),
)
NUM_INDICATORS = len(INDICATORS)

# What the entries come to, with a column for each window.
COLUMNS: tuple[Column, ...] = tuple(column for indicator in INDICATORS for column in indicator.columns)
INDICATOR_COLUMNS: tuple[str, ...] = tuple(column.name for column in COLUMNS)
NUM_COLUMNS = len(COLUMNS)

# What else the same pass finds, for models: named, but in no catalogue that a person reads.
FURTHER_NAMES: tuple[str, ...] = tuple(name for name in SUMMARY_COLUMNS if name not in INDICATOR_COLUMNS)


def _places(*names: str) -> NDArray[np.int64]:
    return np.array([SUMMARY_COLUMNS.index(name) for name in names])


_OF_AMOUNTS = _places(*(f"spend_{days}d" for days in WINDOWS_DAYS), "spend_change_30d", "basket_90d", "basket_change_90d")
_OF_DISCOUNTS = _places("discount_share_90d")
_OF_KINDS = (
    (EventKind.RETURN, _places("return_rate_180d", "returns_90d")),
    (EventKind.VISIT, _places("visits_30d")),
    (EventKind.LOGIN, _places("logins_30d")),
    (EventKind.COMPLAINT, _places("complaints_90d")),
    (EventKind.CONTACT, _places("contacts_90d")),
)


def compute_indicators(
    partition: Partition,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64] | int,
    *,
    since_us: int | None = None,
    backend: str = "cpu",
) -> NDArray[np.float32]:
    """The indicators of each (customer, instant), from events strictly before the instant.

    customer_index : int64[num_queries], in any order, a customer as often as there are instants to ask about
    as_of_us       : int64[num_queries], or one instant for all
    since_us       : as if the log began there; None: from the first event on
    returns        : float32[num_queries, NUM_COLUMNS], named as in INDICATOR_COLUMNS; the same bits for a query whatever else
                     is asked with it
    raises         : ValueError for a customer that the partition does not have; DeviceError, if the backend cannot run here
    """
    return compute_summary(partition, customer_index, as_of_us, since_us=since_us, backend=backend)[:, :NUM_COLUMNS]


@device_errors()
def compute_summary(
    partition: Partition,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64] | int,
    *,
    end: NDArray[np.int64] | None = None,
    rhythm: NDArray[np.int64] | None = None,
    since_us: int | None = None,
    backend: str = "cpu",
) -> NDArray[np.float32]:
    """As `compute_indicators`, and the columns of FURTHER_NAMES behind them: float32[num_queries, len(SUMMARY_COLUMNS)].

    end    : int64[num_queries], the row behind the last event before each instant, where it is known
    rhythm : int64[num_queries, len(RHYTHM_COLUMNS)], at the instants; then the partition may lack what is older than
             RHYTHM_REACH_DAYS, and nothing is left out with `since_us`
    """
    customer = np.ascontiguousarray(customer_index, np.int64)
    instants_us = np.ascontiguousarray(np.broadcast_to(np.asarray(as_of_us, np.int64), customer.shape))
    if end is None:
        end = locate_instants(partition.timestamp_us, partition.offsets, customer, instants_us, backend=backend)
    begin = partition.offsets[customer]
    if since_us is not None:
        first_us = np.minimum(instants_us, since_us)
        begin = locate_instants(partition.timestamp_us, partition.offsets, customer, first_us, backend=backend)
    summary = summarise_events(
        partition.timestamp_us,
        partition.kind,
        partition.amount_minor,
        partition.discount_minor,
        partition.num_lines,
        partition.num_categories,
        partition.rating_milli,
        partition.store_code,
        partition.channel_code,
        begin,
        end,
        instants_us,
        rhythm,
        backend=backend,
    )
    _hide_what_is_not_covered(summary, instants_us, partition.coverage)
    return summary


def summarise_customer(partition: Partition, num_events: int, as_of_us: int) -> NDArray[np.float32]:
    """As `compute_summary` for the one customer of a partition, whose rows nobody need look for or check.

    num_events : of the customer before the instant
    returns    : float32[1, len(SUMMARY_COLUMNS)]
    """
    instant_us = np.array([as_of_us], np.int64)
    summary = resolve("cpu").summarise_events(
        partition.timestamp_us,
        partition.kind,
        partition.amount_minor,
        partition.discount_minor,
        partition.num_lines,
        partition.num_categories,
        partition.rating_milli,
        partition.store_code,
        partition.channel_code,
        np.zeros(1, np.int64),
        np.array([num_events], np.int64),
        instant_us,
    )
    _hide_sources(summary, partition.coverage)
    for kind, columns in _OF_KINDS:
        if as_of_us <= partition.coverage.start_us(kind):
            summary[:, columns] = np.nan
    return summary


def _hide_what_is_not_covered(summary: NDArray[np.float32], as_of_us: NDArray[np.int64], coverage: Coverage) -> None:
    """A count of 0 means nothing where nobody counted. Columns that need an event of their own are NaN without one already."""
    _hide_sources(summary, coverage)
    for kind, columns in _OF_KINDS:
        is_before = as_of_us <= coverage.start_us(kind)
        if is_before.all():
            summary[:, columns] = np.nan
        elif is_before.any():
            summary[np.ix_(np.flatnonzero(is_before), columns)] = np.nan


def _hide_sources(summary: NDArray[np.float32], coverage: Coverage) -> None:
    if not coverage.has_amounts:
        summary[:, _OF_AMOUNTS] = np.nan
    if not (coverage.has_amounts and coverage.has_discounts):
        summary[:, _OF_DISCOUNTS] = np.nan
