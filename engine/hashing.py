"""xxHash64 of ids: which bucket a customer lives in, and what an order is known by."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import xxhash
from numpy.typing import NDArray

from kernels import hash_strings

_INSTANT_BYTES = 8


def hash_texts(texts: pa.StringArray) -> NDArray[np.uint64]:
    """uint64[num_texts]: of the UTF-8 bytes; a null hashes as the empty text."""
    if len(texts) == 0:
        return np.zeros(0, np.uint64)
    _, offset_bytes, text_bytes = texts.buffers()
    offsets = np.frombuffer(offset_bytes, np.int32)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    data = np.zeros(0, np.uint8) if text_bytes is None else np.frombuffer(text_bytes, np.uint8)
    return hash_strings(data[offsets[0] : offsets[-1]], offsets - offsets[0])


def hash_text(text: str) -> int:
    """The same of one text, without an Arrow array around it."""
    return xxhash.xxh64_intdigest(text.encode())


def hash_instants(timestamp_us: NDArray[np.int64]) -> NDArray[np.uint64]:
    """uint64[num_instants]: of the eight little-endian bytes, the key of an order that has no id of its own."""
    data = np.ascontiguousarray(timestamp_us, dtype="<i8").view(np.uint8)
    return hash_strings(data, np.arange(len(timestamp_us) + 1, dtype=np.int64) * _INSTANT_BYTES)


def bucket_of(customer_ids: pa.StringArray, num_buckets: int) -> NDArray[np.int64]:
    """int64[num_customers]: xxHash64 modulo the number of buckets."""
    return (hash_texts(customer_ids) % np.uint64(num_buckets)).astype(np.int64)
