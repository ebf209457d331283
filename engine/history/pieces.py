"""Pieces of a bucket: who is in no part but the first is read where that lies, and only the others' events are folded.

A night touches some customers of every bucket. To fold whole buckets for them would copy the history every night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.coverage import Coverage
from engine.history.events import unite
from engine.history.folding import Columns, Excerpt, fold, fold_onto, to_partition
from engine.history.manifest import PartRecord
from engine.history.parts import empty_partition, read_both, read_events, read_partition
from engine.partition import Partition
from engine.storage import Place


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
        return (_whole(read_partition(history, parts[0]) if parts else empty_partition(), coverage),)
    newer = fold([read_events(history, part) for part in parts[1:]])
    partition, columns = read_both(history, parts[0])
    _, rank, newer_rank = unite(partition.customer_ids, newer.customer_ids)
    is_touched = np.isin(rank, newer_rank, assume_unique=True)
    folded = to_partition(fold_onto(_excerpt(partition, columns, is_touched, np.searchsorted(newer_rank, rank)), newer))
    return (
        Piece(partition=replace(partition, coverage=coverage), is_here=~is_touched, rank=rank),
        Piece(partition=replace(folded, coverage=coverage), is_here=np.ones(folded.num_customers, bool), rank=newer_rank),
    )


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


def _whole(partition: Partition, coverage: Coverage) -> Piece:
    num_customers = partition.num_customers
    return Piece(
        partition=replace(partition, coverage=coverage), is_here=np.ones(num_customers, bool), rank=np.arange(num_customers)
    )
