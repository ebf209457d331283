"""The memory of a bucket: what the last snapshot knew of its customers, and whose states a new scoring may go on from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.errors import IntegrityError
from engine.partition import Partition
from engine.storage import StoreLike
from kernels import fingerprint_events, locate_instants
from serving.snapshots import BucketFile, SnapshotInputs, floats, open_bucket_file, snapshot_folder

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a snapshot kept of the customers of a bucket.

    customer_ids : string[num_kept]             ascending
    num_events   : int32[num_kept]              which the state covers: the customer's first ones
    fingerprint  : uint64[num_kept]             of these events
    states       : float32[num_kept, state_size]
    """

    customer_ids: pa.StringArray
    num_events: NDArray[np.int32]
    fingerprint: NDArray[np.uint64]
    states: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """From where the states of some customers go on.

    begin, end   : int64[n]                  rows of the events that a state has yet to see, all of them before the instant
    initial      : float32[n, state_size]    states before these; zeros for those who begin at their first event
    fingerprint  : uint64[n]                 of all events before the instant
    is_rolled_on : bool[n]                   begins from a kept state
    is_changed   : bool[n]                   has a kept state that is of no use: its events are not the first ones any more
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    initial: NDArray[np.float32]
    fingerprint: NDArray[np.uint64]
    is_rolled_on: NDArray[np.bool_]
    is_changed: NDArray[np.bool_]


def open_memory(store: StoreLike, snapshot_id: str, file: BucketFile, inputs: SnapshotInputs) -> Memory | None:
    """The memory in a bucket file of a committed snapshot, every byte of it checked; None, and a log line, where it is damaged.

    inputs : of the snapshot that is being made
    """
    try:
        batch = open_bucket_file(snapshot_folder(store, snapshot_id), file, inputs)
    except IntegrityError as error:
        _logger.warning("the customers of bucket %d begin anew: %s", file.bucket, error)
        return None
    return Memory(
        customer_ids=batch.column("customer_id"),
        num_events=batch.column("num_events").to_numpy(),
        fingerprint=batch.column("fingerprint").to_numpy(),
        states=floats(batch, "state"),
    )


def begin_from(
    memory: Memory | None, partition: Partition, customer_index: NDArray[np.int64], as_of_us: int, *, state_size: int
) -> Begun:
    """Match customers with what was kept of them, by id and by the fingerprint of the events that the kept state covers.

    customer_index : int64[n]
    memory         : None where everybody begins anew

    Late events, corrections, a forgotten customer who comes back and compaction need no rules of their own: either the first
    events are what they were, or the customer begins anew.
    """
    begin = partition.offsets[customer_index]
    instants_us = np.full(len(customer_index), as_of_us, np.int64)
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, instants_us)
    row = _rows(memory, partition, customer_index)
    is_known = row >= 0
    covered = begin.copy()
    if memory is not None:
        covered[is_known] += memory.num_events[row[is_known]]
    fingerprint = _fingerprints(partition, begin, np.minimum(covered, end), end)
    is_rolled_on = is_known & (covered <= end)
    if memory is not None:
        is_rolled_on[is_rolled_on] = fingerprint[is_rolled_on, 0] == memory.fingerprint[row[is_rolled_on]]
    initial = np.zeros((len(begin), state_size), np.float32)
    if memory is not None:
        initial[is_rolled_on] = memory.states[row[is_rolled_on]]
    return Begun(
        begin=np.where(is_rolled_on, covered, begin),
        end=end,
        initial=initial,
        fingerprint=np.ascontiguousarray(fingerprint[:, 1]),
        is_rolled_on=is_rolled_on,
        is_changed=is_known & ~is_rolled_on,
    )


def _rows(memory: Memory | None, partition: Partition, customer_index: NDArray[np.int64]) -> NDArray[np.int64]:
    if memory is None:
        return np.full(len(customer_index), -1, np.int64)
    ids = partition.customer_ids.take(pa.array(customer_index))
    return np.asarray(pc.fill_null(pc.index_in(ids, value_set=memory.customer_ids), -1)).astype(np.int64)


def _fingerprints(
    partition: Partition, begin: NDArray[np.int64], covered: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.uint64]:
    return fingerprint_events(
        partition.timestamp_us,
        partition.kind,
        partition.amount_minor,
        partition.discount_minor,
        partition.quantity_milli,
        partition.num_lines,
        partition.num_products,
        partition.num_categories,
        partition.rating_milli,
        partition.store_code,
        partition.channel_code,
        begin,
        covered,
        end,
    )
