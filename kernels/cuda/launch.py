"""Run a kernel over queries: copy the rows that they need, launch, copy the answers back; in slices where not all fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda
from numpy.typing import NDArray

from kernels.cuda.failures import driver_errors, is_out_of_memory
from kernels.cuda.packing import Packing, pack_rows
from kernels.cuda.staging import Staging, borrowed_staging
from kernels.registry import BackendError

# Neighbouring customers differ in length, so that large blocks wait for their longest; four warps hide the latency as well.
_THREADS_PER_BLOCK = 128
# What of the free memory a slice may take: the driver needs some for itself, and other threads may be at work.
_MEMORY_SHARE = 0.8

Queries = slice | NDArray[np.int64]
Arguments = Callable[[NDArray[np.int64], NDArray[np.int64], Queries], tuple[NDArray[Any], ...]]


def run_queries(
    kernel: Any,
    events: tuple[NDArray[Any], ...],
    begin: NDArray[np.int64],
    stop: NDArray[np.int64],
    output: NDArray[Any],
    arguments: Arguments,
    *,
    threads_per_query: int = 1,
) -> None:
    """Fill the output. Queries are taken in the order of their rows; a slice that does not fit is halved until it does.

    kernel      : (inputs, num_threads, output), as compilation.compile_kernel makes them
    events      : arrays [num_events, ...]
    begin, stop : int64[num_queries]   the rows that a query reads
    output      : [num_queries, ...], contiguous
    arguments   : (begin, stop, queries) to the inputs that follow the events: begin and stop of these queries among the rows
                  on the device
    raises      : BackendError, where the device fails, or has no memory for a single query
    """
    if output.size == 0:
        return
    order = None if (begin[1:] >= begin[:-1]).all() else np.argsort(begin, kind="stable")
    with driver_errors(), borrowed_staging() as staging:
        slices = [(0, len(begin))]
        while slices:
            first, last = slices.pop()
            queries: Queries = slice(first, last) if order is None else order[first:last]
            packing = pack_rows(begin[queries], stop[queries])
            inputs = arguments(packing.begin, packing.stop, queries)
            num_bytes = _num_bytes(events, packing, inputs, output)
            if last - first > 1 and num_bytes > _MEMORY_SHARE * free_bytes():
                slices += _halves(first, last)
                continue
            try:
                _run_slice(staging, kernel, events, packing, inputs, queries, output, threads_per_query)
            except Exception as error:
                if not is_out_of_memory(error):
                    raise
                staging.stream.synchronize()
                if last - first == 1:
                    raise BackendError(
                        f"backend 'cuda': found {free_bytes()} bytes of free device memory, expected {num_bytes} for the "
                        "events of one customer; free some, or use backend 'cpu'"
                    ) from error
                slices += _halves(first, last)


def free_bytes() -> float:
    """Device memory that is free; infinite in the simulator."""
    free: float = cuda.current_context().get_memory_info().free
    return free


def _halves(first: int, last: int) -> list[tuple[int, int]]:
    middle = (first + last) // 2
    return [(middle, last), (first, middle)]


def _num_bytes(events: tuple[NDArray[Any], ...], packing: Packing, inputs: tuple[NDArray[Any], ...], output: NDArray[Any]) -> int:
    """What a slice takes on the device."""
    per_row = sum(column.nbytes // max(len(column), 1) for column in events)
    per_query = output.nbytes // len(output)
    return packing.num_rows * per_row + len(packing.begin) * per_query + sum(array.nbytes for array in inputs)


def _run_slice(
    staging: Staging,
    kernel: Any,
    events: tuple[NDArray[Any], ...],
    packing: Packing,
    inputs: tuple[NDArray[Any], ...],
    queries: Queries,
    output: NDArray[Any],
    threads_per_query: int,
) -> None:
    columns = [staging.upload(column, packing.run_begin, packing.run_stop) for column in events]
    rest = [staging.upload(array, np.zeros(1, np.int64), np.array([len(array)])) for array in inputs]
    num_queries = len(packing.begin)
    answers = cuda.device_array((num_queries, *output.shape[1:]), output.dtype, stream=staging.stream)
    _launch(kernel, (*columns, *rest), num_queries * threads_per_query, answers, staging.stream)
    if isinstance(queries, slice):
        staging.download(answers, output[queries])
    else:
        found = np.empty(answers.shape, output.dtype)
        staging.download(answers, found)
        output[queries] = found


def _launch(kernel: Any, inputs: tuple[Any, ...], num_threads: int, answers: Any, stream: Any) -> None:
    block = min(num_threads, _THREADS_PER_BLOCK)
    kernel[-(-num_threads // block), block, stream](inputs, num_threads, answers)
