"""The CUDA kernels beside the CPU's on one synthetic chain: equal answers, time with and without transfers, memory bandwidth.

Needs a GPU, and of this repository no more than kernels and engine.indicators. EBBTIDE_CUSTOMERS sets the size.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

import kernels
from benchmarks.conftest import Report
from engine.indicators import compute_indicators
from engine.instants import DAY_US
from engine.partition import Partition
from engine.schema import EventKind
from kernels import why_unavailable

_REASON = why_unavailable("cuda")
pytestmark = pytest.mark.skipif(_REASON is not None, reason=f"needs a GPU: {_REASON}")

_NUM_CUSTOMERS, _NUM_CUSTOMERS_QUICK = 1_000_000, 20_000
_MEAN_EVENTS = 31
_NUM_DAYS = 730
_AS_OF_US = (20_000 + _NUM_DAYS) * DAY_US
_KIND_SHARES = {
    EventKind.PURCHASE: 0.75,
    EventKind.RETURN: 0.03,
    EventKind.VISIT: 0.10,
    EventKind.LOGIN: 0.07,
    EventKind.FEEDBACK: 0.02,
    EventKind.COMPLAINT: 0.01,
    EventKind.CONTACT: 0.02,
}
_WINDOWS = np.array([7, 14, 30, 60, 90, 180, 365, np.inf])
_MAX_LENGTH, _NUM_FEATURES = 32, 4
_ROUNDS, _LAUNCHES = 5, 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Operation:
    """run : backend -> answer; num_bytes : what the kernel has to read and write at least."""

    run: Callable[[str], Any]
    num_bytes: int


@pytest.fixture(scope="module")
def chain(quick: bool) -> Partition:
    num_customers = int(os.environ.get("EBBTIDE_CUSTOMERS", _NUM_CUSTOMERS_QUICK if quick else _NUM_CUSTOMERS))
    random = np.random.default_rng(0)
    lengths = random.poisson(random.gamma(2, _MEAN_EVENTS / 2, num_customers))
    offsets = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    num_events = int(offsets[-1])
    # gaps are drawn for all rows at once, and each customer's begin anew: no sort
    start_s = random.integers(0, _NUM_DAYS // 2 * 86_400, num_customers)
    gap_s = (random.exponential(size=num_events) * np.repeat(_NUM_DAYS * 86_400 / (lengths + 1), lengths)).astype(np.int64)
    since_s = np.concatenate(([0], np.cumsum(gap_s)))
    time_s = since_s[1:] - np.repeat(since_s[offsets[:-1]] - start_s, lengths)
    kind = random.choice(np.array([int(kind) for kind in _KIND_SHARES], np.uint8), num_events, p=list(_KIND_SHARES.values()))
    store = np.repeat(random.integers(-1, 400, num_customers), lengths)
    strays = random.random(num_events) < 0.1
    store[strays] = random.integers(0, 400, int(strays.sum()))
    one_each = np.ones(num_events, np.int32)
    rating = np.where(kind == EventKind.FEEDBACK, random.integers(1, 6, num_events) * 1000, -1)
    return Partition(
        customer_ids=pa.array([f"{number:09d}" for number in range(num_customers)]),
        offsets=offsets,
        timestamp_us=20_000 * DAY_US + time_s * 1_000_000,
        kind=kind,
        amount_minor=random.integers(100, 20_000, num_events),
        discount_minor=random.integers(0, 500, num_events),
        quantity_milli=np.full(num_events, 1000, np.int64),
        num_lines=random.integers(1, 20, num_events, dtype=np.int32),
        num_products=one_each,
        num_categories=random.integers(0, 5, num_events, dtype=np.int32),
        store_code=store.astype(np.int32),
        channel_code=random.integers(-1, 3, num_events, dtype=np.int32),
        rating_milli=rating.astype(np.int32),
        store_names=(),
        channel_names=(),
    )


def test_every_operation(chain: Partition, report: Report) -> None:
    copy_bytes_per_s = _copy_bandwidth()
    rows = []
    for name, operation in _operations(chain).items():
        difference = _compare(operation.run("cuda"), operation.run("cpu"))  # compiles, too
        with _timed_launches() as launch_s:
            operation.run("cuda")
        kernel_s = sum(launch_s)
        cpu_s, cuda_s = (_time(partial(operation.run, backend)) for backend in ("cpu", "cuda"))
        rows.append(
            {
                "operation": name,
                "cpu_s": cpu_s,
                "cuda_s": cuda_s,
                "cuda_kernel_s": kernel_s,
                "moved_gb": operation.num_bytes / 1e9,
                "kernel_gb_per_s": operation.num_bytes / 1e9 / kernel_s,
                "share_of_copy_bandwidth": operation.num_bytes / kernel_s / copy_bytes_per_s,
                "largest_relative_difference": difference,
            }
        )
    title = f"Kernels on {_device_name()} ({copy_bytes_per_s / 1e12:.2f} TB/s copying), {_size(chain)}"
    report("kernels_cuda", title, rows)


def test_all_indicators(chain: Partition, report: Report) -> None:
    customers = np.arange(chain.num_customers)
    results = {backend: compute_indicators(chain, customers, _AS_OF_US, backend=backend) for backend in ("cpu", "cuda")}
    difference = _compare(results["cuda"], results["cpu"])
    rows = []
    for backend in results:
        seconds = _time(partial(compute_indicators, chain, customers, _AS_OF_US, backend=backend))
        rows.append({"backend": backend, "median_s": seconds, "customers_per_s": chain.num_customers / seconds})
    rows[1]["largest_relative_difference"] = rows[0]["largest_relative_difference"] = difference
    report("indicators_cuda", f"All indicators of {_size(chain)}, transfers included, on {_device_name()}", rows)


def _operations(chain: Partition) -> dict[str, Operation]:
    times, offsets, selected = chain.timestamp_us, chain.offsets, chain.is_purchase
    customers = np.arange(chain.num_customers)
    as_of_us = np.full(chain.num_customers, _AS_OF_US)
    begin, stop = offsets[:-1].copy(), offsets[1:].copy()
    end = kernels.locate_instants(times, offsets, customers, as_of_us)
    columns = (
        times,
        chain.kind,
        chain.amount_minor,
        chain.discount_minor,
        chain.num_lines,
        chain.num_categories,
        chain.rating_milli,
        chain.store_code,
        chain.channel_code,
    )
    values = np.random.default_rng(1).random((chain.num_events, _NUM_FEATURES), np.float32)
    ids = np.frombuffer(chain.customer_ids.buffers()[2], np.uint8)[: 9 * chain.num_customers]
    id_offsets = np.arange(chain.num_customers + 1) * 9

    num, num_rows = chain.num_customers, int((end - begin).sum())
    num_probes = int(np.ceil(np.log2(stop - begin + 1)).sum())
    num_gathered = int(np.minimum(end - begin, _MAX_LENGTH).sum())
    windows = (begin, end, as_of_us, _WINDOWS)
    return {
        "locate_instants": Operation(
            run=lambda backend: kernels.locate_instants(times, offsets, customers, as_of_us, backend=backend),
            num_bytes=8 * num_probes + 40 * num,
        ),
        "next_selected": Operation(
            run=lambda backend: kernels.next_selected(times, selected, begin, stop, backend=backend),
            num_bytes=9 * int((stop > begin).sum()) + 24 * num,
        ),
        "window_counts": Operation(
            run=lambda backend: kernels.window_counts(times, selected, *windows, backend=backend),
            num_bytes=9 * num_rows + (24 + 4 * len(_WINDOWS)) * num,
        ),
        "window_sums": Operation(
            run=lambda backend: kernels.window_sums(times, chain.amount_minor, selected, *windows, backend=backend),
            num_bytes=17 * num_rows + (24 + 8 * len(_WINDOWS)) * num,
        ),
        "gap_statistics": Operation(
            run=lambda backend: kernels.gap_statistics(times, selected, begin, end, as_of_us, backend=backend),
            num_bytes=9 * num_rows + (24 + 8 * len(kernels.GAP_COLUMNS)) * num,
        ),
        "summarise_events": Operation(
            run=lambda backend: kernels.summarise_events(*columns, begin, end, as_of_us, backend=backend),
            num_bytes=_summary_bytes(chain, num_rows),
        ),
        "gather_sequences": Operation(
            run=lambda backend: kernels.gather_sequences(values, begin, end, _MAX_LENGTH, backend=backend),
            num_bytes=4 * _NUM_FEATURES * (num_gathered + _MAX_LENGTH * num) + 16 * num,
        ),
        "hash_strings": Operation(
            run=lambda backend: kernels.hash_strings(ids, id_offsets, backend=backend), num_bytes=len(ids) + 16 * num
        ),
    }


def _summary_bytes(chain: Partition, num_rows: int) -> int:
    """Time and kind of every row; of the recent ones what their kind has."""
    age_us = _AS_OF_US - chain.timestamp_us
    recent = (age_us > 0) & (age_us <= 180 * DAY_US)
    num_orders = int((recent & chain.is_purchase).sum())
    num_orders_90 = int((recent & chain.is_purchase & (age_us <= 90 * DAY_US)).sum())
    num_ratings = int((recent & (chain.kind == EventKind.FEEDBACK)).sum())
    per_query = 24 + 4 * len(kernels.SUMMARY_COLUMNS)
    return 9 * num_rows + 12 * num_orders + 20 * num_orders_90 + 4 * num_ratings + per_query * chain.num_customers


def _compare(found: Any, expected: Any) -> float:
    """The largest relative difference, 0 where the bits are the same. Fails above 1e-5, and where integers differ at all."""
    if isinstance(found, tuple):
        return max(_compare(*pair) for pair in zip(found, expected, strict=True))
    assert (found.dtype, found.shape) == (expected.dtype, expected.shape)
    if not np.issubdtype(found.dtype, np.floating):
        np.testing.assert_array_equal(found, expected)
    if found.tobytes() == expected.tobytes():
        return 0.0
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-9)
    scale: NDArray[Any] = np.maximum(np.abs(expected), 1e-9)
    return float(np.nanmax(np.abs(found - expected) / scale))


@contextmanager
def _timed_launches() -> Iterator[list[float]]:
    """Fills the list with seconds of each launch inside: the median of some, the device synchronised around each."""
    from kernels.cuda import launch

    once = launch._launch
    seconds: list[float] = []

    def repeat(kernel: Any, inputs: Any, num_threads: int, answers: Any, stream: Any) -> None:
        def run() -> None:
            once(kernel, inputs, num_threads, answers, stream)
            stream.synchronize()

        run()
        seconds.append(_time(run, rounds=_LAUNCHES))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(launch, "_launch", repeat)
        yield seconds


def _copy_bandwidth() -> float:
    """Bytes a second that the device reads and writes when it copies its own memory: what a kernel could reach at most."""
    from numba import cuda

    num_bytes = 2**28  # several times what a cache holds
    source, target = (cuda.device_array(num_bytes // 8, np.int64) for _ in range(2))

    def copy() -> None:
        target.copy_to_device(source)
        cuda.synchronize()

    copy()
    return 2 * num_bytes / _time(copy, rounds=_LAUNCHES)


def _time(run: Callable[[], Any], rounds: int = _ROUNDS) -> float:
    """Median seconds."""
    seconds = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        seconds.append(time.perf_counter() - start)
    return median(seconds)


def _device_name() -> str:
    from numba import cuda

    name = getattr(cuda.current_context().device, "name", "the simulator")
    return name.decode() if isinstance(name, bytes) else name


def _size(chain: Partition) -> str:
    return f"{chain.num_customers:,} customers and {chain.num_events:,} events"
