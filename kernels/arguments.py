"""What an operation may be given: the checks that stand between a caller's arrays and loops that check nothing."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from kernels.rhythm_columns import RHYTHM_COLUMNS

DAY_US = 86_400_000_000

_Scalar = TypeVar("_Scalar", bound=np.generic)


def require_array(name: str, array: NDArray[Any], dtype: type[_Scalar], *, num_axes: int = 1) -> NDArray[_Scalar]:
    """The array itself if it is contiguous, else a contiguous copy; read-only arrays stay as they are.

    raises : ValueError for another dtype or number of axes, naming the argument
    """
    array = np.asarray(array)
    if array.dtype != dtype or array.ndim != num_axes:
        raise ValueError(
            f"{name}: found {array.dtype}{list(array.shape)}, expected {np.dtype(dtype)} with {num_axes} "
            f"{'axis' if num_axes == 1 else 'axes'}"
        )
    flags = array.flags
    if flags.c_contiguous and flags.aligned:
        return array
    return np.require(array, requirements=("C", "A"))


def require_rhythms(name: str, rhythm: NDArray[Any], of_each: NDArray[Any]) -> NDArray[np.int64]:
    """`require_array` for rhythms, one for each query of another array.

    raises : ValueError for another shape
    """
    rhythm = require_array(name, rhythm, np.int64, num_axes=2)
    if rhythm.shape != (len(of_each), len(RHYTHM_COLUMNS)):
        raise ValueError(f"{name}: found {rhythm.shape}, expected {(len(of_each), len(RHYTHM_COLUMNS))}")
    return rhythm


def check_lengths(**arrays: NDArray[Any]) -> None:
    """raises : ValueError, unless all arrays have the length of the first."""
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        found = ", ".join(f"{name} of {length}" for name, length in lengths.items())
        raise ValueError(f"found {found}; expected arrays of one length")


def check_offsets(offsets: NDArray[np.int64], customer_index: NDArray[np.int64], *, num_events: int) -> None:
    """raises : ValueError, unless offsets run from 0 to num_events and the customers asked for own rows between.

    Only the customers asked for are looked at, so that a question about one costs nothing that grows with the rest.
    """
    if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != num_events:
        found = f"{offsets[0]} to {offsets[-1]}" if len(offsets) else "an empty array"
        raise ValueError(f"offsets: found {found}, expected 0 to {num_events}, the number of events")
    if len(customer_index) == 0:
        return
    num_customers = len(offsets) - 1
    lowest, highest = customer_index.min(), customer_index.max()
    if lowest < 0 or highest >= num_customers:
        raise ValueError(f"customer_index: found {lowest} to {highest}, expected 0 to {num_customers - 1}")
    check_rows(
        offsets[customer_index], offsets[customer_index + 1], num_events=num_events, begin_name="offsets", stop_name="offsets"
    )


def check_rows(
    begin: NDArray[np.int64],
    stop: NDArray[np.int64],
    *,
    num_events: int,
    begin_name: str = "begin",
    stop_name: str = "end",
) -> None:
    """raises : ValueError, unless 0 <= begin <= stop <= num_events for every query."""
    check_lengths(**{begin_name: begin, stop_name: stop})
    if len(begin) == 0:
        return
    if begin.min() < 0 or stop.max() > num_events:
        raise ValueError(f"{begin_name}, {stop_name}: found rows {begin.min()} to {stop.max()}, expected 0 to {num_events}")
    is_descending = begin > stop
    if is_descending.any():
        first = int(is_descending.argmax())
        raise ValueError(
            f"{begin_name}, {stop_name}: found [{begin[first]}, {stop[first]}) at {first}, expected an end not before its begin"
        )


def window_lengths_us(window_days: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.intp] | None]:
    """Window lengths as backends take them: ascending whole microseconds, rounded down.

    window_days : float64[num_windows], each > 0; inf becomes the largest int64
    returns     : int64[num_windows], and the column of each asked-for window in it (None where they are the same)
    raises      : ValueError for a window that is NaN or not positive
    """
    window_days = require_array("window_days", window_days, np.float64)
    if not (window_days > 0).all():
        raise ValueError(f"window_days: found {window_days.tolist()}, expected numbers above 0")
    longest = float(2**63 - 1024)  # the largest float64 that int64 holds
    window_us = np.minimum(window_days * DAY_US, longest).astype(np.int64)
    if (window_us[1:] >= window_us[:-1]).all():
        return window_us, None
    order = np.argsort(window_us, kind="stable")
    columns = np.empty_like(order)
    columns[order] = np.arange(len(order))
    return window_us[order], columns
