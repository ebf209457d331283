"""XXH64, seed 0. Every constant is a typed uint64: Numba turns uint64 with a plain integer into float64."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernels.loops.compilation import compile_part

_PRIME_1 = np.uint64(11400714785074694791)
_PRIME_2 = np.uint64(14029467366897019727)
_PRIME_3 = np.uint64(1609587929392839161)
_PRIME_4 = np.uint64(9650029242287828579)
_PRIME_5 = np.uint64(2870177450012600261)
_WORD = np.uint64(64)


@compile_part
def _rotate(word: np.uint64, num_bits: np.uint64) -> np.uint64:
    return (word << num_bits) | (word >> (_WORD - num_bits))


@compile_part
def _little_endian(data: NDArray[np.uint8], position: int, num_bytes: int) -> np.uint64:
    word = np.uint64(0)
    for byte in range(num_bytes):
        word |= np.uint64(data[position + byte]) << np.uint64(8 * byte)
    return word


@compile_part
def _mix(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _rotate(lane + word * _PRIME_2, np.uint64(31)) * _PRIME_1


def hash_texts(
    data: NDArray[np.uint8], string_offsets: NDArray[np.int64], first: int, stop: int, hashes: NDArray[np.uint64]
) -> None:
    """Fill strings [first, stop); see kernels.hash_strings."""
    zero = np.uint64(0)
    for string in range(first, stop):
        position = string_offsets[string]
        end = string_offsets[string + 1]
        num_bytes = end - position
        if num_bytes >= 32:
            lane_1 = _PRIME_1 + _PRIME_2
            lane_2 = _PRIME_2
            lane_3 = zero
            lane_4 = zero - _PRIME_1
            while position + 32 <= end:
                lane_1 = _mix(lane_1, _little_endian(data, position, 8))
                lane_2 = _mix(lane_2, _little_endian(data, position + 8, 8))
                lane_3 = _mix(lane_3, _little_endian(data, position + 16, 8))
                lane_4 = _mix(lane_4, _little_endian(data, position + 24, 8))
                position += 32
            state = (
                _rotate(lane_1, np.uint64(1))
                + _rotate(lane_2, np.uint64(7))
                + _rotate(lane_3, np.uint64(12))
                + _rotate(lane_4, np.uint64(18))
            )
            for lane in (lane_1, lane_2, lane_3, lane_4):
                state = (state ^ _mix(zero, lane)) * _PRIME_1 + _PRIME_4
        else:
            state = _PRIME_5
        state += np.uint64(num_bytes)
        while position + 8 <= end:
            state = _rotate(state ^ _mix(zero, _little_endian(data, position, 8)), np.uint64(27)) * _PRIME_1 + _PRIME_4
            position += 8
        if position + 4 <= end:
            state = _rotate(state ^ (_little_endian(data, position, 4) * _PRIME_1), np.uint64(23)) * _PRIME_2 + _PRIME_3
            position += 4
        while position < end:
            state = _rotate(state ^ (np.uint64(data[position]) * _PRIME_5), np.uint64(11)) * _PRIME_1
            position += 1
        state = (state ^ (state >> np.uint64(33))) * _PRIME_2
        state = (state ^ (state >> np.uint64(29))) * _PRIME_3
        hashes[string] = state ^ (state >> np.uint64(32))
