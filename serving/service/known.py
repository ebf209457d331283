"""Customers of the history who have no score: who they are, and why."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import NoHistoryError, UnknownCustomerError
from engine.hashing import bucket_of
from engine.history import History
from engine.instants import DAY_US
from engine.partition import Partition
from serving.answers import IneligibleReason
from serving.snapshots import SnapshotInputs
from serving.snapshots.search import find_strings

_logger = logging.getLogger(__name__)


class KnownCustomers:
    """Looks customers up in the newest history of a store; safe to use from several threads.

    A store may hold snapshots and no history (a serving replica): then nobody is known beyond the snapshot.
    """

    def __init__(self, store: str | Path) -> None:
        self._store = Path(store)
        self._lock = threading.Lock()
        self._history: History | None = None
        self._signature: tuple[int, int, int] | None = None

    def why_unscored(self, customer_id: str, inputs: SnapshotInputs) -> IneligibleReason:
        """Why a customer without a row in a snapshot has none.

        raises : UnknownCustomerError
        """
        history = self._current()
        if history is None:
            raise UnknownCustomerError(customer_id)
        return _reason(*history.find(customer_id), inputs)

    def contains(self, customer_ids: pa.StringArray) -> NDArray[np.bool_]:
        """Whether the history holds each customer.

        customer_ids : string[num_wanted]
        returns      : bool[num_wanted]
        """
        is_known = np.zeros(len(customer_ids), np.bool_)
        history = self._current()
        if history is None or len(customer_ids) == 0:
            return is_known
        bucket = bucket_of(customer_ids, history.num_buckets)
        for number in np.unique(bucket):
            places = np.flatnonzero(bucket == number)
            wanted = customer_ids.take(pa.array(places))
            is_known[places] = find_strings(history.partition(int(number)).customer_ids, wanted) >= 0
        return is_known

    def _current(self) -> History | None:
        """The history as it is now: opened again when its manifest was replaced."""
        with self._lock:
            signature = self._read_signature()
            if signature != self._signature or self._history is None:
                self._history = self._open()
                self._signature = signature
            return self._history

    def _open(self) -> History | None:
        try:
            return History.open(self._store)
        except NoHistoryError:
            _logger.warning("%s holds no history: customers without a score are answered as unknown", self._store)
            return None

    def _read_signature(self) -> tuple[int, int, int] | None:
        try:
            stat = (self._store / "history" / "manifest.json").stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _reason(partition: Partition, customer: int, inputs: SnapshotInputs) -> IneligibleReason:
    begin, end = partition.offsets[customer], partition.offsets[customer + 1]
    bought_us = partition.timestamp_us[begin:end][partition.is_purchase[begin:end]]
    before_us = bought_us[bought_us < inputs.as_of_us]
    if len(before_us) == 0:
        return IneligibleReason.NO_PURCHASE_BEFORE_AS_OF
    if before_us[-1] < inputs.as_of_us - inputs.active_within_days * DAY_US:
        return IneligibleReason.NO_RECENT_PURCHASE
    return IneligibleReason.NOT_YET_RESCORED
