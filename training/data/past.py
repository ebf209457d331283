"""The past: what was known strictly before an instant, as one partition that holds nothing else.

Training takes this and only this, so nothing at or after the as-of instant can leak into weights, normalisers or counts.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.partition import Partition

_COLUMNS = (
    "timestamp_us",
    "kind",
    "amount_minor",
    "discount_minor",
    "quantity_milli",
    "num_lines",
    "num_products",
    "num_categories",
    "store_code",
    "channel_code",
    "rating_milli",
)


def take_past(partitions: Iterable[Partition], *, before_us: int, max_events: int | None = None, seed: int = 0) -> Partition:
    """Events strictly before an instant, of all partitions, as one.

    max_events : where there are more, a random sample of whole customers of about this many is kept
    returns    : Partition of the customers with at least one such event, in the order of the partitions; the codes of stores and
                 channels stay those of each customer's own partition (they tell same from other, not which), the names are empty;
                 coverage tells of amounts and discounts where the past shows any

    The sample depends on the seed and on what is kept alone: the same past gives the same sample whatever came later.
    """
    pasts = [_cut(partition, before_us) for partition in partitions]
    total = sum(past.num_events for past in pasts)
    if max_events is not None and total > max_events:
        random = np.random.default_rng(seed)
        pasts = [_pick(past, random.random(past.num_customers) < max_events / total) for past in pasts]
    return _without_later_sources(_join(pasts))


def _without_later_sources(past: Partition) -> Partition:
    """As if no file with amounts or discounts had come yet, where none had: the history tells that one did, and not since when.

    Ingest counts 1 for each line of an order of which no amount is known.
    """
    is_purchase = past.is_purchase
    is_priced = past.amount_minor[is_purchase] != 100 * past.num_lines[is_purchase].astype(np.int64)
    coverage = replace(
        past.coverage,
        has_amounts=past.coverage.has_amounts and bool(is_priced.any()),
        has_discounts=past.coverage.has_discounts and bool(past.discount_minor.any()),
    )
    return replace(past, coverage=coverage)


def _cut(partition: Partition, before_us: int) -> Partition:
    visible = partition.timestamp_us < before_us
    seen_before = np.concatenate(([0], np.cumsum(visible)))
    counts = seen_before[partition.offsets[1:]] - seen_before[partition.offsets[:-1]]
    return _rows(partition, visible, counts)


def _pick(partition: Partition, chosen: NDArray[np.bool_]) -> Partition:
    counts = np.diff(partition.offsets)
    return _rows(partition, np.repeat(chosen, counts), np.where(chosen, counts, 0))


def _rows(partition: Partition, rows: NDArray[np.bool_], counts: NDArray[np.int64]) -> Partition:
    """The chosen rows, of the customers that have any; counts int64[num_customers] of chosen rows."""
    kept = counts > 0
    return Partition(
        customer_ids=partition.customer_ids.filter(pa.array(kept)),
        offsets=np.concatenate(([0], np.cumsum(counts[kept]))).astype(np.int64),
        store_names=(),
        channel_names=(),
        coverage=partition.coverage,
        **{name: getattr(partition, name)[rows] for name in _COLUMNS},
    )


def _join(pasts: list[Partition]) -> Partition:
    if len(pasts) == 1:
        return pasts[0]
    lengths = np.concatenate([np.zeros(1, np.int64), *(np.diff(past.offsets) for past in pasts)])
    ids = pa.chunked_array([past.customer_ids for past in pasts], type=pa.string()).combine_chunks()
    return Partition(
        customer_ids=ids,
        offsets=np.cumsum(lengths),
        store_names=(),
        channel_names=(),
        coverage=pasts[0].coverage,
        **{name: np.concatenate([getattr(past, name) for past in pasts]) for name in _COLUMNS},
    )
