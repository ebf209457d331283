"""Reading ahead of a rescoring: while buckets are scored, the disk brings what the next ones will read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Self

from engine.bucket_walk import available_cores
from engine.history import History
from engine.storage import read_ahead
from serving.snapshots import BucketFile, SnapshotInputs, snapshot_folder

# Beyond those that are being scored, one for each core: some tens of megabytes each, which the system may drop again.
_AHEAD = 2


class ReadingAhead:
    """Announces to the system what is going to be read; for tasks of this machine.

    with ReadingAhead(history, inputs, buckets, kept_file) as ahead:
        ahead.advance(num_done)

    buckets   : in the order in which they will be scored
    kept_file : the file of a bucket in the snapshot that is begun from; None where there is none
    """

    def __init__(
        self, history: History, inputs: SnapshotInputs, buckets: Sequence[int], kept_file: Callable[[int], BucketFile | None]
    ) -> None:
        self._history, self._inputs, self._buckets, self._kept_file = history, inputs, buckets, kept_file
        self._num_announced = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ahead")
        self._pending: list[Future[None]] = []

    def __enter__(self) -> Self:
        self.advance(0)
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)
        if kind is None:
            for future in self._pending:
                if not future.cancelled():
                    future.result()

    def advance(self, num_done: int) -> None:
        """So many buckets are scored."""
        stop = num_done + available_cores() + _AHEAD
        for bucket in self._buckets[self._num_announced : stop]:
            self._pending.append(self._thread.submit(self._announce, bucket))
        self._num_announced = max(self._num_announced, stop)

    def _announce(self, bucket: int) -> None:
        kept = self._kept_file(bucket)
        if kept is not None:
            folder = snapshot_folder(self._history.store, self._inputs.begun_from)
            with suppress(OSError):  # whoever reads it says what is wrong with it
                read_ahead(folder / kept.path)
        self._history.read_ahead(bucket, settled=kept.parts if kept else ())
