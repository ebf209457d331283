"""What is known of a customer's purchases at an instant, read off the events and not off any model's inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from engine.partition import Partition
from kernels import locate_instants


@dataclass(frozen=True, kw_only=True, slots=True)
class Purchases:
    """Of each (customer, instant), from purchases strictly before the instant; each has one at least.

    num_orders   : int64[n]
    first_us     : int64[n]
    last_us      : int64[n]
    amount_minor : int64[n]  of all orders together
    last_row     : int64[n]  row of the last purchase in the partition
    """

    num_orders: NDArray[np.int64]
    first_us: NDArray[np.int64]
    last_us: NDArray[np.int64]
    amount_minor: NDArray[np.int64]
    last_row: NDArray[np.int64]


def summarise_purchases(partition: Partition, customer_index: NDArray[np.int64], as_of_us: NDArray[np.int64] | int) -> Purchases:
    """See Purchases.

    customer_index : int64[n]; each customer bought before the instant
    as_of_us       : int64[n], or one instant for all
    """
    rows = np.flatnonzero(partition.is_purchase)
    spent = np.concatenate((np.zeros(1, np.int64), np.cumsum(partition.amount_minor[rows])))
    first, stop = _span(partition, rows, customer_index, as_of_us)
    return Purchases(
        num_orders=stop - first,
        first_us=partition.timestamp_us[rows[first]],
        last_us=partition.timestamp_us[rows[stop - 1]],
        amount_minor=spent[stop] - spent[first],
        last_row=rows[stop - 1],
    )


def count_orders(
    partition: Partition, customer_index: NDArray[np.int64], as_of_us: NDArray[np.int64], since_us: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Orders of each customer in [since, as_of); int64[n] all."""
    rows = np.flatnonzero(partition.is_purchase)
    return _span(partition, rows, customer_index, as_of_us)[1] - _span(partition, rows, customer_index, since_us)[1]


def anybody_came_back(partition: Partition) -> bool:
    """Whether any customer bought on two days; two orders of one day are one visit to the shop."""
    rows = np.flatnonzero(partition.is_purchase)
    owner = np.searchsorted(partition.offsets, rows, side="right")
    day = partition.timestamp_us[rows] // DAY_US
    return bool(((owner[1:] == owner[:-1]) & (day[1:] > day[:-1])).any())


def _span(
    partition: Partition,
    rows: NDArray[np.int64],
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64] | int,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which of the purchase rows are each customer's before the instant: [first, stop) into `rows`."""
    instants = np.ascontiguousarray(np.broadcast_to(np.asarray(as_of_us, np.int64), customer_index.shape))
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, instants)
    return np.searchsorted(rows, partition.offsets[customer_index]), np.searchsorted(rows, end)
