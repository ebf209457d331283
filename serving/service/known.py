"""Customers of the history who have no score: who they are, and why."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import IntegrityError, NoHistoryError, UnknownCustomerError
from engine.hashing import bucket_of
from engine.history import HISTORY_FOLDER, History
from engine.history.manifest import MANIFEST_NAME
from engine.instants import DAY_US
from engine.partition import Partition
from engine.storage import StoreLike, is_remote, resolve, signature_of
from serving.answers import IneligibleReason
from serving.snapshots import SnapshotInputs
from serving.snapshots.search import find_strings

_logger = logging.getLogger(__name__)

_REMOTE_INTERVAL_S = 1.0

_Answer = TypeVar("_Answer")


class KnownCustomers:
    """Looks customers up in the newest history of a store; safe to use from several threads.

    A store may hold snapshots and no history (a serving replica): then nobody is known beyond the snapshot.
    """

    def __init__(self, store: StoreLike) -> None:
        self._store = resolve(store)
        self._lock = threading.Lock()
        self._history: History | None = None
        self._signature: tuple[Any, ...] | None = None
        self._looked_at_s: float | None = None  # monotonic clock

    def why_unscored(self, customer_id: str, inputs: SnapshotInputs) -> IneligibleReason:
        """Why a customer without a row in a snapshot has none.

        raises : UnknownCustomerError
        """
        reason = self._ask(lambda history: _reason(*history.find(customer_id), inputs))
        if reason is None:
            raise UnknownCustomerError(customer_id)
        return reason

    def contains(self, customer_ids: pa.StringArray) -> NDArray[np.bool_]:
        """Whether the history holds each customer.

        customer_ids : string[num_wanted]
        returns      : bool[num_wanted]
        """
        is_known = self._ask(lambda history: _contains(history, customer_ids))
        return np.zeros(len(customer_ids), np.bool_) if is_known is None else is_known

    def _ask(self, question: Callable[[History], _Answer]) -> _Answer | None:
        """What the history answers; None where there is none.

        raises : IntegrityError, and what the question raises
        """
        history = self._current()
        if history is None:
            return None
        try:
            return question(history)
        except IntegrityError:
            # An ingest or an erasure may have swept a part that was not open yet: then there is a newer history to ask.
            newer = self._current()
            if newer is None or newer is history:
                raise
            return question(newer)

    def _current(self) -> History | None:
        """The history as it is now: opened again when its manifest was replaced."""
        with self._lock:
            # A local look is a `stat`; a remote one is a request, which not every unknown customer is worth.
            now_s = time.monotonic()
            if is_remote(self._store) and self._looked_at_s is not None and now_s - self._looked_at_s < _REMOTE_INTERVAL_S:
                return self._history
            signature = signature_of(self._store / HISTORY_FOLDER / MANIFEST_NAME)
            self._looked_at_s = now_s
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


def _contains(history: History, customer_ids: pa.StringArray) -> NDArray[np.bool_]:
    is_known = np.zeros(len(customer_ids), np.bool_)
    bucket = bucket_of(customer_ids, history.num_buckets)
    for number in np.unique(bucket):
        places = np.flatnonzero(bucket == number)
        wanted = customer_ids.take(pa.array(places))
        is_known[places] = find_strings(history.partition(int(number)).customer_ids, wanted) >= 0
    return is_known


def _reason(partition: Partition, customer: int, inputs: SnapshotInputs) -> IneligibleReason:
    begin, end = partition.offsets[customer], partition.offsets[customer + 1]
    bought_us = partition.timestamp_us[begin:end][partition.is_purchase[begin:end]]
    before_us = bought_us[bought_us < inputs.as_of_us]
    if len(before_us) == 0:
        return IneligibleReason.NO_PURCHASE_BEFORE_AS_OF
    if before_us[-1] < inputs.as_of_us - inputs.active_within_days * DAY_US:
        return IneligibleReason.NO_RECENT_PURCHASE
    return IneligibleReason.NOT_YET_RESCORED
