"""The indicators of the whole chain in one array: the bulk of what training, rescoring and alerts ask for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.bucket_walk import walk_buckets
from engine.history import History
from engine.indicators import NUM_COLUMNS, compute_indicators


@dataclass(frozen=True, kw_only=True, slots=True)
class ChainIndicators:
    """Every customer of a history, by bucket and then by id.

    customer_ids : string[num_customers]
    values       : float32[num_customers, NUM_COLUMNS], as in INDICATOR_COLUMNS; counts of 0 and NaN for who came at the
                   instant or later
    """

    customer_ids: pa.ChunkedArray
    values: NDArray[np.float32]


def compute_chain_indicators(
    history: History, as_of_us: int, *, backend: str = "cpu", num_threads: int | None = None
) -> ChainIndicators:
    """The indicators of every customer as of an instant; 150 MB for a million customers. See also `write_feature_table`.

    num_threads : the cores that this process may use by default
    raises      : AsOfError where the history cannot speak about the instant; IntegrityError
    """
    history.check_as_of(as_of_us)
    totals = history.manifest.totals
    stops = np.cumsum([bucket.num_customers for bucket in totals])
    first_row = {bucket.bucket: int(stop) - bucket.num_customers for bucket, stop in zip(totals, stops, strict=True)}
    # One array, and no small ones that are put together: memory that is new to the process costs more than the copying.
    values = np.empty((history.manifest.num_customers, NUM_COLUMNS), np.float32)

    def measure(bucket: int) -> pa.StringArray:
        partition = history.partition(bucket)
        rows = slice(first_row[bucket], first_row[bucket] + partition.num_customers)
        values[rows] = compute_indicators(partition, np.arange(partition.num_customers), as_of_us, backend=backend)
        return partition.customer_ids

    ids = list(walk_buckets([bucket.bucket for bucket in totals], measure, num_threads=num_threads))
    return ChainIndicators(customer_ids=pa.chunked_array(ids, pa.string()), values=values)
