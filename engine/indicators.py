"""The thirty indicators that describe a customer as of an instant: one function for all who ask.

Money is in major units and signed as in the source. A number whose source is missing, or that needs a purchase or a gap that is
not there, is NaN and never 0: models and people must tell "none" from "not known".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.backends import device_errors
from engine.catalogue import COLUMNS, INDICATOR_COLUMNS, INDICATORS, NUM_COLUMNS, NUM_INDICATORS
from engine.coverage import Coverage
from engine.partition import Partition
from engine.schema import EventKind
from kernels import SUMMARY_COLUMNS, WINDOWS_DAYS, locate_instants, summarise_events
from kernels.registry import resolve

__all__ = [
    "COLUMNS",
    "INDICATORS",
    "INDICATOR_COLUMNS",
    "NUM_COLUMNS",
    "NUM_INDICATORS",
    "compute_indicators",
    "compute_summary",
    "summarise_customer",
]


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
    """As `compute_indicators`, and behind them what else the same pass finds, which models read and no person does.

    returns : float32[num_queries, len(SUMMARY_COLUMNS)]
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
