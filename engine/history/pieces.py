"""Pieces of a bucket: who is in no part but the first is read where that lies, and only the others' events are folded.

A night touches some customers of every bucket. To fold whole buckets for them would copy the history every night.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from engine.coverage import Coverage
from engine.history.events import unite
from engine.history.folding import fold, to_partition
from engine.history.manifest import PartRecord
from engine.history.parts import empty_partition, read_events, read_partition, read_split
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
    partition, touched, older = read_split(history, parts[0], newer.customer_ids)
    folded = to_partition(fold([older, newer]) if older.num_events else newer)
    _, rank, folded_rank = unite(partition.customer_ids, folded.customer_ids)
    is_here = np.ones(partition.num_customers, bool)
    is_here[touched] = False
    return (
        Piece(partition=replace(partition, coverage=coverage), is_here=is_here, rank=rank),
        Piece(partition=replace(folded, coverage=coverage), is_here=np.ones(folded.num_customers, bool), rank=folded_rank),
    )


def _whole(partition: Partition, coverage: Coverage) -> Piece:
    num_customers = partition.num_customers
    return Piece(
        partition=replace(partition, coverage=coverage), is_here=np.ones(num_customers, bool), rank=np.arange(num_customers)
    )
