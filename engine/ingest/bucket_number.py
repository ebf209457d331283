"""How many buckets a history should have: by its first ingest, and once it has outgrown them."""

from __future__ import annotations

from engine.errors import InvalidArgumentError
from engine.history.manifest import Manifest

MAX_BUCKETS = 4096
_MIN_CHOSEN_BUCKETS = 8
_ROWS_PER_BUCKET = 1_200_000
# Times the events that a bucket is meant for: less is not worth a rescoring with everybody's first event.
_OUTGROWN = 2


def choose_num_buckets(num_rows: int) -> int:
    """A power of two from 8 to 4096, for 600,000 to 1,200,000 source rows a bucket.

    Small enough to be worked on in memory, and large enough for a file: opening a part costs what walking over 10,000 rows does.
    """
    wanted = max(num_rows - 1, 0) // _ROWS_PER_BUCKET
    return min(max(1 << wanted.bit_length(), _MIN_CHOSEN_BUCKETS), MAX_BUCKETS)


def advise_num_buckets(manifest: Manifest) -> int | None:
    """Into how many buckets a history had better be split; None where those that it has will do, or there can be no more."""
    if manifest.num_events <= _OUTGROWN * _ROWS_PER_BUCKET * manifest.num_buckets:
        return None
    advised = manifest.num_buckets
    while manifest.num_events > _ROWS_PER_BUCKET * advised and advised * 2 <= MAX_BUCKETS:
        advised *= 2
    return advised if advised > manifest.num_buckets else None


def check_num_buckets(num_buckets: int | None) -> None:
    """raises : InvalidArgumentError for a number below 1 or above MAX_BUCKETS"""
    if num_buckets is not None and not 1 <= num_buckets <= MAX_BUCKETS:
        raise InvalidArgumentError("num_buckets", f"found {num_buckets}, expected 1 to {MAX_BUCKETS}")
