"""The history: all events of all customers, bucket by bucket, as memory-mapped partitions."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from engine.activity import DailyActivity, measure_activity
from engine.errors import AsOfError, InvalidArgumentError, UnknownCustomerError
from engine.files import is_utf8
from engine.hashing import bucket_of
from engine.history.checks import check_parts
from engine.history.folding import fold, to_partition
from engine.history.layers import Layers, columns_of_first, read_layers
from engine.history.manifest import Manifest, PartRecord, read_manifest
from engine.history.parts import (
    empty_partition,
    find_missing,
    find_part_problems,
    integrity_error,
    read_events,
    read_partition,
)
from engine.history.reading_ahead import read_parts_ahead
from engine.instants import DAY_US, format_instant, next_midnight
from engine.partition import Partition
from engine.storage import Place, StoreLike, is_remote, resolve

HISTORY_FOLDER = "history"
_NUM_KEPT_OPEN = 64  # partitions; each holds two file descriptors, and 1,024 is a usual limit
# Of those that lie in memory, as the ones that are views of a local file do not: folded from several parts, or fetched.
_NUM_KEPT_EVENTS = 4_000_000


class History:
    """One committed state of the history; a later ingest does not change what an open one sees.

        history = History.open("store")
        partition, row = history.find("17850")
        for partition in history.partitions(): ...

    store         : the folder that holds `history/`
    manifest_hash : "sha256:…" of the manifest's bytes; names the state
    """

    def __init__(self, store: Place, manifest: Manifest, manifest_hash: str) -> None:
        self.store = store
        self.manifest = manifest
        self.manifest_hash = manifest_hash
        self._coverage = manifest.coverage
        self._parts: dict[int, tuple[PartRecord, ...]] = manifest.parts_by_bucket()
        # Buckets that lie in memory once they are read, and are no views of a local file.
        self._in_memory = {bucket for bucket, parts in self._parts.items() if is_remote(store) or len(parts) > 1}
        self._kept_open: OrderedDict[int, Partition] = OrderedDict()
        self._lock = threading.Lock()
        self._activity: DailyActivity | None = None

    @classmethod
    def open(cls, store: StoreLike) -> History:
        """The state that the manifest names now.

        raises : NoHistoryError; IntegrityError where the manifest is damaged or a part is missing or cut short
        """
        store = resolve(store)
        folder = store / HISTORY_FOLDER
        manifest, manifest_hash = read_manifest(folder)
        for problem in find_missing(folder, manifest.parts):
            raise integrity_error(problem)
        return cls(store, manifest, manifest_hash)

    def __reduce__(self) -> tuple[Any, ...]:
        # A worker maps the files itself; the state stays the one that was opened here.
        return History, (self.store, self.manifest, self.manifest_hash)

    @property
    def num_buckets(self) -> int:
        return self.manifest.num_buckets

    def bucket_of(self, customer_id: str) -> int:
        """The bucket in which a customer lives, known or not."""
        return int(bucket_of(pa.array([customer_id], pa.string()), self.num_buckets)[0])

    def partition(self, bucket: int) -> Partition:
        """The events of a bucket; an empty partition where no customer falls into it.

        Of one part it is a view of the files; several are folded here, and kept while there is room.

        raises : InvalidArgumentError for a bucket that there is not; IntegrityError
        """
        if not 0 <= bucket < self.num_buckets:
            raise InvalidArgumentError("bucket", f"found {bucket}, expected 0 to {self.num_buckets - 1}")
        with self._lock:
            partition = self._kept_open.get(bucket)
        if partition is None:
            partition = self._read(bucket)  # outside the lock: threads read buckets side by side
        with self._lock:
            partition = self._kept_open.setdefault(bucket, partition)
            self._kept_open.move_to_end(bucket)
            while len(self._kept_open) > 1 and self._holds_too_much():
                self._kept_open.popitem(last=False)
        return partition

    def partitions(self) -> Iterator[Partition]:
        """All partitions in the order of the buckets."""
        return (self.partition(bucket) for bucket in range(self.num_buckets))

    def find(self, customer_id: str) -> tuple[Partition, int]:
        """The partition of a customer and the customer's row in it.

        raises : UnknownCustomerError
        """
        if not is_utf8(customer_id):  # bytes of a command line that are no text: no file brings such an id
            raise UnknownCustomerError(customer_id)
        partition = self.partition(self.bucket_of(customer_id))
        row = partition.find(customer_id)
        if row is None:
            raise UnknownCustomerError(customer_id)
        return partition, row

    def _read(self, bucket: int) -> Partition:
        folder = self.store / HISTORY_FOLDER
        parts = self._parts.get(bucket, ())
        if not parts:
            partition = empty_partition()
        elif len(parts) == 1:
            partition = read_partition(folder, parts[0])
        else:
            partition = to_partition(fold([read_events(folder, part) for part in parts]))
        return dataclasses.replace(partition, coverage=self._coverage)

    def _holds_too_much(self) -> bool:
        num_in_memory = sum(self._kept_open[bucket].num_events for bucket in self._kept_open.keys() & self._in_memory)
        return len(self._kept_open) > _NUM_KEPT_OPEN or num_in_memory > _NUM_KEPT_EVENTS

    def activity(self) -> DailyActivity:
        """Orders of the whole chain per day, as the manifest keeps them; else counted, once per object."""
        if self._activity is None:
            self._activity = self.manifest.activity or measure_activity(self.partitions())
        return self._activity

    def check_as_of(self, as_of_us: int, *, horizon_days: int = 0) -> None:
        """Refuse an instant before which nothing is known, or after which the horizon is not known to its end.

        Possible: first order < as_of and as_of + horizon <= the midnight (UTC) after the last order. Other events do not count:
        a log of visits that goes on after that of orders says nothing about who bought.
        raises : AsOfError with the first and the last possible date; InvalidArgumentError for a horizon below 0
        """
        if horizon_days < 0:
            raise InvalidArgumentError("horizon_days", f"found {horizon_days}, expected 0 or more")
        first_us, last_us = self.manifest.first_order_us, self.manifest.last_order_us
        if first_us is None or last_us is None:
            raise AsOfError(
                f"as-of {format_instant(as_of_us)} is not possible: the history of {self.store} holds no orders; "
                "ingest purchases first"
            )
        end_us = next_midnight(last_us)
        if first_us < as_of_us <= end_us - horizon_days * DAY_US:
            return
        first_date, last_date = next_midnight(first_us), end_us - horizon_days * DAY_US
        known = f"the orders go from {format_instant(first_us)} to {format_instant(last_us)}"
        horizon = f" with a horizon of {horizon_days} days" if horizon_days else ""
        if first_date > last_date:
            most_days = (end_us - first_date) // DAY_US
            possible = f"expected a horizon of at most {most_days} days"
        else:
            possible = f"expected a date from {format_instant(first_date)} to {format_instant(last_date)}"
        raise AsOfError(f"as-of {format_instant(as_of_us)}{horizon} is not possible: {known}; {possible}")

    def parts(self, bucket: int) -> tuple[PartRecord, ...]:
        """The parts of a bucket, the oldest first."""
        return self._parts.get(bucket, ())

    def layers(self, bucket: int, *, settled: Sequence[str] = ()) -> Layers:
        """The events of a bucket for one pass: nothing is kept, and as little as can be is put together.

        settled : hashes of the parts that the bucket had once; of no use, and all is new, unless they are its first ones still
        raises  : IntegrityError
        """
        return read_layers(
            self.store / HISTORY_FOLDER, self.parts(bucket), self._coverage, num_settled=self._num_settled(bucket, settled)
        )

    def read_ahead(self, bucket: int, *, settled: Sequence[str] = ()) -> None:
        """Have the disk bring what `layers` of the bucket will be read for, without waiting: time passes until it is asked."""
        parts = self.parts(bucket)
        columns = columns_of_first(parts, is_settled=self._num_settled(bucket, settled) > 0)
        read_parts_ahead(self.store / HISTORY_FOLDER, parts, columns)

    def _num_settled(self, bucket: int, settled: Sequence[str]) -> int:
        are_first = [part.sha256 for part in self.parts(bucket)[: len(settled)]] == list(settled)
        return len(settled) if are_first else 0

    def check(self, bucket: int, *, again: bool = False) -> int:
        """Hash the parts of a bucket that were not hashed before, or all; see `engine.history.checks`.

        returns : how many were hashed
        raises  : IntegrityError naming the first file that is not as it was written
        """
        return check_parts(self.store / HISTORY_FOLDER, bucket, self.parts(bucket), again=again)

    def verify(self) -> list[str]:
        """Hash every byte of every part; a line for each problem, none if all is well."""
        folder = self.store / HISTORY_FOLDER
        return [problem for part in self.manifest.parts for problem in find_part_problems(folder, part)]
