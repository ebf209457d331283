"""How many buckets there are, and when a history has outgrown them."""

from __future__ import annotations

import pytest

from engine.history.manifest import Manifest
from engine.history.totals import BucketTotals
from engine.ingest.bucket_number import advise_num_buckets, choose_num_buckets


def test_the_number_of_buckets_follows_the_rows() -> None:
    assert [choose_num_buckets(rows) for rows in (0, 1, 9_600_000, 9_600_001, 19_200_000, 19_200_001, 10**12)] == [
        8,
        8,
        8,
        16,
        16,
        32,
        4096,
    ]


def manifest_of(num_events: int, num_buckets: int) -> Manifest:
    totals = BucketTotals(
        bucket=0,
        num_customers=1,
        num_by_kind={"purchase": num_events},
        amount_minor_total=0,
        first_us_by_kind={"purchase": 0},
        last_event_us=1,
        last_order_us=1,
    )
    return Manifest(num_buckets=num_buckets, customer_id_type="string", fields=(), sources=(), parts=(), totals=(totals,))


@pytest.mark.parametrize(
    ("num_events", "num_buckets", "advised"),
    [
        (19_200_000, 8, None),  # twice what a bucket is meant for
        (19_200_001, 8, 32),
        (49_200_000, 8, 64),
        (49_200_000, 64, None),
        (4_900_000, 1, 8),
        (30_000_000, 3, 48),  # a multiple of what there is
        (10**12, 8, 4096),
        (10**12, 4096, None),
    ],
)
def test_a_history_that_has_outgrown_its_buckets_is_to_be_split_by_doubling(
    num_events: int, num_buckets: int, advised: int | None
) -> None:
    assert advise_num_buckets(manifest_of(num_events, num_buckets)) == advised
