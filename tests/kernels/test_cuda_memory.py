"""What does not fit on the device is done in slices, and what cannot be done says so. Runs where CUDA or its simulator does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kernels import BackendError, locate_instants, why_unavailable, window_sums

_REASON = why_unavailable("cuda")
pytestmark = pytest.mark.skipif(_REASON is not None, reason=f"runs in test_cuda_simulator.py; here {_REASON}")

NUM_CUSTOMERS = 9
LENGTHS = np.arange(NUM_CUSTOMERS) * 3
OFFSETS = np.concatenate(([0], np.cumsum(LENGTHS))).astype(np.int64)
TIMES = np.concatenate([np.arange(length) for length in LENGTHS]).astype(np.int64) * 10**6
CUSTOMERS = np.array([5, 1, 8, 0, 5, 2, 7], np.int64)  # in no order of rows, one of them twice
AS_OF_US = np.array([7, 9, 20, 0, 15, 3, 1], np.int64) * 10**6
WINDOWS = np.array([1e-9, np.inf])

Slices = list[int]


def _sums(backend: str) -> np.ndarray:
    end = locate_instants(TIMES, OFFSETS, CUSTOMERS, AS_OF_US, backend=backend)
    return window_sums(TIMES, TIMES + 1, TIMES >= 0, OFFSETS[CUSTOMERS], end, AS_OF_US, WINDOWS, backend=backend)


@pytest.fixture
def run_slices(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int], None]], Slices]:
    """Asks a function before each slice, with its number of queries; gives the list of those that ran."""
    from kernels.cuda import launch

    run_slice = launch._run_slice

    def watch(before: Callable[[int], None]) -> Slices:
        ran: Slices = []

        def run(staging: Any, kernel: Any, events: Any, packing: Any, *rest: Any) -> None:
            before(len(packing.begin))
            run_slice(staging, kernel, events, packing, *rest)
            ran.append(len(packing.begin))

        monkeypatch.setattr(launch, "_run_slice", run)
        return ran

    return watch


def _driver_error(name: str) -> Exception:
    from numba.cuda.cudadrv.driver import CudaAPIError

    error: Exception = CudaAPIError(0, f"Call to cuMemAlloc results in {name}")
    return error


def test_queries_that_do_not_fit_at_once_are_answered_in_slices(
    run_slices: Callable[..., Slices], monkeypatch: pytest.MonkeyPatch
) -> None:
    from kernels.cuda import launch

    monkeypatch.setattr(launch, "free_bytes", lambda: 1000.0)
    ran = run_slices(lambda num_queries: None)
    np.testing.assert_array_equal(_sums("cuda"), _sums("cpu"))
    assert len(ran) > 4
    assert sum(ran) == 2 * len(CUSTOMERS)


def test_memory_that_runs_out_in_between_halves_the_slice(run_slices: Callable[..., Slices]) -> None:
    def at_most_two(num_queries: int) -> None:
        if num_queries > 2:
            raise _driver_error("CUDA_ERROR_OUT_OF_MEMORY")

    ran = run_slices(at_most_two)
    np.testing.assert_array_equal(_sums("cuda"), _sums("cpu"))
    assert max(ran) == 2
    assert sum(ran) == 2 * len(CUSTOMERS)


def test_a_customer_whose_events_do_not_fit_alone_is_an_error_with_the_bytes(run_slices: Callable[..., Slices]) -> None:
    def nothing_fits(num_queries: int) -> None:
        raise _driver_error("CUDA_ERROR_OUT_OF_MEMORY")

    run_slices(nothing_fits)
    with pytest.raises(BackendError, match=r"found .* bytes of free device memory, expected \d+ for the events of one customer"):
        _sums("cuda")


def test_a_device_that_fails_is_a_backend_error_and_not_tried_again(run_slices: Callable[..., Slices]) -> None:
    asked = []

    def fail(num_queries: int) -> None:
        asked.append(num_queries)
        raise _driver_error("CUDA_ERROR_ILLEGAL_ADDRESS")

    run_slices(fail)
    with pytest.raises(BackendError, match=r"the device failed: .*CUDA_ERROR_ILLEGAL_ADDRESS.*or use backend 'cpu'"):
        _sums("cuda")
    assert asked == [len(CUSTOMERS)]


def test_columns_larger_than_a_pinned_piece_arrive_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    from kernels.cuda import staging

    monkeypatch.setattr(staging, "PIECE_BYTES", 64)
    monkeypatch.setattr(staging, "_idle", type(staging._idle)())
    np.testing.assert_array_equal(_sums("cuda"), _sums("cpu"))
