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


# Both parts take numbers and no arrays: Numba counts references around a call with an array, atomically, and eleven of them for
# each event took twenty times as long as the arithmetic.
@compile_part
def _kind_word(kind: int, is_first: bool, same_store: bool, same_channel: bool) -> np.uint64:
    """What happened, and whether it was where the event before was."""
    word = np.uint64(kind)
    if not is_first:
        if same_store:
            word |= _SAME_STORE
        if same_channel:
            word |= _SAME_CHANNEL
    return word


@compile_part
def _mix_event(
    state: np.uint64,
    word: np.uint64,
    time_us: int,
    amount_minor: int,
    discount_minor: int,
    quantity_milli: int,
    num_lines: int,
    num_products: int,
    num_categories: int,
    rating_milli: int,
) -> np.uint64:
    """The state after an event; word as by `_kind_word`."""
    basket = np.uint64(num_lines) ^ (np.uint64(num_products) << _HALF)
    rest = np.uint64(num_categories) ^ (np.uint64(rating_milli) << _HALF)
    money = np.uint64(time_us) * _PRIME_1 + np.uint64(amount_minor) * _PRIME_2
    goods = np.uint64(discount_minor) * _PRIME_3 + np.uint64(quantity_milli) * _PRIME_4
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
            state = _mix_event(
                state,
                _kind_word(
                    kind[row],
                    row == start,
                    store_code[row] == store_code[row - 1],  # of the first row: anything, and not looked at
                    channel_code[row] == channel_code[row - 1],
                ),
                timestamp_us[row],
                amount_minor[row],
                discount_minor[row],
                quantity_milli[row],
                num_lines[row],
                num_products[row],
                num_categories[row],
                rating_milli[row],
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
            state = _mix_event(
                state,
                _kind_word(
                    kind[row],
                    row == start,
                    store_code[row] == store_code[row - 1],  # of the first row: anything, and not looked at
                    channel_code[row] == channel_code[row - 1],
                ),
                timestamp_us[row],
                amount_minor[row],
                discount_minor[row],
                quantity_milli[row],
                num_lines[row],
                num_products[row],
                num_categories[row],
                rating_milli[row],
            )
        fingerprints[query] = state
