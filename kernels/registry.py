"""Which code runs an operation: a backend is a package with one function per operation, resolved once per name."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", np.int64, np.float64)


class Backend(Protocol):
    """The table of operations. Arguments have passed kernels.operations: right dtype, contiguous, rows inside the events.

    window_us is int64[num_windows], ascending. All other names and shapes are those of the public functions.
    """

    def locate_instants(
        self,
        timestamp_us: NDArray[np.int64],
        offsets: NDArray[np.int64],
        customer_index: NDArray[np.int64],
        as_of_us: NDArray[np.int64],
    ) -> NDArray[np.int64]: ...

    def next_selected(
        self,
        timestamp_us: NDArray[np.int64],
        selected: NDArray[np.bool_],
        begin: NDArray[np.int64],
        stop: NDArray[np.int64],
    ) -> NDArray[np.int64]: ...

    def count_selected(
        self,
        selected: NDArray[np.bool_],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
    ) -> NDArray[np.int64]: ...

    def window_counts(
        self,
        timestamp_us: NDArray[np.int64],
        selected: NDArray[np.bool_],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        as_of_us: NDArray[np.int64],
        window_us: NDArray[np.int64],
    ) -> NDArray[np.int32]: ...

    def window_sums(
        self,
        timestamp_us: NDArray[np.int64],
        values: NDArray[Number],
        selected: NDArray[np.bool_],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        as_of_us: NDArray[np.int64],
        window_us: NDArray[np.int64],
    ) -> NDArray[Number]: ...

    def gap_statistics(
        self,
        timestamp_us: NDArray[np.int64],
        selected: NDArray[np.bool_],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        as_of_us: NDArray[np.int64],
    ) -> NDArray[np.float64]: ...

    def summarise_events(
        self,
        timestamp_us: NDArray[np.int64],
        kind: NDArray[np.uint8],
        amount_minor: NDArray[np.int64],
        discount_minor: NDArray[np.int64],
        num_lines: NDArray[np.int32],
        num_categories: NDArray[np.int32],
        rating_milli: NDArray[np.int32],
        store_code: NDArray[np.int32],
        channel_code: NDArray[np.int32],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        as_of_us: NDArray[np.int64],
        rhythm: NDArray[np.int64] = ...,
    ) -> NDArray[np.float32]: ...

    def fingerprint_events(
        self,
        timestamp_us: NDArray[np.int64],
        kind: NDArray[np.uint8],
        amount_minor: NDArray[np.int64],
        discount_minor: NDArray[np.int64],
        quantity_milli: NDArray[np.int64],
        num_lines: NDArray[np.int32],
        num_products: NDArray[np.int32],
        num_categories: NDArray[np.int32],
        rating_milli: NDArray[np.int32],
        store_code: NDArray[np.int32],
        channel_code: NDArray[np.int32],
        begin: NDArray[np.int64],
        covered: NDArray[np.int64],
        end: NDArray[np.int64],
    ) -> NDArray[np.uint64]: ...

    def gather_sequences(
        self,
        values: NDArray[np.float32],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        max_length: int,
    ) -> tuple[NDArray[np.float32], NDArray[np.int32]]: ...

    def describe_events(
        self,
        timestamp_us: NDArray[np.int64],
        kind: NDArray[np.uint8],
        amount_minor: NDArray[np.int64],
        discount_minor: NDArray[np.int64],
        quantity_milli: NDArray[np.int64],
        num_lines: NDArray[np.int32],
        num_products: NDArray[np.int32],
        num_categories: NDArray[np.int32],
        rating_milli: NDArray[np.int32],
        store_code: NDArray[np.int32],
        channel_code: NDArray[np.int32],
        row: NDArray[np.int64],
        index: NDArray[np.int64],
        first_us: NDArray[np.int64],
    ) -> NDArray[np.float32]: ...

    def describe_situations(
        self,
        summary: NDArray[np.float32],
        last_event_us: NDArray[np.int64],
        as_of_us: NDArray[np.int64],
        calendar: NDArray[np.float32],
        log_days: NDArray[np.float32],
        calendar_row: NDArray[np.int64],
    ) -> NDArray[np.float32]: ...

    def standardise(
        self,
        values: NDArray[np.float32],
        mean: NDArray[np.float32],
        scale: NDArray[np.float32],
        limit: float,
    ) -> NDArray[np.float32]: ...

    def roll_states(
        self,
        tokens: NDArray[np.float32],
        begin: NDArray[np.int64],
        end: NDArray[np.int64],
        initial: NDArray[np.float32],
        input_weight: NDArray[np.float32],
        state_weight: NDArray[np.float32],
        input_bias: NDArray[np.float32],
        state_bias: NDArray[np.float32],
    ) -> NDArray[np.float32]: ...

    def hash_strings(self, data: NDArray[np.uint8], string_offsets: NDArray[np.int64]) -> NDArray[np.uint64]: ...


class BackendError(RuntimeError):
    """A backend cannot run here: no device, one that failed, or one with too little memory. Another backend does the same."""


def backend_names() -> tuple[str, ...]:
    """The names that `backend=` takes on this machine. Looks for devices, which takes as long as importing a compiler."""
    return tuple(name for name in _LOADERS if why_unavailable(name) is None)


def why_unavailable(backend: str) -> str | None:
    """None where the backend runs on this machine; else what was found, and what to do.

    raises : ValueError for an unknown name
    """
    try:
        resolve(backend)
    except BackendError as error:
        return str(error)
    return None


@cache
def resolve(backend: str) -> Backend:
    """The operations of a backend; its package is imported the first time only.

    raises : ValueError for an unknown name, listing the known ones; BackendError where it cannot run on this machine
    """
    if backend not in _LOADERS:
        raise ValueError(f"backend: found {backend!r}, expected one of {', '.join(map(repr, _LOADERS))}")
    return _LOADERS[backend]()


def _load_cpu() -> Backend:
    from kernels import cpu

    return cpu


def _load_cuda() -> Backend:
    try:
        from kernels import cuda
    except ImportError as error:  # Numba means to drop its own CUDA target
        raise BackendError(f"backend 'cuda': found no CUDA for Numba ({error}): pip install 'ebbtide[gpu]'") from error
    obstacle = cuda.find_obstacle()
    if obstacle is not None:
        raise BackendError(f"backend 'cuda': {obstacle}; or use backend 'cpu'")
    return cuda


# Loaded on first use, so that nobody waits for a compiler or a driver that they do not call.
_LOADERS: dict[str, Callable[[], Backend]] = {"cpu": _load_cpu, "cuda": _load_cuda}
