"""Who of a bucket is scored, and with what each begins: its layers, matched with what was kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.history import Buffers, Continuation, Layers, Piece, Reach
from engine.instants import DAY_US
from engine.partition import Partition
from engine.schema import EventKind
from kernels import RHYTHM_REACH_DAYS, SUMMARY_REACH_DAYS, find_latest, locate_instants
from serving.rescoring.memory import Begun, Memory, begin_from, find_kept, initial_states, is_settled
from serving.rescoring.scorer import Asked, place_rows
from serving.rescoring.stage_times import StageTimes
from serving.snapshots import SnapshotInputs


@dataclass(frozen=True, kw_only=True, slots=True)
class Chosen:
    """The eligible customers of a bucket, each with a purchase before the instant.

    customer_ids : string[n]    ascending; the arrays below are in this order
    store_id     : string[n]    where the customer last bought; "" where not known
    num_events, last_event_us, fingerprint : [n]   of the events before the instant
    rhythm       : int64[n, len(RHYTHM_COLUMNS)]   of the same events
    last_order   : float32[n, len(LAST_ORDER_COLUMNS)]   of the last purchase among them
    initial      : float32[n, state_size]          states to begin from
    num_new      : int64[n]     events that these have yet to see
    is_rolled_on, is_changed : bool[n]    as in Begun
    asked        : the same customers by layer, for the scorer
    """

    customer_ids: pa.StringArray
    store_id: pa.StringArray
    num_events: NDArray[np.int32]
    last_event_us: NDArray[np.int64]
    fingerprint: NDArray[np.uint64]
    rhythm: NDArray[np.int64]
    last_order: NDArray[np.float32]
    initial: NDArray[np.float32]
    num_new: NDArray[np.int64]
    is_rolled_on: NDArray[np.bool_]
    is_changed: NDArray[np.bool_]
    asked: tuple[Asked, ...]


def choose(layers: Layers, memory: Memory | None, inputs: SnapshotInputs, buffers: Buffers, times: StageTimes) -> Chosen:
    """The eligible customers of a bucket, those with later events put together.

    memory  : what was kept of the bucket; None where everybody begins anew
    buffers : where the events of those who are put together lie, until they are used again
    """
    with times.of("match"):
        eligible = [_of_piece(piece, inputs) for piece in (layers.alone, layers.late) if piece is not None]
        if layers.continued is not None:
            eligible.append(_of_continuation(layers.continued, inputs))
        rank = np.concatenate([one.rank for one in eligible])
        order = np.argsort(rank)
        place = np.empty(len(rank), np.int64)
        place[order] = np.arange(len(rank))
        places = np.split(place, np.cumsum([len(one.rank) for one in eligible])[:-1])
        customer_ids = layers.customer_ids.take(pa.array(rank[order]))
        kept = find_kept(memory, customer_ids)
    begun: list[Begun] = []
    asked: list[Asked] = []
    for one, at in zip(eligible, places, strict=True):
        with times.of("match"):
            settled = is_settled(memory, kept[at], one.num_settled)
        with times.of("read"):
            partition, customer_index, num_before = _put_together(one, memory, kept[at], settled, inputs, buffers)
        with times.of("match"):
            found = begin_from(memory, partition, customer_index, num_before, kept[at], settled, inputs.as_of_us)
        begun.append(found)
        asked.append(
            Asked(
                partition=partition,
                customer_index=customer_index,
                num_before=num_before,
                begin=found.begin,
                end=found.end,
                rhythm=found.rhythm,
                place=at,
            )
        )
    with times.of("match"):
        is_rolled_on = place_rows([one.is_rolled_on for one in begun], places)
        num_events = [one.num_before + one.end - one.partition.offsets[one.customer_index] for one in asked]
        return Chosen(
            customer_ids=customer_ids,
            store_id=_store_ids(eligible, order),
            num_events=place_rows(num_events, places).astype(np.int32),
            last_event_us=place_rows([one.last_event_us for one in asked], places),
            fingerprint=place_rows([one.fingerprint for one in begun], places),
            rhythm=place_rows([one.rhythm for one in begun], places),
            last_order=place_rows([one.last_order for one in begun], places),
            initial=initial_states(memory, kept, is_rolled_on, state_size=inputs.state_size),
            num_new=place_rows([one.end - one.begin for one in begun], places),
            is_rolled_on=is_rolled_on,
            is_changed=place_rows([one.is_changed for one in begun], places),
            asked=tuple(asked),
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Eligible:
    """Eligible customers of a layer.

    customer          : int64[n]   as the layer numbers them
    rank, num_settled : int64[n]   as the layer has them
    store_code        : int64[n]   of the last purchase, into store_names
    """

    layer: Piece | Continuation
    customer: NDArray[np.int64]
    rank: NDArray[np.int64]
    num_settled: NDArray[np.int64]
    store_code: NDArray[np.int64]
    store_names: Sequence[str]


def _of_piece(piece: Piece, inputs: SnapshotInputs) -> _Eligible:
    partition = piece.partition
    here = np.flatnonzero(piece.is_here)
    last = _last_purchase(partition, partition.offsets[here], partition.offsets[here + 1], inputs)
    customer, last = here[last >= 0], last[last >= 0]
    return _Eligible(
        layer=piece,
        customer=customer,
        rank=piece.rank[customer],
        num_settled=piece.num_settled[customer],
        store_code=_known_codes(partition, last),
        store_names=[*partition.store_names, ""],
    )


def _of_continuation(layer: Continuation, inputs: SnapshotInputs) -> _Eligible:
    older, newer = layer.older, layer.newer
    older_begin, older_end, newer_begin, newer_end = layer.runs
    of_newer = _last_purchase(newer, newer_begin, newer_end, inputs)
    of_older = np.full(len(of_newer), -1, np.int64)
    rest = np.flatnonzero(of_newer < 0)
    of_older[rest] = _last_purchase(older, older_begin[rest], older_end[rest], inputs)
    customer = np.flatnonzero((of_newer >= 0) | (of_older >= 0))
    of_newer, of_older = of_newer[customer], of_older[customer]
    is_newer = of_newer >= 0
    store_code = np.empty(len(customer), np.int64)
    store_code[is_newer] = _known_codes(newer, of_newer[is_newer])
    store_code[~is_newer] = _known_codes(older, of_older[~is_newer]) + len(newer.store_names) + 1
    return _Eligible(
        layer=layer,
        customer=customer,
        rank=layer.rank[customer],
        num_settled=layer.num_settled[customer],
        store_code=store_code,
        store_names=[*newer.store_names, "", *older.store_names, ""],
    )


def _last_purchase(
    partition: Partition, begin: NDArray[np.int64], end: NDArray[np.int64], inputs: SnapshotInputs
) -> NDArray[np.int64]:
    """The row of the last purchase in [as_of - active_within, as_of) among the rows of each; -1 where there is none."""
    since_us = inputs.as_of_us - round(inputs.active_within_days * DAY_US)
    return find_latest(
        partition.timestamp_us, partition.kind, int(EventKind.PURCHASE), begin, end, since_us=since_us, before_us=inputs.as_of_us
    )


def _known_codes(partition: Partition, row: NDArray[np.int64]) -> NDArray[np.int64]:
    """Codes of stores; -1, "not known", as the one behind all names."""
    code = partition.store_code[row].astype(np.int64)
    code[code < 0] = len(partition.store_names)
    return code


def _store_ids(eligible: Sequence[_Eligible], order: NDArray[np.int64]) -> pa.StringArray:
    names: list[str] = []
    codes = []
    for one in eligible:
        codes.append(one.store_code + len(names))
        names += one.store_names
    return pa.array(names, pa.string()).take(pa.array(np.concatenate(codes)[order]))


def _put_together(
    one: _Eligible,
    memory: Memory | None,
    kept: NDArray[np.int64],
    settled: NDArray[np.bool_],
    inputs: SnapshotInputs,
    buffers: Buffers,
) -> tuple[Partition, NDArray[np.int64], NDArray[np.int64]]:
    """The partition that holds the customers' events, where each of them is in it, and how many first events it lacks of each.

    Of those who are settled it lacks what nobody reads: neither the state, which covers it, nor the summary, which looks at all
    columns of recent events and, beside the rhythm, at times and kinds of a year.
    """
    if isinstance(one.layer, Piece):
        return one.layer.partition, one.customer, np.zeros(len(one.customer), np.int64)
    older = one.layer.older
    begin, end = (rows[one.customer] for rows in one.layer.runs[:2])
    times, recent, news = begin.copy(), begin.copy(), begin.copy()
    if memory is not None:
        who = np.flatnonzero(settled & (end > begin))
        customer = np.searchsorted(older.offsets, begin[who])
        first_new = np.minimum(begin[who] + memory.num_events[kept[who]], end[who])
        last_covered = np.maximum(first_new - 1, begin[who])
        news[who] = first_new
        for rows, days in ((times, RHYTHM_REACH_DAYS), (recent, SUMMARY_REACH_DAYS)):
            reach_us = np.full(len(who), inputs.as_of_us - days * DAY_US)
            rows[who] = np.minimum(locate_instants(older.timestamp_us, older.offsets, customer, reach_us), last_covered)
    partition = one.layer.join(one.customer, Reach(times=times, recent=recent, news=news), buffers)
    return partition, np.arange(len(one.customer)), times - begin
