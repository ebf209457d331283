"""Query instants: which (customer, instant) pairs the model is asked about, and what is known of the answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from engine.labels import next_purchase_us
from engine.partition import Partition
from kernels import locate_instants, next_selected


@dataclass(frozen=True, kw_only=True, slots=True)
class Queries:
    """Eligible (customer, instant) pairs, sorted by customer.

    customer_index : int64[num_queries]
    as_of_us       : int64[num_queries]
    last_row       : int64[num_queries]    row of the last event before the instant
    wait_days      : float64[num_queries]  to the next purchase, inf where none is known
    known_days     : float64[num_queries]  from the instant to the end of knowledge
    """

    customer_index: NDArray[np.int64]
    as_of_us: NDArray[np.int64]
    last_row: NDArray[np.int64]
    wait_days: NDArray[np.float64]
    known_days: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.customer_index)


def draw_queries(
    partition: Partition,
    random: np.random.Generator,
    *,
    starts_us: Sequence[int],
    known_until_us: int,
    num_instants: int,
    active_within_days: float,
) -> Queries:
    """Instants uniform over [start, end of knowledge) for every customer, those kept where the customer was eligible.

    starts_us : the instants of a customer are dealt out evenly to the spans that begin at these

    A span is cut into as many equal slices as it has instants, and one drawn in each: uniform, with less variance. Every
    customer gets the same number before eligibility, so the loss speaks of customers and not of the heavy buyers' orders.

    Half of the instants, with slices of their own, lie whole days before the end of knowledge: a chain is scored at one time of
    the day, mostly at midnight, and a silence of 30 hours means another thing there than at noon.
    """
    num_customers, num_spans = partition.num_customers, len(starts_us)
    jitter = random.random((num_customers, num_instants))
    instants = np.empty((num_customers, num_instants), np.int64)
    for span, start_us in enumerate(starts_us):
        by_day, at_any_time = (slice(first, None, 2 * num_spans) for first in (span, span + num_spans))
        num_days = max((known_until_us - start_us) // DAY_US, 1)
        days_left = num_days - np.floor(_slices(jitter[:, by_day]) * num_days).astype(np.int64)
        instants[:, by_day] = known_until_us - days_left * DAY_US
        passed = _slices(jitter[:, at_any_time]) * (known_until_us - start_us)
        instants[:, at_any_time] = start_us + passed.astype(np.int64)
    customers = np.repeat(np.arange(num_customers), num_instants)
    return ask(partition, customers, instants.ravel(), known_until_us=known_until_us, active_within_days=active_within_days)


def queries_at(partition: Partition, instants_us: Sequence[int], *, known_until_us: int, active_within_days: float) -> Queries:
    """Every customer who was eligible at each of the given instants."""
    customers = np.repeat(np.arange(partition.num_customers), len(instants_us))
    instants = np.tile(np.asarray(instants_us, np.int64), partition.num_customers)
    return ask(partition, customers, instants, known_until_us=known_until_us, active_within_days=active_within_days)


def ask(
    partition: Partition,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64],
    *,
    known_until_us: int,
    active_within_days: float,
) -> Queries:
    """The queries of the pairs in which the customer was eligible; purchases from `known_until_us` on are not looked at."""
    horizon_start = as_of_us - round(active_within_days * DAY_US)
    time_us, offsets = partition.timestamp_us, partition.offsets
    end = locate_instants(time_us, offsets, customer_index, as_of_us)
    active_from = locate_instants(time_us, offsets, customer_index, horizon_start)
    eligible = next_selected(time_us, partition.is_purchase, active_from, end) >= 0

    customer_index, as_of_us, end = customer_index[eligible], as_of_us[eligible], end[eligible]
    next_us = next_purchase_us(partition, customer_index, as_of_us)
    is_known = (next_us >= 0) & (next_us < known_until_us)
    return Queries(
        customer_index=customer_index,
        as_of_us=as_of_us,
        last_row=end - 1,
        wait_days=np.where(is_known, (next_us - as_of_us) / DAY_US, np.inf),
        known_days=(known_until_us - as_of_us) / DAY_US,
    )


def _slices(jitter: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares of a span, ascending: one in each of as many equal slices as there are numbers below 1 in a row."""
    num_slices = jitter.shape[1]
    return np.asarray((np.arange(num_slices) + jitter) / max(num_slices, 1))
