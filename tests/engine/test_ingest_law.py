"""The law of ingest: any split of the rows into files, in any order, over any number of buckets, gives the same events."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.history import History
from engine.ingest import ingest, spill, storing
from engine.schema import KIND_NAMES, ORDER_KINDS
from engine.upkeep import compact, inspect_history
from tests.engine.reference_history import FIELDS, Row, build_events, decode, identity, write_rows

DAY_US = 86_400_000_000
MONEY = st.integers(-300_00_00, 300_00_00).map(lambda units: Decimal(units).scaleb(-4))
FEW_NAMES = st.sampled_from([None, "1", "2", "north", "süd", "Süd", "𝒵"])


def whole(row: Row) -> Row:
    """With the rating that feedback has to have."""
    return replace(row, rating=row.rating or Decimal(3)) if row.kind == "feedback" else row


ROWS = st.lists(
    st.builds(
        Row,
        customer_id=st.sampled_from(["1", "10", "2", "é", "z", "\uffee", "𝒵", "c" * 40]),
        timestamp_us=st.integers(0, 5).map(lambda day: 17_000 * DAY_US + day * DAY_US // 2 + day),
        amount=MONEY,
        order_id=st.sampled_from([None, "A", "B", "C"]),
        quantity=st.one_of(st.none(), st.integers(-3, 3)),
        discount=st.one_of(st.none(), MONEY),
        store_id=FEW_NAMES,
        channel=FEW_NAMES,
        product_id=FEW_NAMES,
        category=FEW_NAMES,
        is_return=st.sampled_from([None, False, True]),
        kind=st.sampled_from([None, "purchase", "return", *KIND_NAMES]),
        rating=st.one_of(st.none(), st.integers(0, 5000).map(lambda milli: Decimal(milli).scaleb(-3))),
    ).map(whole),
    min_size=1,
    max_size=30,
)
OPTIONAL_FIELDS = [name for name in FIELDS if name != "customer_id"]
# Feedback without a rating is a bad row, so that whoever says the kind has to bring ratings.
CHOSEN_FIELDS = st.sets(st.sampled_from(OPTIONAL_FIELDS)).map(
    lambda chosen: ("customer_id", *sorted(chosen | ({"rating"} if "kind" in chosen else set())))
)

quick = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def ingest_rows(folder: Path, pieces: Sequence[Sequence[Row]], fields: Sequence[str], num_buckets: int) -> History:
    files = [write_rows(folder / f"{index}.parquet", piece, fields) for index, piece in enumerate(pieces)]
    if len({file.read_bytes() for file in files}) < len(files):  # files of equal bytes count once, which is another law
        files = [write_rows(folder / "all.parquet", [row for piece in pieces for row in piece], fields)]
    ingest(folder / "store", files, num_buckets=num_buckets)
    return History.open(folder / "store")


@quick
@given(rows=ROWS, fields=CHOSEN_FIELDS, num_buckets=st.sampled_from([1, 2, 5]), data=st.data())
def test_any_split_order_and_bucket_count_gives_the_reference_events(
    rows: list[Row], fields: tuple[str, ...], num_buckets: int, data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(rows))
    cuts = sorted(data.draw(st.sets(st.integers(1, len(rows) - 1), max_size=2))) if len(rows) > 1 else []
    pieces = [shuffled[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(rows)], strict=True)]
    with tempfile.TemporaryDirectory() as folder:
        history = ingest_rows(Path(folder), pieces, fields, num_buckets)
        expected = build_events(rows, fields)
        assert decode(history) == expected
        assert history.manifest.num_events == len(expected)
        assert history.manifest.amount_minor_total == sum(event.amount_minor for event in expected if event.kind in ORDER_KINDS)
        assert history.verify() == []


@quick
@given(first=ROWS, second=ROWS, num_buckets=st.sampled_from([1, 3]))
def test_a_later_ingest_replaces_the_same_events_and_keeps_the_others(
    first: list[Row], second: list[Row], num_buckets: int
) -> None:
    def key(row: Row) -> tuple[object, ...]:
        is_purchase = row.kind in (None, "purchase")
        return *identity(row), (row.is_return or False) if is_purchase else row.kind == "return"

    arriving = {key(row) for row in second}
    known = {key(row) for row in first}
    with tempfile.TemporaryDirectory() as folder:
        history = ingest_rows(Path(folder), [first], FIELDS, num_buckets)
        report = ingest(history.store, [write_rows(Path(folder) / "later.parquet", second)])
        expected = build_events([row for row in first if key(row) not in arriving] + second)
        assert decode(History.open(history.store)) == expected
        assert inspect_history(history.store).problems == ()  # the totals, too, which were not counted anew
        if first != second:  # else the file is skipped
            assert report.num_events_new == len(arriving - known)
            assert report.num_events_replaced + report.num_events_unchanged == len(arriving & known)


@quick
@given(rows=ROWS, fields=CHOSEN_FIELDS, num_buckets=st.sampled_from([1, 3]), max_parts=st.sampled_from([1, 2, 8]), data=st.data())
def test_any_split_into_commands_in_any_order_gives_the_same_history(
    rows: list[Row], fields: tuple[str, ...], num_buckets: int, max_parts: int, data: st.DataObject
) -> None:
    """As far as the rule of replacing allows: the rows of one order come in one command, and some commands come twice."""
    orders: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        orders.setdefault(identity(row, fields), []).append(row)
    commands: list[list[Row]] = [[], [], []]
    for of_order in orders.values():
        commands[data.draw(st.integers(0, 2))] += data.draw(st.permutations(of_order))
    commands = [command for command in commands if command]
    commands.append([*commands[0]][::-1])
    expected = build_events(rows, fields)
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        patch.setattr(storing, "MAX_PARTS", max_parts)
        folder = Path(name)
        for index, command in enumerate(data.draw(st.permutations(commands))):
            ingest(folder / "store", [write_rows(folder / f"{index}.parquet", command, fields)], num_buckets=num_buckets)
        history = History.open(folder / "store")
        assert decode(history) == expected
        assert history.verify() == []
        ingest(folder / "at once", [write_rows(folder / "all.parquet", rows, fields)], num_buckets=num_buckets)
        at_once = History.open(folder / "at once").manifest
        assert history.manifest.totals == at_once.totals
        assert compact(folder / "store").manifest.parts == at_once.parts


@quick
@given(first=ROWS, second=ROWS, num_buckets=st.sampled_from([1, 3]), factor=st.sampled_from([1, 2, 5]))
def test_a_history_split_into_more_buckets_is_the_one_that_had_them_from_the_beginning(
    first: list[Row], second: list[Row], num_buckets: int, factor: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        histories = []
        for part, buckets in (("split", num_buckets), ("at once", num_buckets * factor)):
            (folder / part).mkdir()
            history = ingest_rows(folder / part, [first], FIELDS, buckets)
            ingest(history.store, [write_rows(folder / part / "later.parquet", second)])
            histories.append(history)
        expected = decode(History.open(histories[0].store))
        split, at_once = (compact(history.store, num_buckets=num_buckets * factor).manifest for history in histories)
        assert split == at_once
        assert decode(History.open(histories[0].store)) == expected


def test_a_bucket_too_large_for_memory_is_aggregated_piece_by_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [
        Row(customer_id=f"c{index % 17}", timestamp_us=index * DAY_US // 3, amount=Decimal(index) / 7, order_id=str(index % 5))
        for index in range(400)
    ]
    rows = [Row(**{**vars(row), "amount": row.amount.quantize(Decimal("0.0001"))}) for row in rows]
    monkeypatch.setattr(spill, "_PIECE_LINES", 50)
    monkeypatch.setattr(spill, "_CHUNK_LINES", 64)
    assert decode(ingest_rows(tmp_path, [rows[:150], rows[150:]], FIELDS, 2)) == build_events(rows)
