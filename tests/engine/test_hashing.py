"""Hashes of ids do not depend on how Arrow holds them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import xxhash

from engine.hashing import bucket_of, hash_instants, hash_text, hash_texts


def test_slices_and_nulls_hash_as_the_texts_they_hold() -> None:
    texts = pa.array(["a", "", None, "häßlich", "17850"])
    hashes = hash_texts(texts)
    assert hashes[1] == hashes[2]
    assert hash_texts(texts.slice(1, 3)).tolist() == hashes[1:4].tolist()
    assert [int(hash_texts(pa.array([text], pa.string()))[0]) for text in texts.to_pylist()] == hashes.tolist()
    assert len(hash_texts(pa.array([], pa.string()))) == 0


def test_the_hash_is_xxh64_of_utf8() -> None:
    texts = ["", "a", "17850", "häßlich", "x" * 99]
    assert hash_texts(pa.array(texts)).tolist() == [xxhash.xxh64_intdigest(text.encode()) for text in texts]
    moments = [0, -1, 1_512_203_415_000_000]
    expected = [xxhash.xxh64_intdigest(moment.to_bytes(8, "little", signed=True)) for moment in moments]
    assert hash_instants(np.array(moments)).tolist() == expected


def test_buckets_are_the_hash_modulo_their_number() -> None:
    texts = pa.array([f"c{index}" for index in range(100)])
    assert bucket_of(texts, 7).tolist() == [int(value) % 7 for value in hash_texts(texts)]
    assert bucket_of(texts, 1).tolist() == [0] * 100


def test_one_text_hashes_as_many() -> None:
    texts = ["", "a", "17850", "häßlich", "x" * 99]
    assert [hash_text(text) for text in texts] == hash_texts(pa.array(texts)).tolist()
