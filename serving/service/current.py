"""The snapshot that a server answers from: taken up when a newer one is committed, and kept when the newer one is broken.

A server that finds the current one broken when it is started answers from the one before, until the current one is mended.
"""

from __future__ import annotations

import logging
import time
from typing import Any

import pyarrow as pa

from engine.errors import EbbtideError, IntegrityError, InvalidArgumentError, NoSnapshotError, RemoteError
from engine.storage import StoreLike, resolve, signature_of
from serving.service.bundles import served_bundle
from serving.service.reasoning import SnapshotReasons, reasons_of
from serving.snapshots import Snapshot, current_path, no_snapshot_error, open_current, open_previous

_logger = logging.getLogger(__name__)

# A refused snapshot is tried again in case the disk, not the snapshot, was at fault: soon at first, then rarely.
_FIRST_RETRY_S, _LAST_RETRY_S = 2.0, 120.0


class CurrentSnapshot:
    """Holds the current snapshot of a store and the one before it.

    `refresh` may block (it reads every byte of a new snapshot) and belongs into a thread, one call at a time; the rest is
    instant and may be called meanwhile.
    """

    def __init__(self, store: StoreLike) -> None:
        self._store = resolve(store)
        self._snapshot: Snapshot | None = None
        self._previous: Snapshot | None = None
        self._reasons: dict[str, SnapshotReasons | None] = {}  # by snapshot_id
        self._problem: EbbtideError = no_snapshot_error(store)
        self._signature: tuple[Any, ...] | None = None
        self._is_silent = False
        self._retry_after_s = _FIRST_RETRY_S
        self._retry_at_s: float | None = None  # monotonic clock; None: only when the pointer changes

    @property
    def is_ready(self) -> bool:
        return self._snapshot is not None

    @property
    def is_missing(self) -> bool:
        """Whether the store has none; one that is refused is there."""
        return self._snapshot is None and isinstance(self._problem, NoSnapshotError)

    def get(self) -> Snapshot:
        """raises : NoSnapshotError, or what is wrong with the only snapshot that there is: IntegrityError, RemoteError"""
        if self._snapshot is None:
            # A new one each time: a raised exception carries the trace of the call that it ended.
            raise type(self._problem)(str(self._problem))
        return self._snapshot

    def pinned(self, snapshot_id: str) -> Snapshot:
        """The snapshot that a page token names.

        raises : InvalidArgumentError, if it is neither the current one nor the one before
        """
        current = self.get()
        for snapshot in (current, self._previous):
            if snapshot is not None and snapshot.snapshot_id == snapshot_id:
                return snapshot
        raise InvalidArgumentError(
            "page_token",
            f"is of snapshot {snapshot_id}, which is no longer served (now {current.snapshot_id}); begin again without a token",
        )

    def reasons(self, snapshot: Snapshot) -> SnapshotReasons | None:
        """What gives reasons for the customers of a snapshot that is served; None where nothing does."""
        return self._reasons.get(snapshot.snapshot_id)

    def refresh(self) -> bool:
        """Take up the store's current snapshot, if it is another one than before; whether that happened."""
        try:
            signature = signature_of(current_path(self._store))
        except RemoteError as error:
            self._tell_silence(error)
            return False
        self._is_silent = False
        is_due = self._retry_at_s is not None and time.monotonic() >= self._retry_at_s
        if signature is None or (signature == self._signature and not is_due):
            return False
        if signature != self._signature:
            self._retry_after_s = _FIRST_RETRY_S
        self._signature = signature
        try:
            self._take_up(open_current(self._store))
        except (EbbtideError, OSError, pa.ArrowException) as error:
            return self._refuse(error)
        except BaseException:  # no memory for a second one beside it, or a defect: whoever asked tells, and asks again
            self._put_off()
            raise
        self._retry_at_s = None
        return True

    def _take_up(self, snapshot: Snapshot) -> None:
        num_ranked = len(snapshot.ranking.order)  # sorted here, not in the first call that needs it
        reasons = reasons_of(snapshot, served_bundle(self._store, snapshot.inputs))
        if self._snapshot is not None and self._snapshot.snapshot_id != snapshot.snapshot_id:
            self._previous = self._snapshot
        else:
            # The same one once more: a customer was erased, and may be in the one before, too.
            self._previous = None
        kept = {self._previous.snapshot_id: self.reasons(self._previous)} if self._previous else {}
        self._reasons = kept | {snapshot.snapshot_id: reasons}
        self._snapshot = snapshot
        _logger.info("serving snapshot %s: %d customers", snapshot.snapshot_id, num_ranked)

    def _refuse(self, error: Exception) -> bool:
        """Go on with what is served, or fall back on the snapshot before; whether that happened. The new one is tried again."""
        self._put_off()
        if self._snapshot is not None:
            _logger.error("refused the new snapshot, still serving %s: %s", self._snapshot.snapshot_id, error)
            return False
        if not isinstance(error, RemoteError) and self._fall_back():
            _logger.warning("the current snapshot is refused, and is tried again; serving the previous one meanwhile: %s", error)
            return True
        # A new one: the trace of the one that was raised would keep what it was raised over in memory.
        kind = type(error) if isinstance(error, NoSnapshotError | IntegrityError | RemoteError) else IntegrityError
        self._problem = kind(str(error))
        _logger.error("refused the snapshot, serving none: %s", error)
        return False

    def _put_off(self) -> None:
        """Try again later, each time after twice as long."""
        self._retry_at_s = time.monotonic() + self._retry_after_s
        self._retry_after_s = min(self._retry_after_s * 2, _LAST_RETRY_S)

    def _fall_back(self) -> bool:
        """Take up the snapshot before the current one, if there is one and it is whole; whether that happened."""
        try:
            previous = open_previous(self._store)
            if previous is not None:
                self._take_up(previous)
        except (EbbtideError, OSError, pa.ArrowException) as error:
            _logger.warning("nor can the previous snapshot be served: %s", error)
            return False
        return previous is not None

    def _tell_silence(self, error: RemoteError) -> None:
        """Once, not at every look: a snapshot that is served lies in memory, and goes on being served."""
        if not self._is_silent:
            _logger.error("looking for a newer snapshot failed, and is tried again: %s", error)
        self._is_silent = True
