"""Layers of a bucket: who is in no part but the first is read where that lies, and only the others' events are put together.

A night touches some customers of every bucket. To fold whole buckets for them would copy the history every night. Nearly all of
them come with events that are later than all that is known: their rows are copied behind one another, for those who are asked for
and as far back as they are asked for, and nothing is merged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.coverage import Coverage
from engine.history.buffers import Buffers
from engine.history.events import NUMERIC_COLUMNS, BucketEvents, renumber, unite
from engine.history.folding import Columns, Excerpt, fold, fold_onto, to_partition
from engine.history.manifest import PartRecord
from engine.history.parts import empty_partition, read_both, read_events, read_partition
from engine.partition import Partition
from engine.schema import EVENT_SCHEMA
from engine.storage import Place
from kernels import JoinPlan, OrderedKeys, Runs, find_continued

_OF_TIMES = ("timestamp_us", "kind")
_OF_NEWS = ("quantity_milli", "num_products")


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """Customers of a bucket whose events lie together.

    partition   : holds their events; those of other customers in it are out of date
    is_here     : bool[num_customers of the partition]
    rank        : int64[num_customers of the partition]   where each that is here stands among all of the bucket, by id
    num_settled : int64[num_customers of the partition]   so many first events of each are those that the settled parts gave
    """

    partition: Partition
    is_here: NDArray[np.bool_]
    rank: NDArray[np.int64]
    num_settled: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, slots=True)
class Reach:
    """From which row of an older partition on somebody reads of each customer; each in the rows of the customer, or at their end.

    times  : int64[n]   times and kinds; what lies before is left out
    recent : int64[n]   all but quantities and products; not before times
    news   : int64[n]   all columns; not before recent
    """

    times: NDArray[np.int64]
    recent: NDArray[np.int64]
    news: NDArray[np.int64]

    def of(self, name: str) -> NDArray[np.int64]:
        """From which row on a column is read."""
        return self.times if name in _OF_TIMES else self.news if name in _OF_NEWS else self.recent


@dataclass(frozen=True, kw_only=True, slots=True)
class Continuation:
    """Customers of a bucket whose newer events all come after the older ones: two runs of rows each, until they are joined.

    customer_ids : string[num_customers]
    older, newer : hold the rows, and those of others
    runs         : int64[num_customers], four times: the rows of each in the older and in the newer partition
    rank, num_settled : int64[num_customers], as in Piece
    """

    customer_ids: pa.StringArray
    older: Partition
    newer: Partition
    runs: Runs
    rank: NDArray[np.int64]
    num_settled: NDArray[np.int64]

    def join(
        self, chosen: NDArray[np.int64] | None = None, reach: Reach | None = None, buffers: Buffers | None = None
    ) -> Partition:
        """Some of the customers with their events, all or the last ones.

        chosen  : int64[n]  indices of customers; None: all of them
        reach   : of the chosen; rows of a column before it are left out or hold anything. None: all columns of all rows
        buffers : where the events are to lie; what was joined there before is gone. None: new memory
        """
        older_begin, older_end, newer_begin, newer_end = self.runs
        customer_ids = self.customer_ids
        if chosen is not None:
            older_begin, older_end, newer_begin, newer_end = (rows[chosen] for rows in self.runs)
            customer_ids = customer_ids.take(pa.array(chosen))
        reach = Reach(times=older_begin, recent=older_begin, news=older_begin) if reach is None else reach
        plan = JoinPlan(self.older.num_events, self.newer.num_events, (reach.times, older_end, newer_begin, newer_end))
        buffers = Buffers() if buffers is None else buffers

        def joined(name: str, older: NDArray[Any], newer: NDArray[Any]) -> NDArray[Any]:
            values = buffers.take(name, older.dtype, plan.num_rows)
            plan.join(older, newer, values, older_from=reach.of(name))
            values.flags.writeable = False
            return values

        columns: dict[str, Any] = {
            name: joined(name, getattr(self.older, name), getattr(self.newer, name))
            for name in NUMERIC_COLUMNS
            if name != "order_key"
        }
        names = {}
        of_codes = (
            ("store_code", self.older.store_names, self.newer.store_names),
            ("channel_code", self.older.channel_names, self.newer.channel_names),
        )
        for name, older, newer in of_codes:
            united, of_older, of_newer = unite(pa.array(older, pa.string()), pa.array(newer, pa.string()))
            codes = renumber(getattr(self.older, name), of_older), renumber(getattr(self.newer, name), of_newer)
            columns[name] = joined(name, *codes)
            names[name] = united.to_pylist()
        return Partition(
            customer_ids=customer_ids,
            offsets=np.append(0, np.cumsum(older_end - reach.times + newer_end - newer_begin)),
            store_names=names["store_code"],
            channel_names=names["channel_code"],
            coverage=self.older.coverage,
            **columns,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Layers:
    """A bucket, every customer of it in one layer.

    customer_ids : string[num_customers of the bucket]   ascending
    alone        : who is in the first part only
    continued    : whose newer events come after those of the first part; None where there is nobody
    late         : the others, put together; None where there is nobody
    """

    customer_ids: pa.StringArray
    alone: Piece
    continued: Continuation | None
    late: Piece | None


def columns_of_first(parts: Sequence[PartRecord], *, is_settled: bool) -> frozenset[str]:
    """The columns of the first part that will be read of the layers of these parts; of the others all will be.

    is_settled : the first part is; what is read of it then is what `Reach` tells of, and nobody's news are among it
    """
    is_addition = all(part.is_addition for part in parts[1:])
    passed_over = (("order_key",) if is_addition else ()) + (_OF_NEWS if is_settled else ())
    return frozenset(EVENT_SCHEMA.names).difference(passed_over)


def read_layers(history: Place, parts: Sequence[PartRecord], coverage: Coverage, *, num_settled: int = 0) -> Layers:
    """The layers of a bucket of these parts, the oldest first.

    num_settled : so many first parts are settled: what they give of a customer is told by `num_settled` of the layers
    raises      : IntegrityError
    """
    if len(parts) < 2:
        whole = replace(read_partition(history, parts[0]) if parts else empty_partition(), coverage=coverage)
        settled = np.diff(whole.offsets) if num_settled else np.zeros(whole.num_customers, np.int64)
        return Layers(
            customer_ids=whole.customer_ids,
            alone=_all_of(whole, np.arange(whole.num_customers), settled),
            continued=None,
            late=None,
        )
    folded, arrivals = _fold_newer([read_events(history, part) for part in parts[1:]], num_settled - 1)
    partition, columns = read_both(history, parts[0])
    partition = replace(partition, coverage=coverage)
    customer_ids, rank, newer_rank = unite(partition.customer_ids, folded.customer_ids)
    is_touched = np.zeros(len(customer_ids), bool)
    is_touched[newer_rank] = True
    is_touched = is_touched[rank]
    known_as = np.searchsorted(newer_rank, rank)
    runs = _runs(partition, folded, is_touched, known_as)
    is_addition = all(part.is_addition for part in parts[1:])
    is_continued = find_continued(_keys(columns), _keys(folded.columns), runs, is_addition=is_addition)
    num_older, num_newer = runs[1] - runs[0], runs[3] - runs[2]
    if num_settled:
        settled = np.where(is_continued, num_older + arrivals.num_settled, 0)
        settled[~arrivals.has_arrived] = (num_older + num_newer)[~arrivals.has_arrived]
    else:
        settled = np.zeros(len(num_older), np.int64)
    alone = Piece(
        partition=partition,
        is_here=~is_touched,
        rank=rank,
        num_settled=np.diff(partition.offsets) if num_settled else np.zeros(len(rank), np.int64),
    )
    continued = late = None
    if is_continued.any():
        older_begin, older_end, newer_begin, newer_end = (rows[is_continued] for rows in runs)
        continued = Continuation(
            customer_ids=folded.customer_ids.filter(pa.array(is_continued)),
            older=partition,
            newer=to_partition(folded),
            runs=(older_begin, older_end, newer_begin, newer_end),
            rank=newer_rank[is_continued],
            num_settled=settled[is_continued],
        )
    if not is_continued.all():
        events = folded.take(np.flatnonzero(~is_continued[folded.customer]))
        late_rank = newer_rank[~is_continued]
        is_late = np.isin(rank, late_rank, assume_unique=True)
        merged = to_partition(fold_onto(_excerpt(partition, columns, is_late, np.searchsorted(late_rank, rank)), events))
        late = _all_of(replace(merged, coverage=coverage), late_rank, settled[~is_continued])
    return Layers(customer_ids=customer_ids, alone=alone, continued=continued, late=late)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Arrivals:
    """What is settled of the customers of newer parts, as numbered by these folded.

    has_arrived : bool[num_customers]    is in a part that is not settled
    num_settled : int64[num_customers]   so many first events are those that the settled ones of these parts gave
    """

    has_arrived: NDArray[np.bool_]
    num_settled: NDArray[np.int64]


def _fold_newer(parts: Sequence[BucketEvents], num_settled: int) -> tuple[BucketEvents, _Arrivals]:
    """num_settled : so many first ones of these parts are settled"""
    if num_settled <= 0:
        folded = fold(parts)
        shape = len(folded.customer_ids)
        return folded, _Arrivals(has_arrived=np.ones(shape, bool), num_settled=np.zeros(shape, np.int64))
    settled = fold(parts[:num_settled])
    if num_settled >= len(parts):
        has_arrived = np.zeros(len(settled.customer_ids), bool)
        return settled, _Arrivals(has_arrived=has_arrived, num_settled=_num_events(settled))
    arrived = fold(parts[num_settled:])
    folded = fold([settled, arrived])
    begins, ends = np.zeros((2, len(folded.customer_ids)), np.int64), np.zeros((2, len(folded.customer_ids)), np.int64)
    for place, events in enumerate((settled, arrived)):
        known_as = np.asarray(pc.index_in(events.customer_ids, value_set=folded.customer_ids)).astype(np.int64)
        begins[place, known_as] = events.first_event
        ends[place, known_as] = events.first_event + _num_events(events)
    runs = (begins[0], ends[0], begins[1], ends[1])
    is_continued = find_continued(_keys(settled.columns), _keys(arrived.columns), runs)
    has_arrived = ends[1] > begins[1]
    return folded, _Arrivals(has_arrived=has_arrived, num_settled=np.where(is_continued, ends[0] - begins[0], 0))


def _num_events(events: BucketEvents) -> NDArray[np.int64]:
    return np.diff(np.append(events.first_event, events.num_events))


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


def _all_of(partition: Partition, rank: NDArray[np.int64], num_settled: NDArray[np.int64]) -> Piece:
    return Piece(partition=partition, is_here=np.ones(partition.num_customers, bool), rank=rank, num_settled=num_settled)


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
