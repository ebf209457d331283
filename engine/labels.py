"""What then happened: who could churn at an instant, and who did. Only these functions look at or past the instant."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.backends import device_errors
from engine.errors import InvalidArgumentError
from engine.instants import DAY_US
from engine.partition import Partition
from kernels import count_selected, locate_instants, next_selected


@device_errors()
def next_purchase_us(
    partition: Partition,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64] | int,
    *,
    backend: str = "cpu",
) -> NDArray[np.int64]:
    """When each customer first bought at or after an instant.

    customer_index : int64[num_queries]
    as_of_us       : int64[num_queries], or one instant for all
    returns        : int64[num_queries], -1 where the partition holds no such purchase
    raises         : ValueError for a customer that the partition does not have; DeviceError, if the backend cannot run here
    """
    instants_us = np.broadcast_to(np.asarray(as_of_us, np.int64), np.shape(customer_index))
    begin = locate_instants(partition.timestamp_us, partition.offsets, customer_index, instants_us, backend=backend)
    stop = partition.offsets[customer_index + 1]
    return next_selected(partition.timestamp_us, partition.is_purchase, begin, stop, backend=backend)


def eligible(partition: Partition, as_of_us: int, active_within_days: float, *, backend: str = "cpu") -> NDArray[np.int64]:
    """Customers with a purchase in [as_of - active_within_days, as_of).

    returns : int64[num_eligible], ascending indices of customers
    raises  : InvalidArgumentError, if active_within_days is not positive
    """
    if not active_within_days > 0:
        raise InvalidArgumentError("active_within_days", f"found {active_within_days}, expected a number of days above 0")
    customers = np.arange(partition.num_customers, dtype=np.int64)
    instants_us = np.full(len(customers), as_of_us, np.int64)
    end = locate_instants(partition.timestamp_us, partition.offsets, customers, instants_us, backend=backend)
    counted = count_selected(partition.is_purchase, partition.offsets[:-1], end, backend=backend)
    customers = np.flatnonzero(counted[:, 0] > 0)
    last_us = partition.timestamp_us[partition.offsets[customers] + counted[customers, 1]]
    found: NDArray[np.int64] = customers[last_us >= as_of_us - round(active_within_days * DAY_US)]
    return found


def churned(
    partition: Partition,
    customer_index: NDArray[np.int64],
    as_of_us: NDArray[np.int64] | int,
    horizon_days: float,
    *,
    backend: str = "cpu",
) -> NDArray[np.bool_]:
    """Whether each customer made no purchase in [as_of, as_of + horizon_days).

    customer_index : int64[num_queries]
    as_of_us       : int64[num_queries], or one instant for all
    returns        : bool[num_queries]
    raises         : InvalidArgumentError, if horizon_days is not positive

    The caller sees to it that the data reaches to the end of the horizon (History.check_as_of): what is not in the
    partition counts as not bought.
    """
    if not horizon_days > 0:
        raise InvalidArgumentError("horizon_days", f"found {horizon_days}, expected a number of days above 0")
    bought_us = next_purchase_us(partition, customer_index, as_of_us, backend=backend)
    end_us = np.asarray(as_of_us, np.int64) + round(horizon_days * DAY_US)
    without: NDArray[np.bool_] = (bought_us == -1) | (bought_us >= end_us)
    return without
