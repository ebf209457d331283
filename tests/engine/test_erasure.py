"""A customer who is erased leaves no byte behind, and everybody else stays."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest

from engine.errors import InvalidArgumentError, StoreBusyError
from engine.files import writer_lock
from engine.history import History
from engine.ingest import ingest
from engine.upkeep import erase_from_history, inspect_history
from tests.breaking_off import break_off_at
from tests.engine.conftest import WriteSource, list_files
from tests.engine.reference_history import Row, build_events, decode, write_rows

WHO = "card-0421-xyzzy"
OLD = [Row(customer_id=f"c{index}", timestamp_us=index, amount=Decimal(index), order_id="old") for index in range(40)]
THEIRS = [Row(customer_id=WHO, timestamp_us=7, order_id="a"), Row(customer_id=WHO, timestamp_us=99, order_id="b")]


def traces(folder: Path, customer_id: str) -> list[str]:
    """Files below a folder that hold the id in their bytes or their names."""
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if customer_id in path.name or (path.is_file() and customer_id.encode() in path.read_bytes())
    ]


@pytest.fixture
def grown(store: Path, tmp_path: Path, write_text: WriteSource) -> Path:
    """Parts, delta parts, parts kept for readers, bad rows, a telling file name, and what a killed ingest left."""
    ingest(store, [write_rows(tmp_path / "1.parquet", [*OLD, THEIRS[0]])], num_buckets=4)
    ingest(store, [write_rows(tmp_path / f"export of {WHO}.parquet", [THEIRS[1]])])
    bad = write_text(
        f"{WHO}.csv",
        "who,timestamp,amount,note",
        "c1,2017-01-01,none,x",
        f" {WHO} ,2017-01-01,none,x",
        f",never,1,{WHO}",
        "c1,1971-01-01,1,x",
    )
    ingest(store, [bad], columns={"customer_id": "who", "category": "note"})
    ingest(store, [write_rows(tmp_path / "4.parquet", [Row(customer_id=WHO, timestamp_us=8, order_id="a")])])
    history = store / "history"
    (history / "staging").mkdir()
    (history / "staging" / "0001.lines.arrows").write_text(WHO)
    (history / ".manifest.json.77.tmp").write_text(WHO)
    (history / "bucket=0001" / "dead.customers.arrow").write_text(WHO)
    return store


def test_no_byte_and_no_name_below_the_store_speaks_of_an_erased_customer(grown: Path) -> None:
    assert len(traces(grown, WHO)) >= 8
    num_before = History.open(grown).manifest.num_events
    erased = erase_from_history(grown, WHO)
    assert traces(grown, WHO) == []
    assert (erased.num_events, erased.num_quarantined_rows, erased.num_source_names) == (2, 2, 3)
    history = History.open(grown)
    assert history.manifest.num_events == num_before - 2
    assert history.manifest.num_forgotten == 1
    assert {event.customer_id for event in decode(history)} == {row.customer_id.encode() for row in OLD}
    assert inspect_history(grown).problems == ()
    (quarantine,) = (grown / "history" / "quarantine").iterdir()
    assert quarantine.name.startswith("erased-")
    assert quarantine.read_text().splitlines()[1:] == ['"1","amount unreadable","c1","2017-01-01","none","x"']


def test_erasing_again_finds_nothing_and_changes_nothing(grown: Path) -> None:
    erase_from_history(grown, WHO)
    before = list_files(grown)
    assert not erase_from_history(grown, WHO).found_any
    assert list_files(grown) == before


def test_a_stranger_is_not_found_and_nobody_is_touched(grown: Path) -> None:
    before = decode(History.open(grown))
    assert not erase_from_history(grown, "c").found_any  # the beginning of many ids
    assert not erase_from_history(grown, "nobody").found_any
    assert decode(History.open(grown)) == before


def test_the_last_customer_leaves_no_history(store: Path, tmp_path: Path) -> None:
    ingest(store, [write_rows(tmp_path / "t.parquet", THEIRS)])
    assert erase_from_history(store, WHO).num_events == 2
    assert traces(store, WHO) == []
    ingest(store, [write_rows(tmp_path / "u.parquet", OLD)])
    assert decode(History.open(store)) == build_events(OLD)


def test_a_short_id_does_not_take_every_number_for_itself(store: Path, write_text: WriteSource) -> None:
    lines = ["7,2017-01-01,bad", "17,2017-01-07,7bad", "7.0,2017-01-01,bad", "8,2017-01-01,1", ",2017-01-01,7"]
    ingest(store, [write_text("till-2017.csv", "customer_id,timestamp,amount", *lines)])
    erased = erase_from_history(store, "7")
    assert (erased.num_events, erased.num_quarantined_rows, erased.num_source_names) == (0, 3, 0)
    (quarantine,) = (store / "history" / "quarantine").iterdir()
    assert [line.split(",")[2] for line in quarantine.read_text().splitlines()[1:]] == ['"17"']
    assert History.open(store).manifest.sources[0].name == "till-2017.csv"


def test_values_with_line_ends_of_every_kind_are_erased_one_customer_after_the_other(store: Path, tmp_path: Path) -> None:
    source = tmp_path / "till.csv"
    lines = ('bob,"20\r17",5', 'cy,"20\n17",6', 'di,"20\r\n17",7', "ed,never,8", "good,2017-01-01,9")
    source.write_bytes("\n".join(("customer_id,timestamp,amount", *lines)).encode())
    ingest(store, [source])
    (quarantine,) = (store / "history" / "quarantine").iterdir()
    for who, word in (("ed", b"never"), ("bob", b"20\r17"), ("cy", b"20\n17")):
        assert word in quarantine.read_bytes()
        assert erase_from_history(store, who).num_quarantined_rows == 1
        assert word not in quarantine.read_bytes()
    assert b'"20\r\n17","7"' in quarantine.read_bytes()


def test_a_row_that_an_erasure_of_before_tore_apart_stops_no_other(store: Path, write_text: WriteSource) -> None:
    ingest(store, [write_text("till.csv", "customer_id,timestamp,amount", "bob,never,5", "cy,never,6", "good,2017-01-01,9")])
    (quarantine,) = (store / "history" / "quarantine").iterdir()
    quarantine.write_bytes(
        b"row,reason,customer_id,timestamp,amount\n1,timestamp unreadable,bob,20\r17,5\n2,timestamp unreadable,cy,never,6\n"
    )
    assert erase_from_history(store, "cy").num_quarantined_rows == 1
    assert erase_from_history(store, "bob").num_quarantined_rows == 1
    assert b"bob" not in quarantine.read_bytes()


def test_a_reader_that_has_the_parts_open_goes_on(grown: Path) -> None:
    history = History.open(grown)
    before = decode(history)
    erase_from_history(grown, WHO)
    assert decode(history) == before


def test_a_blank_id_one_that_is_no_text_and_a_busy_store_are_refused(grown: Path) -> None:
    for no_id in (" ", "\udcff"):
        with pytest.raises(InvalidArgumentError, match="CUSTOMER_ID"):
            erase_from_history(grown, no_id)
    with writer_lock(grown / "history"), pytest.raises(StoreBusyError):
        erase_from_history(grown, WHO)


def test_a_store_without_a_history_has_nothing_to_erase(tmp_path: Path) -> None:
    assert not erase_from_history(tmp_path / "nowhere", WHO).found_any
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("is_alone", [False, True])
def test_an_erasure_that_breaks_off_anywhere_leaves_a_store_that_opens_and_is_done_by_a_rerun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_alone: bool
) -> None:
    """Broken off at each step of the file system in turn, until one run goes through."""
    others = [] if is_alone else OLD
    for moment in range(1, 60):
        store = tmp_path / str(moment)
        ingest(store, [write_rows(tmp_path / f"{WHO}.parquet", [*others, THEIRS[0]])], num_buckets=2)
        ingest(store, [write_rows(tmp_path / "2.parquet", [THEIRS[1]])])
        with monkeypatch.context() as patch:
            is_whole = break_off_at(patch, moment, partial(erase_from_history, store, WHO))
        if (store / "history" / "manifest.json").exists():
            assert History.open(store).verify() == []
        erase_from_history(store, WHO)
        assert traces(store, WHO) == []
        if is_whole:
            return
    pytest.fail("no run went through")
