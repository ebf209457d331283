"""Pieces of a bucket: who is in no part but the first is read where that lies, and only the others' events are put together.

A night touches some customers of every bucket. To fold whole buckets for them would copy the history every night. Nearly all of
them come with events that are later than all that is known: their rows are copied behind one another, and nothing is merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.coverage import Coverage
from engine.history.events import NUMERIC_COLUMNS, BucketEvents, renumber, unite
from engine.history.folding import Columns, Excerpt, fold, fold_onto, to_partition
from engine.history.manifest import PartRecord
from engine.history.parts import empty_partition, read_both, read_events, read_partition
from engine.partition import Partition
from engine.storage import Place
from kernels import OrderedKeys, Runs, find_continued, join_runs


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Some customers of a bucket. Every customer of a bucket is in one of its pieces, once.

    partition : holds their events; those of other customers in it are out of date
    is_here   : bool[num_customers of the partition]
    rank      : int64[num_customers of the partition]   where each that is here stands among all of the bucket, by id
    """

    partition: Partition
    is_here: NDArray[np.bool_]
    rank: NDArray[np.int64]


def read_pieces(history: Place, parts: Sequence[PartRecord], coverage: Coverage) -> tuple[Piece, ...]:
    """The pieces of a bucket of these parts, the oldest first.

    raises : IntegrityError
    """
    if len(parts) < 2:
        whole = replace(read_partition(history, parts[0]) if parts else empty_partition(), coverage=coverage)
        return (_all_of(whole, np.arange(whole.num_customers)),)
    newer = fold([read_events(history, part) for part in parts[1:]])
    partition, columns = read_both(history, parts[0])
    _, rank, newer_rank = unite(partition.customer_ids, newer.customer_ids)
    known_as = np.searchsorted(newer_rank, rank)
    is_touched = np.isin(rank, newer_rank, assume_unique=True)
    runs = _runs(partition, newer, is_touched, known_as)
    is_continued = find_continued(_keys(columns), _keys(newer.columns), runs)
    pieces = [Piece(partition=partition, is_here=~is_touched, rank=rank)]
    if is_continued.any():
        older_begin, older_end, newer_begin, newer_end = (rows[is_continued] for rows in runs)
        customer_ids = newer.customer_ids.filter(pa.array(is_continued))
        joined = _join(partition, newer, customer_ids, (older_begin, older_end, newer_begin, newer_end))
        pieces.append(_all_of(joined, newer_rank[is_continued]))
    if not is_continued.all():
        late = newer.take(np.flatnonzero(~is_continued[newer.customer]))
        late_rank = newer_rank[~is_continued]
        is_late = np.isin(rank, late_rank, assume_unique=True)
        folded = fold_onto(_excerpt(partition, columns, is_late, np.searchsorted(late_rank, rank)), late)
        pieces.append(_all_of(to_partition(folded), late_rank))
    return tuple(replace(piece, partition=replace(piece.partition, coverage=coverage)) for piece in pieces)


def _keys(columns: Columns) -> OrderedKeys:
    times: NDArray[Any] = columns["timestamp_us"]
    keys: NDArray[Any] = columns["order_key"]
    kinds: NDArray[Any] = columns["kind"]
    return times, keys, kinds


def _runs(partition: Partition, newer: BucketEvents, is_touched: NDArray[np.bool_], known_as: NDArray[np.int64]) -> Runs:
    """int64[num_customers of newer], four times: the rows of each in the partition, none of who is not in it, and in newer."""
    older_begin, older_end = np.zeros((2, len(newer.customer_ids)), np.int64)
    older_begin[known_as[is_touched]] = partition.offsets[:-1][is_touched]
    older_end[known_as[is_touched]] = partition.offsets[1:][is_touched]
    newer_begin = newer.first_event
    return older_begin, older_end, newer_begin, np.append(newer_begin[1:], newer.num_events)


def _join(partition: Partition, newer: BucketEvents, customer_ids: pa.StringArray, runs: Runs) -> Partition:
    """Customers whose newer events come after the older ones."""
    columns: dict[str, Any] = {}
    for name in NUMERIC_COLUMNS:
        if name != "order_key":
            columns[name] = join_runs(getattr(partition, name), newer.columns[name], *runs)
    names = {}
    for name, texts in (("store_code", partition.store_names), ("channel_code", partition.channel_names)):
        names[name], of_older, of_newer = unite(pa.array(texts, pa.string()), newer.names[name])
        codes = renumber(getattr(partition, name), of_older), renumber(newer.columns[name], of_newer)
        columns[name] = join_runs(*codes, *runs)
    for values in columns.values():
        values.flags.writeable = False
    older_begin, older_end, newer_begin, newer_end = runs
    return Partition(
        customer_ids=customer_ids,
        offsets=np.append(0, np.cumsum(older_end - older_begin + newer_end - newer_begin)),
        store_names=names["store_code"].to_pylist(),
        channel_names=names["channel_code"].to_pylist(),
        **columns,
    )


def _all_of(partition: Partition, rank: NDArray[np.int64]) -> Piece:
    return Piece(partition=partition, is_here=np.ones(partition.num_customers, bool), rank=rank)


def _excerpt(partition: Partition, columns: Columns, is_touched: NDArray[np.bool_], known_as: NDArray[np.int64]) -> Excerpt:
    """known_as : int64[num_customers], how a newer part numbers those that are touched"""
    lengths = np.where(is_touched, np.diff(partition.offsets), 0)
    stop = np.cumsum(lengths)
    row = np.repeat(partition.offsets[:-1] - stop + lengths, lengths) + np.arange(lengths.sum())
    names = {"store_code": partition.store_names, "channel_code": partition.channel_names}
    return Excerpt(
        customer=np.repeat(known_as, lengths),
        row=row,
        columns=columns,
        names={name: pa.array(texts, pa.string()) for name, texts in names.items()},
    )
