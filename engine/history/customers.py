"""Customers of a history one by one: the parts stay mapped, and nothing but the customer's own rows is touched.

`History.find` folds a whole bucket where it has several parts, which is right for a job and takes too long for one call.
"""

from __future__ import annotations

import resource
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.history.customer_events import CustomerEvents, NameBook, merge
from engine.history.events import CODE_COLUMNS, find_text
from engine.history.history import HISTORY_FOLDER, History
from engine.history.manifest import PartRecord
from engine.history.parts import first_events, map_part, names_of
from engine.prefault import prefault
from engine.schema import EVENT_SCHEMA
from engine.storage import is_remote

# Of the file descriptors that a process may have: a part holds two, and a snapshot one for each bucket.
_SHARE_KEPT_OPEN = 1 / 3
_MOST_KEPT_OPEN = 8192

HashesByBucket = Mapping[int, Sequence[str]]  # PartRecord.sha256 of each part of a bucket, the oldest first


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundCustomer:
    """What a history has of a customer.

    num_settled : the first so many events are what they were in an earlier state of the history, and where they were
    """

    events: CustomerEvents
    num_settled: int


class CustomerLookup:
    """Finds customers in one state of a history; safe to use from several threads."""

    def __init__(self, history: History) -> None:
        self._folder = history.store / HISTORY_FOLDER
        self._parts = history.manifest.parts_by_bucket()
        self._open: OrderedDict[str, _OpenPart] = OrderedDict()
        self._lock = threading.Lock()
        most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        can_keep = _MOST_KEPT_OPEN if most_files == resource.RLIM_INFINITY else int(most_files * _SHARE_KEPT_OPEN / 2)
        self._num_kept_open = min(can_keep, _MOST_KEPT_OPEN)

    def find(self, customer_id: str, bucket: int, *, settled: HashesByBucket) -> FoundCustomer | None:
        """The events of a customer; None where the history has none.

        bucket  : of the customer
        settled : hashes of the parts of an earlier state of the history; a bucket that is left out has nothing settled
        raises  : IntegrityError where a part is gone or damaged
        """
        parts = self._parts.get(bucket, ())
        earlier = settled.get(bucket, ())
        # Parts are never changed: where the earlier ones are still the first, all that they say is still there to be replaced.
        is_prefix = [part.sha256 for part in parts[: len(earlier)]] == list(earlier)
        num_settled_parts = len(earlier) if is_prefix else 0
        found: CustomerEvents | None = None
        num_settled = 0
        for place, part in enumerate(parts):
            newer = self._open_part(part).slice(customer_id)
            is_settled = place < num_settled_parts
            if newer is None:
                continue
            if found is None:
                found, num_settled = newer, newer.num_events if is_settled else 0
                continue
            merged = merge(found, newer)
            found = merged.events
            num_settled = found.num_events if is_settled else min(num_settled, merged.num_kept)
        return None if found is None else FoundCustomer(events=found, num_settled=num_settled)

    def prefault(self, *, most_bytes: int, is_wanted: Callable[[], bool]) -> int:
        """Open the parts and map their pages, so that no look-up has to wait for that; returns the bytes mapped.

        most_bytes : for a history that is larger its later buckets are left as they are
        is_wanted  : asked before each part; False ends it
        raises     : IntegrityError where a part is gone or damaged

        A remote history is left alone: its parts are fetched whole, when they are asked for.
        """
        if is_remote(self._folder):
            return 0
        num_bytes = 0
        for place, record in enumerate(part for parts in self._parts.values() for part in parts):
            left = most_bytes - num_bytes
            if record.customers_bytes + record.events_bytes > left or place >= self._num_kept_open or not is_wanted():
                break
            num_bytes += sum(map(prefault, self._open_part(record).batches))
        return num_bytes

    def _open_part(self, record: PartRecord) -> _OpenPart:
        with self._lock:
            part = self._open.get(record.path)
            if part is not None:
                self._open.move_to_end(record.path)
                return part
        customers, events = map_part(self._folder, record)  # outside the lock: threads open parts side by side
        names = names_of(events, self._folder / record.files[1][0])
        part = _OpenPart(
            batches=(customers, events),
            customer_ids=customers.column("customer_id"),
            stops=np.append(first_events(customers, events, self._folder / record.files[0][0]), events.num_rows),
            columns={name: events.column(name).to_numpy(zero_copy_only=True) for name in EVENT_SCHEMA.names},
            books={name: NameBook(names[name]) for name in CODE_COLUMNS},
        )
        with self._lock:
            part = self._open.setdefault(record.path, part)
            while len(self._open) > self._num_kept_open:
                self._open.popitem(last=False)
        return part


@dataclass(frozen=True, kw_only=True, slots=True)
class _OpenPart:
    """A mapped part; customer i owns rows [stops[i], stops[i + 1])."""

    batches: tuple[pa.RecordBatch, pa.RecordBatch]
    customer_ids: pa.StringArray
    stops: NDArray[np.int64]
    columns: Mapping[str, NDArray[np.generic]]
    books: Mapping[str, NameBook]

    def slice(self, customer_id: str) -> CustomerEvents | None:
        """The events of a customer as views."""
        row = find_text(self.customer_ids, customer_id)
        if row < 0:
            return None
        rows = slice(int(self.stops[row]), int(self.stops[row + 1]))
        return CustomerEvents(columns={name: values[rows] for name, values in self.columns.items()}, books=self.books)
