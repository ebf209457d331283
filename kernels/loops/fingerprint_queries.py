"""Mix what tokens read of each event into 64 bits, oldest event first, so that a prefix has its fingerprint on the way.

Every constant is a typed uint64: Numba turns uint64 with a plain integer into float64.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.loops.compilation import compile_part

# The primes of XXH64. Sums of products of odd numbers, folded by shifts: two histories that are not made to collide agree by
# chance, once in 2^64 comparisons.
_PRIME_1 = np.uint64(11400714785074694791)
_PRIME_2 = np.uint64(14029467366897019727)
_PRIME_3 = np.uint64(1609587929392839161)
_PRIME_4 = np.uint64(9650029242287828579)
_PRIME_5 = np.uint64(2870177450012600261)
_HALF = np.uint64(32)
_FOLD_1 = np.uint64(29)
_FOLD_2 = np.uint64(31)
_TURN = np.uint64(27)
_TURN_BACK = np.uint64(37)
_SAME_STORE = np.uint64(1 << 8)
_SAME_CHANNEL = np.uint64(1 << 9)


@compile_part
def _mix_row(
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
    start: int,
    row: int,
    state: np.uint64,
) -> np.uint64:
    """The state after a row; start is the customer's first one."""
    word = np.uint64(kind[row])
    if row > start:
        if store_code[row] == store_code[row - 1]:
            word |= _SAME_STORE
        if channel_code[row] == channel_code[row - 1]:
            word |= _SAME_CHANNEL
    basket = np.uint64(num_lines[row]) ^ (np.uint64(num_products[row]) << _HALF)
    rest = np.uint64(num_categories[row]) ^ (np.uint64(rating_milli[row]) << _HALF)
    money = np.uint64(timestamp_us[row]) * _PRIME_1 + np.uint64(amount_minor[row]) * _PRIME_2
    goods = np.uint64(discount_minor[row]) * _PRIME_3 + np.uint64(quantity_milli[row]) * _PRIME_4
    small = basket * _PRIME_5 + rest * _PRIME_1 + word * _PRIME_3
    mixed = (money ^ (money >> _HALF)) * _PRIME_2
    mixed ^= (goods ^ (goods >> _FOLD_1)) * _PRIME_3
    mixed ^= (small ^ (small >> _FOLD_2)) * _PRIME_4
    state ^= mixed
    return ((state << _TURN) | (state >> _TURN_BACK)) * _PRIME_1 + _PRIME_4


def fingerprint_queries(
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
    first: int,
    last: int,
    fingerprints: NDArray[np.uint64],
) -> None:
    """Fill queries [first, last); see kernels.fingerprint_events."""
    for query in range(first, last):
        state = _PRIME_5
        start = begin[query]
        middle = covered[query]
        fingerprints[query, 0] = state
        for row in range(start, end[query]):
            state = _mix_row(
                timestamp_us,
                kind,
                amount_minor,
                discount_minor,
                quantity_milli,
                num_lines,
                num_products,
                num_categories,
                rating_milli,
                store_code,
                channel_code,
                start,
                row,
                state,
            )
            if row + 1 == middle:
                fingerprints[query, 0] = state
        fingerprints[query, 1] = state


def extend_queries(
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
    known: NDArray[np.uint64],
    first: int,
    last: int,
    fingerprints: NDArray[np.uint64],
) -> None:
    """Fill queries [first, last); see kernels.tail_operations.extend_fingerprints."""
    for query in range(first, last):
        state = known[query]
        start = begin[query]
        for row in range(covered[query], end[query]):
            state = _mix_row(
                timestamp_us,
                kind,
                amount_minor,
                discount_minor,
                quantity_milli,
                num_lines,
                num_products,
                num_categories,
                rating_milli,
                store_code,
                channel_code,
                start,
                row,
                state,
            )
        fingerprints[query] = state
