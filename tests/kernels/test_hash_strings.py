"""XXH64 against the reference implementation and values that anybody can look up."""

from __future__ import annotations

import numpy as np
import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from kernels import backend_names, hash_strings

every_backend = pytest.mark.parametrize("backend", backend_names())


def _hash(strings: list[bytes], backend: str, *, padding: int = 0) -> list[int]:
    data = np.frombuffer(b"\xff" * padding + b"".join(strings), np.uint8)
    offsets = padding + np.concatenate((np.zeros(1, np.int64), np.cumsum([len(text) for text in strings], dtype=np.int64)))
    return [int(number) for number in hash_strings(data, offsets, backend=backend)]


@every_backend
@pytest.mark.parametrize(
    ("text", "expected"),
    [(b"", 0xEF46DB3751D8E999), (b"a", 0xD24EC4F1A98C6E5B), (b"abc", 0x44BC2CF5AD770999)],
)
def test_known_vectors(text: bytes, expected: int, backend: str) -> None:
    assert _hash([text], backend) == [expected]


@every_backend
def test_every_length_up_to_some_stripes_hashes_as_the_xxhash_package_does(backend: str) -> None:
    strings = [bytes(np.random.default_rng(length).integers(0, 256, length, dtype=np.uint8)) for length in range(140)]
    assert _hash(strings, backend) == [xxhash.xxh64_intdigest(text) for text in strings]


@every_backend
@given(strings=st.lists(st.text(max_size=50), max_size=8), padding=st.integers(0, 9))
def test_strings_anywhere_in_the_data_hash_as_the_xxhash_package_does(strings: list[str], padding: int, backend: str) -> None:
    encoded = [text.encode() for text in strings]
    assert _hash(encoded, backend, padding=padding) == [xxhash.xxh64_intdigest(text) for text in encoded]


@pytest.mark.parametrize("offsets", [[0, 4], [-1, 2], [2, 1], []])
def test_offsets_that_leave_the_data_are_refused(offsets: list[int]) -> None:
    with pytest.raises(ValueError, match=r"string_offsets.*found.*expected"):
        hash_strings(np.zeros(3, np.uint8), np.array(offsets, np.int64))
