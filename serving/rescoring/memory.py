"""The memory of a bucket: what the last snapshot knew of its customers, and whose states a new scoring may go on from."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import IntegrityError
from engine.history.events import find_texts
from engine.last_orders import LAST_ORDER_COLUMNS, read_orders
from engine.partition import Partition
from engine.schema import EventKind
from engine.storage import StoreLike
from kernels import NO_RHYTHM, extend_fingerprints, extend_rhythms, find_latest, fingerprint_events, locate_instants
from serving.snapshots import BucketFile, SnapshotInputs, floats, open_bucket_file, rhythms, snapshot_folder

_Int64s = NDArray[np.int64]
_Int32s = NDArray[np.int32]
_Codes = tuple[_Int32s, _Int32s, _Int32s, _Int32s, _Int32s, _Int32s]
# of events, as fingerprints take them
_Columns = tuple[_Int64s, NDArray[np.uint8], _Int64s, _Int64s, _Int64s, *_Codes]

_BEGINNING_US = -(2**63)

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class Memory:
    """What a snapshot kept of the customers of a bucket.

    customer_ids : string[num_kept]             ascending
    num_events   : int32[num_kept]              which the state covers: the customer's first ones
    fingerprint  : uint64[num_kept]             of these events
    rhythm       : int64[num_kept, len(RHYTHM_COLUMNS)]    of these events
    last_order   : float32[num_kept, len(LAST_ORDER_COLUMNS)]    of the last purchase among these events
    states       : float32[num_kept, state_size]
    """

    customer_ids: pa.StringArray
    num_events: NDArray[np.int32]
    fingerprint: NDArray[np.uint64]
    rhythm: NDArray[np.int64]
    last_order: NDArray[np.float32]
    states: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, slots=True)
class Begun:
    """From where the states of some customers go on.

    begin, end   : int64[n]                  rows of the events that a state has yet to see, all of them before the instant
    fingerprint  : uint64[n]                 of all events before the instant
    rhythm       : int64[n, len(RHYTHM_COLUMNS)]    of all events before the instant
    last_order   : float32[n, len(LAST_ORDER_COLUMNS)]    of the last purchase before the instant, which each of them has
    is_rolled_on : bool[n]                   begins from a kept state
    is_changed   : bool[n]                   has a kept state that is of no use: its events are not the first ones any more
    """

    begin: NDArray[np.int64]
    end: NDArray[np.int64]
    fingerprint: NDArray[np.uint64]
    rhythm: NDArray[np.int64]
    last_order: NDArray[np.float32]
    is_rolled_on: NDArray[np.bool_]
    is_changed: NDArray[np.bool_]


def open_memory(store: StoreLike, snapshot_id: str, file: BucketFile, inputs: SnapshotInputs) -> Memory | None:
    """The memory in a bucket file of a committed snapshot, every byte of it checked; None, and a log line, where it is damaged.

    inputs : of the snapshot that is being made
    """
    try:
        batch = open_bucket_file(snapshot_folder(store, snapshot_id), file, inputs)
    except IntegrityError as error:
        _logger.warning("reading the customers of bucket %d from their first event: %s", file.bucket, error)
        return None
    return Memory(
        customer_ids=batch.column("customer_id"),
        num_events=batch.column("num_events").to_numpy(),
        fingerprint=batch.column("fingerprint").to_numpy(),
        rhythm=rhythms(batch),
        last_order=floats(batch, "last_order"),
        states=floats(batch, "state"),
    )


def find_kept(memory: Memory | None, customer_ids: pa.StringArray) -> NDArray[np.int64]:
    """int64[n]: where the memory has each customer, -1 where it does not; ids ascend."""
    if memory is None:
        return np.full(len(customer_ids), -1, np.int64)
    return find_texts(customer_ids, memory.customer_ids)


def is_settled(memory: Memory | None, kept: NDArray[np.int64], num_settled: NDArray[np.int64]) -> NDArray[np.bool_]:
    """bool[n]: whose kept state covers none but events that are surely what and where they were.

    kept        : int64[n], as by `find_kept`
    num_settled : int64[n], as in `engine.history.Piece`
    """
    if memory is None:
        return np.zeros(len(kept), bool)
    found: NDArray[np.bool_] = (kept >= 0) & (memory.num_events[kept] <= num_settled)
    return found


def begin_from(
    memory: Memory | None,
    partition: Partition,
    customer_index: NDArray[np.int64],
    num_before: NDArray[np.int64],
    kept: NDArray[np.int64],
    settled: NDArray[np.bool_],
    as_of_us: int,
) -> Begun:
    """Begin with what was kept of customers: of those who are settled on trust, of others by the fingerprint of what it covers.

    customer_index : int64[n]
    num_before     : int64[n]   so many first events of each the partition lacks; none of who is not settled
    memory         : None where everybody begins anew
    kept           : int64[n], as by `find_kept`
    settled        : bool[n], as by `is_settled`; of these only the last covered event is read, and what comes after it

    Late events, corrections, a forgotten customer who comes back and compaction need no rules of their own: either the first
    events are what they were, or the customer begins anew.
    """
    begin = partition.offsets[customer_index]
    instants_us = np.full(len(customer_index), as_of_us, np.int64)
    end = locate_instants(partition.timestamp_us, partition.offsets, customer_index, instants_us)
    is_known = kept >= 0
    if memory is not None and is_known.all():
        covered = begin - num_before + memory.num_events[kept]
        known, rhythm = memory.fingerprint[kept], memory.rhythm[kept]
    else:
        covered = begin.copy()
        known = np.zeros(len(begin), np.uint64)
        rhythm = np.full((len(begin), len(NO_RHYTHM)), NO_RHYTHM, np.int64)
        if memory is not None:
            row = kept[is_known]
            covered[is_known] += memory.num_events[row] - num_before[is_known]
            known[is_known] = memory.fingerprint[row]
            rhythm[is_known] = memory.rhythm[row]
    is_rolled_on = settled.copy()
    columns = _columns(partition)
    doubted = np.flatnonzero(~settled)
    if len(doubted) == 0:
        fingerprint = extend_fingerprints(*columns, begin, covered, end, known)
    else:
        fingerprint = np.zeros(len(begin), np.uint64)
        trusted = np.flatnonzero(settled)
        fingerprint[trusted] = extend_fingerprints(*columns, begin[trusted], covered[trusted], end[trusted], known[trusted])
        most = np.minimum(covered, end)
        found = fingerprint_events(*columns, begin[doubted], most[doubted], end[doubted])
        fingerprint[doubted] = found[:, 1]
        has_covered = is_known[doubted] & (covered[doubted] <= end[doubted])
        is_rolled_on[doubted] = has_covered & (found[:, 0] == known[doubted])
        anew = doubted[~is_rolled_on[doubted]]
        covered[anew] = begin[anew]
        rhythm[anew] = NO_RHYTHM
    return Begun(
        begin=covered,
        end=end,
        fingerprint=fingerprint,
        rhythm=extend_rhythms(partition.timestamp_us, partition.kind, covered, end, rhythm),
        last_order=_last_orders(memory, partition, kept, covered, end, as_of_us),
        is_rolled_on=is_rolled_on,
        is_changed=is_known & ~is_rolled_on,
    )


def _last_orders(
    memory: Memory | None,
    partition: Partition,
    kept: NDArray[np.int64],
    begin: NDArray[np.int64],
    end: NDArray[np.int64],
    as_of_us: int,
) -> NDArray[np.float32]:
    """float32[n, len(LAST_ORDER_COLUMNS)]: of the last purchase in [begin, end), and what was kept where there is none.

    What was covered is not looked at: of older events nobody reads the quantity, and the disk need not.
    """
    row = find_latest(
        partition.timestamp_us, partition.kind, int(EventKind.PURCHASE), begin, end, since_us=_BEGINNING_US, before_us=as_of_us
    )
    has_news = row >= 0
    if memory is None or has_news.all():
        return read_orders(partition, row)
    orders = np.empty((len(row), len(LAST_ORDER_COLUMNS)), np.float32)
    orders[has_news] = read_orders(partition, row[has_news])
    orders[~has_news] = memory.last_order[kept[~has_news]]
    return orders


def initial_states(
    memory: Memory | None, kept: NDArray[np.int64], is_rolled_on: NDArray[np.bool_], *, state_size: int
) -> NDArray[np.float32]:
    """float32[n, state_size]: the kept states of those who are rolled on, and zeros for those who begin at their first event."""
    if memory is not None and is_rolled_on.all():
        return memory.states[kept]
    states = np.zeros((len(kept), state_size), np.float32)
    if memory is not None:
        states[is_rolled_on] = memory.states[kept[is_rolled_on]]
    return states


def _columns(partition: Partition) -> _Columns:
    """As fingerprints take them."""
    return (
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
    )
