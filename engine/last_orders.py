"""What a customer's last order was: facts that a snapshot keeps and no model takes in."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.partition import Partition

LAST_ORDER_COLUMNS: tuple[str, ...] = (
    "amount",  # major units; where the log has none, each line counts as 1
    "discount_share",  # of the price without it, 0 where there was none
    "quantity",  # where the log has none, each line counts as 1
    "lines",
)
_MINOR_PER_MAJOR = 100.0
_MILLI = 1000.0


def read_orders(partition: Partition, row: NDArray[np.int64]) -> NDArray[np.float32]:
    """The facts of some orders.

    row     : int64[n], of events of the partition
    returns : float32[n, len(LAST_ORDER_COLUMNS)]; as stored, known or not
    """
    amount, discount = partition.amount_minor[row], np.abs(partition.discount_minor[row])
    orders = np.empty((len(row), len(LAST_ORDER_COLUMNS)), np.float32)
    orders[:, 0] = amount / _MINOR_PER_MAJOR
    orders[:, 1] = discount / np.maximum(discount + np.abs(amount), 1)
    orders[:, 2] = partition.quantity_milli[row] / _MILLI
    orders[:, 3] = partition.num_lines[row]
    return orders
