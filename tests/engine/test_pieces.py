"""Pieces of a bucket: together they are the bucket, customer by customer, and only who was touched is folded."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.history import History
from engine.ingest import ingest
from engine.schema import EVENT_SCHEMA
from tests.engine.conftest import WriteSource

HEADER = "customer_id,timestamp,order_id,amount,store_id"
COLUMNS = [name for name in EVENT_SCHEMA.names if name not in ("order_key", "store_code", "channel_code")]


def ingest_nights(store: Path, write_text: WriteSource) -> History:
    lines = [f"c{n % 40:02d},2017-01-{1 + n % 28:02d} 10:00,o{n},{n},{'nsw'[n % 3]}" for n in range(300)]
    ingest(store, [write_text("a.csv", HEADER, *lines)], num_buckets=2)
    ingest(store, [write_text("b.csv", HEADER, "c01,2017-02-01,n1,5,e", "b-new,2017-02-01,n2,6,n", "z-new,2017-02-02,n3,7,")])
    ingest(
        store, [write_text("c.csv", HEADER, "c02,2017-01-03,late,5,w", "c03,2017-01-04 10:00,o3,999,a", "c01,2017-02-03,n4,1,s")]
    )
    return History.open(store)


def test_pieces_say_together_what_the_partition_says(store: Path, write_text: WriteSource) -> None:
    history = ingest_nights(store, write_text)
    assert max(len(parts) for parts in history.manifest.parts_by_bucket().values()) > 1
    num_touched = 0
    for bucket in range(history.num_buckets):
        whole, pieces = history.partition(bucket), history.pieces(bucket)
        ranks = np.sort(np.concatenate([piece.rank[piece.is_here] for piece in pieces]))
        assert ranks.tolist() == list(range(whole.num_customers))
        num_touched += sum(int(piece.is_here.sum()) for piece in pieces[1:])
        for piece in pieces:
            part = piece.partition
            assert part.coverage == whole.coverage
            for customer in np.flatnonzero(piece.is_here):
                rank = piece.rank[customer]
                assert part.customer_ids[int(customer)] == whole.customer_ids[int(rank)]
                ours = slice(*part.offsets[customer : customer + 2])
                theirs = slice(*whole.offsets[rank : rank + 2])
                for name in COLUMNS:
                    assert getattr(part, name)[ours].tolist() == getattr(whole, name)[theirs].tolist()
                stores = [
                    [one.store_names[code] if code >= 0 else "" for code in one.store_code[rows]]
                    for one, rows in ((part, ours), (whole, theirs))
                ]
                assert stores[0] == stores[1]
    assert num_touched == 5


def test_a_bucket_of_one_part_is_one_piece_without_a_copy(store: Path, write_text: WriteSource) -> None:
    ingest(store, [write_text("a.csv", HEADER, "a,2017-01-01,1,1,s", "b,2017-01-01,2,1,s")], num_buckets=8)
    history = History.open(store)
    pieces = [history.pieces(bucket) for bucket in range(8)]
    assert all(len(each) == 1 and each[0].is_here.all() for each in pieces)
    assert sum(each[0].partition.num_customers for each in pieces) == 2
    assert not any(each[0].partition.timestamp_us.flags.owndata for each in pieces if each[0].partition.num_events)
