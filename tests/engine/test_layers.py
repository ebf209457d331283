"""Pieces of a bucket: together they are the bucket, customer by customer, and only who was touched is folded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from engine.history import HISTORY_FOLDER, Buffers, History, Layers, Piece, Reach
from engine.history.manifest import write_manifest
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


def pieces_of(layers: Layers) -> list[Piece]:
    """The layers as pieces, those who are continued put together."""
    pieces = [piece for piece in (layers.alone, layers.late) if piece is not None]
    if layers.continued is not None:
        joined = layers.continued.join()
        is_here = np.ones(joined.num_customers, bool)
        pieces.insert(
            1, Piece(partition=joined, is_here=is_here, rank=layers.continued.rank, num_settled=layers.continued.num_settled)
        )
    return pieces


def test_pieces_say_together_what_the_partition_says(store: Path, write_text: WriteSource) -> None:
    history = ingest_nights(store, write_text)
    assert max(len(parts) for parts in history.manifest.parts_by_bucket().values()) > 1
    num_touched = 0
    for bucket in range(history.num_buckets):
        whole, pieces = history.partition(bucket), pieces_of(history.layers(bucket))
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
    pieces = [pieces_of(history.layers(bucket)) for bucket in range(8)]
    assert all(len(each) == 1 and each[0].is_here.all() for each in pieces)
    assert sum(each[0].partition.num_customers for each in pieces) == 2
    assert not any(each[0].partition.timestamp_us.flags.owndata for each in pieces if each[0].partition.num_events)


def settled_events(layers: Layers) -> dict[str, int]:
    """Customer -> how many first events are told to be settled."""
    found: dict[str, int] = {}
    for piece in (layers.alone, layers.late):
        if piece is not None:
            ids = piece.partition.customer_ids.to_pylist()
            found |= {ids[at]: int(piece.num_settled[at]) for at in np.flatnonzero(piece.is_here)}
    if layers.continued is not None:
        found |= dict(zip(layers.continued.customer_ids.to_pylist(), layers.continued.num_settled.tolist(), strict=True))
    return found


def test_what_is_settled_is_what_the_earlier_parts_gave_and_nothing_moved_since(store: Path, write_text: WriteSource) -> None:
    nights = [
        [f"{name},2017-01-0{day},{name}{day},1,s" for name in "abcdefg" for day in (1, 3)],
        ["a,2017-01-05,a5,1,s", "b,2017-01-05,b5,1,s", "c,2017-01-05,c5,1,s", "d,2017-01-02,d2,1,s", "new,2017-01-05,n5,1,s"],
        ["a,2017-01-06,a6,1,s", "b,2017-01-05,b5,9,s", "d,2017-01-07,d7,1,s", "e,2017-01-06,e6,1,s", "f,2017-01-02,f2,1,s"],
    ]
    for night, lines in enumerate(nights):
        ingest(store, [write_text(f"{night}.csv", HEADER, *lines)], num_buckets=1)
    history = History.open(store)
    hashes = [part.sha256 for part in history.parts(0)]
    assert len(hashes) == 3
    everybody = ["a", "b", "c", "d", "e", "f", "g", "new"]
    expected = {
        (): [0, 0, 0, 0, 0, 0, 0, 0],
        (hashes[1],): [0, 0, 0, 0, 0, 0, 0, 0],  # not the first part any more: nothing is known of it
        (hashes[0],): [2, 2, 2, 0, 2, 0, 2, 0],  # d and f have events before the last one that they had
        tuple(hashes[:2]): [3, 2, 3, 0, 2, 0, 2, 1],  # of b an event of the second part is replaced
        tuple(hashes): [3 + 1, 3, 3, 4, 3, 3, 2, 1],
    }
    for settled, numbers in expected.items():
        assert settled_events(history.layers(0, settled=settled)) == dict(zip(everybody, numbers, strict=True)), len(settled)


def test_customers_are_put_together_as_far_back_as_is_asked_in_memory_that_is_used_again(
    store: Path, write_text: WriteSource
) -> None:
    ingest_nights(store, write_text)
    history = History.open(store)
    buffers = Buffers()
    num_joined = 0
    for bucket in range(history.num_buckets):
        continued = history.layers(bucket).continued
        assert continued is not None
        whole = continued.join()
        chosen = np.arange(len(continued.customer_ids))[::-1].copy()
        older_begin, older_end = (rows[chosen] for rows in continued.runs[:2])
        times = older_end - np.minimum(older_end - older_begin, 3)
        recent = older_end - np.minimum(older_end - older_begin, 2)
        tails = continued.join(chosen, Reach(times=times, recent=recent, news=older_end), buffers)
        assert tails.customer_ids.to_pylist() == whole.customer_ids.to_pylist()[::-1]
        for place, customer in enumerate(chosen):
            ours, theirs = slice(*tails.offsets[place : place + 2]), slice(*whole.offsets[customer : customer + 2])
            num_newer = int((continued.runs[3] - continued.runs[2])[customer])
            for name in COLUMNS:
                one, other = getattr(tails, name)[ours], getattr(whole, name)[theirs]
                num_older = {"timestamp_us": 3, "kind": 3, "quantity_milli": 0, "num_products": 0}.get(name, 2)
                num_there = min(num_older, len(other) - num_newer) + num_newer
                assert len(one) == min(3, len(other) - num_newer) + num_newer
                assert one[len(one) - num_there :].tolist() == other[len(other) - num_there :].tolist()
            num_joined += 1
    assert num_joined > 2


def test_a_part_tells_whether_it_corrects_an_older_one_through_folding_and_all(store: Path, write_text: WriteSource) -> None:
    ingest(store, [write_text("0.csv", HEADER, *(f"a,2017-01-{day:02d},o{day},1,s" for day in range(1, 29)))], num_buckets=1)
    for night in range(1, 5):
        ingest(store, [write_text(f"{night}.csv", HEADER, f"a,2017-02-{night:02d},n{night},1,s")])
    assert [part.is_addition for part in History.open(store).parts(0)] == [False] + [True] * 4
    ingest(store, [write_text("c.csv", HEADER, "a,2017-02-05,o3,7,s")])
    assert [part.is_addition for part in History.open(store).parts(0)] == [False] + [True] * 4 + [False]
    layers = History.open(store).layers(0)
    assert layers.continued is None
    assert layers.late is not None
    for night in range(6, 9):
        ingest(store, [write_text(f"{night}.csv", HEADER, f"a,2017-02-{night:02d},n{night},1,s")])
    parts = History.open(store).parts(0)
    assert len(parts) < 6
    assert not parts[-1].is_addition
    whole = History.open(store).partition(0)
    assert (whole.num_events, int(whole.amount_minor.sum())) == (28 + 4 + 3, 100 * (27 + 7 + 4 + 3))


def test_a_manifest_of_before_says_nothing_of_corrections_and_keys_are_compared(store: Path, write_text: WriteSource) -> None:
    history = ingest_nights(store, write_text)
    expected = [[part.rank.tolist() for part in pieces_of(history.layers(bucket))] for bucket in range(2)]
    parts = tuple(replace(part, is_addition=False) for part in history.manifest.parts)
    write_manifest(store / HISTORY_FOLDER, replace(history.manifest, parts=parts))
    told_less = History.open(store)
    assert [[part.rank.tolist() for part in pieces_of(told_less.layers(bucket))] for bucket in range(2)] == expected
