"""The way between the host's arrays and the device: two pinned pieces in turn, so that one is filled while the other travels.

Events are memory maps, which the device cannot read by itself: without a pinned piece between, every copy would wait for the
driver's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import cycle, pairwise
from queue import Empty, SimpleQueue
from typing import Any

import numba
import numpy as np
from numba import cuda
from numpy.typing import NDArray

PIECE_BYTES = 16 * 2**20
# One core copies more slowly than the bus to a GPU carries; handing a part to a thread is worth it from a few MiB on.
_MAX_THREADS = 8
_BYTES_PER_THREAD = 2 * 2**20


class Staging:
    """A stream, the pinned pieces that feed it and the threads that fill them; serves one call at a time."""

    def __init__(self) -> None:
        self.stream = cuda.stream()
        pieces = [(cuda.pinned_array(PIECE_BYTES, np.uint8), cuda.event()) for _ in range(2)]
        self._pieces = cycle(pieces)
        cores: int = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]  # numba sets it when it is imported
        self._num_threads = min(cores, _MAX_THREADS)
        self._threads = ThreadPoolExecutor(self._num_threads, thread_name_prefix="staging")

    def upload(self, column: NDArray[Any], run_begin: NDArray[np.int64], run_stop: NDArray[np.int64]) -> Any:
        """A device array of these rows of a column, side by side; it is there when the stream gets that far.

        column  : [num_rows, ...], contiguous; may be a read-only memory map
        returns : [max(1, rows copied), ...]; never empty, because the driver allocates no empty arrays
        """
        width = int(np.prod(column.shape[1:], dtype=np.int64))
        num_rows = int((run_stop - run_begin).sum())
        device = cuda.device_array(max(1, num_rows) * width, column.dtype, stream=self.stream)
        values = column.reshape(-1)
        capacity = PIECE_BYTES // column.itemsize
        host, event = self._next_piece(column.dtype)
        sent = filled = 0
        for first, last in zip((run_begin * width).tolist(), (run_stop * width).tolist(), strict=True):
            position = first
            while position < last:
                count = min(last - position, capacity - filled)
                self._copy(values[position : position + count], host[filled : filled + count])
                filled += count
                position += count
                if filled == capacity:
                    self._send(host, event, device[sent : sent + filled])
                    sent += filled
                    filled = 0
                    host, event = self._next_piece(column.dtype)
        if filled:
            self._send(host[:filled], event, device[sent : sent + filled])
        return device.reshape((max(1, num_rows), *column.shape[1:]))

    def download(self, device: Any, host: NDArray[Any]) -> None:
        """Copy a device array to a host array of the same type and shape, both contiguous, once the stream has done its work."""
        source, target = device.reshape(host.size), host.reshape(-1)
        capacity = PIECE_BYTES // host.itemsize
        waiting: list[tuple[NDArray[Any], Any, NDArray[Any]]] = []
        for first in range(0, host.size, capacity):
            piece, event = self._next_piece(host.dtype)
            part = piece[: min(capacity, host.size - first)]
            source[first : first + len(part)].copy_to_host(part, stream=self.stream)
            event.record(self.stream)
            waiting.append((part, event, target[first : first + len(part)]))
            if len(waiting) == 2:
                self._receive(*waiting.pop(0))
        for landed in waiting:
            self._receive(*landed)

    def _receive(self, part: NDArray[Any], event: Any, target: NDArray[Any]) -> None:
        event.synchronize()
        self._copy(part, target)

    def _copy(self, source: NDArray[Any], target: NDArray[Any]) -> None:
        """target[:] = source, on several threads where it is large; both of one length and axis."""
        num_parts = min(self._num_threads, source.nbytes // _BYTES_PER_THREAD)
        if num_parts < 2:
            np.copyto(target, source)
            return
        edges = [len(source) * part // num_parts for part in range(num_parts + 1)]
        for _ in self._threads.map(lambda part: np.copyto(target[slice(*part)], source[slice(*part)]), pairwise(edges)):
            pass  # drawing the results raises what a copy raised

    def _next_piece(self, dtype: np.dtype[Any]) -> tuple[NDArray[Any], Any]:
        """The piece that is not travelling, as an array of this type; waits until it is free."""
        piece, event = next(self._pieces)
        event.synchronize()
        return piece.view(dtype), event

    def _send(self, host: NDArray[Any], event: Any, device: Any) -> None:
        device.copy_to_device(host, stream=self.stream)
        event.record(self.stream)


# Pinning memory takes longer than a small call: what a call used waits here for the next one.
_idle: SimpleQueue[Staging] = SimpleQueue()


@contextmanager
def borrowed_staging() -> Iterator[Staging]:
    """A staging for one call. One whose call failed is dropped with what may still be under way in it."""
    try:
        staging = _idle.get_nowait()
    except Empty:
        staging = Staging()
    yield staging
    _idle.put(staging)
