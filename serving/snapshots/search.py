"""Binary search in sorted Arrow strings: no dictionary per customer, so ten million of them cost nothing but the file."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray


def find_string(column: pa.StringArray, wanted: str) -> int:
    """Row of a string in an ascending column without duplicates, or -1."""
    # Python orders strings by code point, which is the order of their UTF-8 bytes.
    low, high = 0, len(column)
    while low < high:
        middle = (low + high) // 2
        if column[middle].as_py() < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < len(column) and column[low].as_py() == wanted else -1


def find_strings(column: pa.StringArray, wanted: pa.StringArray) -> NDArray[np.int64]:
    """The same for many strings at once: all searches step together, log2(len(column)) times.

    column  : string[num_rows]      ascending by UTF-8 bytes, without duplicates
    wanted  : string[num_wanted]    in any order
    returns : int64[num_wanted]     rows, -1 where absent
    """
    num_wanted, num_rows = len(wanted), len(column)
    if num_wanted == 0 or num_rows == 0:
        return np.full(num_wanted, -1, np.int64)
    low = np.zeros(num_wanted, np.int64)
    high = np.full(num_wanted, num_rows, np.int64)
    for _ in range(num_rows.bit_length()):
        middle = np.minimum((low + high) // 2, num_rows - 1)
        is_less = pc.less(column.take(pa.array(middle)), wanted).to_numpy(zero_copy_only=False)
        searching = low < high
        low = np.where(searching & is_less, middle + 1, low)
        high = np.where(searching & ~is_less, middle, high)
    row = np.minimum(low, num_rows - 1)
    found = pc.equal(column.take(pa.array(row)), wanted).to_numpy(zero_copy_only=False)
    return np.where(found, row, -1)
