"""Where live scores come from as time goes on: taken up anew when the snapshot or the history is another one."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import pyarrow as pa

from engine.errors import (
    EbbtideError,
    IntegrityError,
    NoHistoryError,
    NoSnapshotError,
    PrerequisiteError,
    RemoteError,
)
from engine.history import HISTORY_FOLDER, History
from engine.history.manifest import MANIFEST_NAME
from engine.prefault import memory_bytes
from engine.storage import StoreLike, resolve, signature_of
from serving.service.bundles import find_bundle
from serving.service.live.state import LiveState
from serving.service.reasoning import usual_of
from serving.snapshots import Snapshot
from training.bundles.bundle import Bundle

_logger = logging.getLogger(__name__)

# What failed is tried again this often: a model may be copied beside the snapshot, a damaged file restored.
_RETRY_S = 5.0

# Of the memory: the system drops what is mapped where it needs the room, and would go on dropping what was just read.
_MOST_PREFAULTED = 0.5

# The snapshot, and the signature of the history's manifest.
_Seen = tuple[str, tuple[Any, ...] | None]


class LiveSource:
    """Holds what live scores need for the snapshot that a server answers from.

    snapshot : gives the snapshot in use; raises where there is none

    `refresh` and `prefault` may block (orders are counted, a bundle is loaded, a history is read) and belong into threads of
    their own; `get` and `close` are instant.
    """

    def __init__(self, store: StoreLike, snapshot: Callable[[], Snapshot]) -> None:
        self._store = resolve(store)
        self._snapshot = snapshot
        self._lock = threading.Lock()  # one refresh at a time
        self._state: LiveState | None = None
        self._problem: EbbtideError = RemoteError(
            "the orders of the history are still being counted for live scores; try again in a moment"
        )
        self._taken: _Seen | None = None
        self._failed: _Seen | None = None
        self._retry_at_s = 0.0  # monotonic clock
        self._told = ""
        self._bundle: Bundle | None = None
        self._is_closed = threading.Event()

    def get(self) -> LiveState:
        """raises : what stands in the way: NoSnapshotError, NoHistoryError, NoBundleError, IntegrityError, RemoteError"""
        if self._state is None:
            # A new one each time: a raised exception carries the trace of the call that it ended.
            raise type(self._problem)(str(self._problem))
        return self._state

    def refresh(self) -> bool:
        """Take up the snapshot in use and the history as it is now, if either is another than before; whether that happened."""
        with self._lock:
            try:
                snapshot = self._snapshot()
                seen = (f"{snapshot.snapshot_id} {id(snapshot)}", signature_of(self._store / HISTORY_FOLDER / MANIFEST_NAME))
            except EbbtideError as error:
                self._refuse(error)
                return False
            if seen == self._taken:
                self._told = ""
                return False
            if seen == self._failed and time.monotonic() < self._retry_at_s:
                return False
            try:
                self._state = self._take_up(snapshot)
            except (EbbtideError, OSError, pa.ArrowException) as error:
                self._taken, self._failed, self._retry_at_s = None, seen, time.monotonic() + _RETRY_S
                self._refuse(error)
                return False
            self._taken, self._failed, self._told = seen, None, ""
            _logger.info("live scores from snapshot %s and the history as it is now", snapshot.snapshot_id)
            return True

    def prefault(self) -> None:
        """Map what calls may look at, unless that is more than half of the memory; ends where something newer is taken up.

        Calls do not wait for it: until it is done they map what they look at themselves, which takes them a few times as long.
        """
        state = self._state
        if state is None:
            return

        def is_wanted() -> bool:
            return self._state is state and not self._is_closed.is_set()

        started_s = time.monotonic()
        try:
            num_bytes = state.prefault(most_bytes=int(memory_bytes() * _MOST_PREFAULTED), is_wanted=is_wanted)
        except IntegrityError as error:  # whoever asks for a customer of that part is told, once there is nothing newer
            _logger.info("not all of the history could be mapped: %s", error)
            return
        except Exception:  # nobody waits for this thread, and calls go on without what it does
            _logger.exception("mapping the history failed; calls map what they look at themselves")
            return
        if is_wanted():
            _logger.info("%.1f GB mapped for live scores in %.1f s", num_bytes / 1e9, time.monotonic() - started_s)

    def close(self) -> None:
        """End a `prefault` that is going on, soon."""
        self._is_closed.set()

    def _take_up(self, snapshot: Snapshot) -> LiveState:
        bundle = self._bundle
        if bundle is None or bundle.content_hash != snapshot.inputs.model_hash:
            bundle = find_bundle(self._store, snapshot.inputs)
        history = History.open(self._store)
        if history.manifest.first_order_us is None:
            raise NoHistoryError(f"the history of {self._store} holds no orders; ingest purchases first")
        self._bundle = bundle
        # Here, where no call waits for it, and once for a snapshot.
        before = self._state
        activity = history.activity()
        is_measured = before is not None and before.snapshot is snapshot
        usual = (
            before.usual
            if before is not None and is_measured
            else usual_of(snapshot.manifest, snapshot.files, bundle.model, activity)
        )
        return LiveState(snapshot=snapshot, bundle=bundle, history=history, activity=activity, usual=usual)

    def _refuse(self, error: Exception) -> None:
        """Told once, and not at every look."""
        is_news, self._told = str(error) != self._told, str(error)
        if isinstance(error, RemoteError) and self._state is not None:
            if is_news:
                _logger.error("looking for a newer history failed, and is tried again: %s", error)
            return
        self._state = None
        # A new one: the trace of the one that was raised would keep what it was raised over in memory.
        kind = type(error) if isinstance(error, PrerequisiteError | IntegrityError | RemoteError) else IntegrityError
        self._problem = kind(str(error))
        if is_news and not isinstance(error, NoSnapshotError):  # without a snapshot there are no scores at all, which others tell
            _logger.warning("no live scores, only those of the snapshot: %s", error)
