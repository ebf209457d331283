"""The events of one customer: slices of parts, and what comes on top of them, folded as whole parts are.

A live call has one customer and a millisecond, so that a slice is a view for as long as nothing is added to it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.coverage import Coverage
from engine.history.events import CODE_COLUMNS, identity
from engine.partition import Partition
from engine.schema import EVENT_SCHEMA

Columns = Mapping[str, NDArray[np.generic]]

_ORDER_AT_REST = ("timestamp_us", "order_key", "kind")  # within a customer; the first counts first
_FEW = 16
_NOBODY = pa.array([""], pa.string())


class NameBook:
    """What the codes of a code column stand for: the names of a part, and behind them those that came later.

    names : of the part, by code
    index : name -> code, the reverse
    """

    __slots__ = ("_further", "_further_index", "_index", "_names")

    def __init__(self, names: Sequence[str] = (), index: Mapping[str, int] | None = None) -> None:
        self._names = names
        self._index = index if index is not None else {name: code for code, name in enumerate(names)}
        self._further: list[str] = []
        self._further_index: dict[str, int] = {}

    def name(self, code: int) -> str:
        """The name behind a code; "" for -1, "not known"."""
        if code < 0:
            return ""
        return self._names[code] if code < len(self._names) else self._further[code - len(self._names)]

    def code(self, name: str) -> int:
        """The code of a name, a new one where it is not in the book; -1 for ""."""
        if not name:
            return -1
        known = self._index.get(name)
        if known is not None:
            return known
        if name not in self._further_index:
            self._further_index[name] = len(self._names) + len(self._further)
            self._further.append(name)
        return self._further_index[name]

    def copy(self) -> NameBook:
        """One to add to, while others read this one."""
        book = NameBook(self._names, self._index)
        book._further, book._further_index = list(self._further), dict(self._further_index)
        return book


@dataclass(frozen=True, kw_only=True, slots=True)
class CustomerEvents:
    """Events of one customer in the order at rest: by time, order key and kind; no two versions of one event.

    columns  : name -> [num_events], all of engine.schema.EVENT_SCHEMA
    books    : code column -> what its codes stand for
    """

    columns: Columns
    books: Mapping[str, NameBook] = field(default_factory=lambda: {name: NameBook() for name in CODE_COLUMNS})

    @property
    def num_events(self) -> int:
        return len(self.columns["timestamp_us"])

    def to_partition(self, coverage: Coverage) -> Partition:
        """The one customer as kernels and tokens take them; the names stay in the books."""
        columns = self.columns
        return Partition(
            customer_ids=_NOBODY,
            offsets=np.array([0, self.num_events], np.int64),
            store_names=(),
            channel_names=(),
            coverage=coverage,
            **{name: columns[name] for name in EVENT_SCHEMA.names if name != "order_key"},  # type: ignore[arg-type]  # of the schema
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Merged:
    """What became of events when newer ones came on top.

    num_kept : the first so many events are those that there were, untouched
    added    : columns of those newer ones that say something new
    replaced : columns of the old versions
    """

    events: CustomerEvents
    num_kept: int
    added: Columns
    replaced: Columns


def merge(older: CustomerEvents, newer: CustomerEvents) -> Merged:
    """The events of both, where of two versions of one the newer stands, as ingesting the newer ones would have it.

    newer : at most one version of each event, in the order at rest
    """
    books = {name: older.books[name].copy() for name in CODE_COLUMNS}
    arriving = {**newer.columns, **{name: _recode(newer, name, books[name]) for name in CODE_COLUMNS}}
    num_older = older.num_events
    replaced, is_same = _meet(older.columns, arriving)
    if is_same.any():
        arriving = {name: values[~is_same] for name, values in arriving.items()}
    gone = {name: values[replaced] for name, values in older.columns.items()} if len(replaced) else _none_of(older.columns)
    if len(arriving["kind"]) == 0:
        return Merged(events=older, num_kept=num_older, added=arriving, replaced=gone)
    columns = {name: np.concatenate((values, arriving[name])) for name, values in older.columns.items()}
    num_kept = num_older
    if len(replaced) or (num_older and _key(arriving, 0) < _key(older.columns, num_older - 1)):
        order = np.lexsort(tuple(columns[name] for name in reversed(_ORDER_AT_REST)))
        if len(replaced):
            order = order[~np.isin(order, replaced)]
        columns = {name: values[order] for name, values in columns.items()}
        is_moved = order[:num_older] != np.arange(len(order[:num_older]))
        num_kept = int(np.argmax(is_moved)) if is_moved.any() else min(len(order), num_older)
    return Merged(events=CustomerEvents(columns=columns, books=books), num_kept=num_kept, added=arriving, replaced=gone)


def sort_events(columns: Columns) -> Columns:
    """Columns in the order at rest."""
    times_us = columns["timestamp_us"].astype(np.int64, copy=False)
    if (times_us[1:] > times_us[:-1]).all():
        return columns
    order = np.lexsort(tuple(columns[name] for name in reversed(_ORDER_AT_REST)))
    if (order == np.arange(len(order))).all():
        return columns
    return {name: values[order] for name, values in columns.items()}


def _meet(older: Columns, newer: Columns) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows of the older events that a newer one replaces, and bool[num_newer]: which newer ones an older one equals."""
    is_same = np.zeros(len(newer["kind"]), bool)
    suspects = _rows_with(older["order_key"], newer["order_key"])
    if len(suspects) == 0:
        return suspects, is_same
    row_of = {key: row for row, key in enumerate(zip(*(values.tolist() for values in identity(newer)), strict=True))}
    replaced = []
    for row, key in zip(suspects, zip(*(values.tolist() for values in identity(older, suspects)), strict=True), strict=True):
        ours = row_of.get(key)
        if ours is None:
            continue
        if all(older[name][row] == newer[name][ours] for name in EVENT_SCHEMA.names):
            is_same[ours] = True
        else:
            replaced.append(row)
    return np.array(replaced, np.int64), is_same


def _rows_with(keys: NDArray[np.generic], wanted: NDArray[np.generic]) -> NDArray[np.int64]:
    """The rows whose key is among the wanted; comparing each with each is quicker than sorting while they are few."""
    if len(wanted) <= _FEW:
        return np.flatnonzero((keys == wanted[:, None]).any(axis=0))
    return np.flatnonzero(np.isin(keys, wanted))


def _recode(newer: CustomerEvents, name: str, book: NameBook) -> NDArray[np.int32]:
    theirs, code_of = newer.books[name], {}
    codes = newer.columns[name].tolist()
    for code in codes:
        if code not in code_of:
            code_of[code] = book.code(theirs.name(code))
    return np.array([code_of[code] for code in codes], np.int32)


def _key(columns: Columns, row: int) -> tuple[int, ...]:
    return tuple(int(columns[name][row]) for name in _ORDER_AT_REST)


def _none_of(columns: Columns) -> Columns:
    return {name: values[:0] for name, values in columns.items()}
