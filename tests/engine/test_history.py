"""The history as its readers see it: states, look-ups, and damage found."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest

from engine.errors import AsOfError, IntegrityError, InvalidArgumentError, NoHistoryError, UnknownCustomerError
from engine.history import History
from engine.ingest import ingest
from engine.instants import parse_instant
from tests.engine.conftest import WriteSource

HEADER = "customer_id,timestamp,amount,store_id"


@pytest.fixture
def history(store: Path, write_text: WriteSource) -> History:
    lines = [f"c{index},2017-01-0{1 + index % 5} 0{index % 10}:00,{index},s{index % 3}" for index in range(40)]
    ingest(store, [write_text("t.csv", HEADER, *lines)], num_buckets=64)
    return History.open(store)


def test_partitions_cover_every_customer_once(history: History) -> None:
    partitions = list(history.partitions())
    assert len(partitions) == history.num_buckets == 64
    ids = [customer_id for partition in partitions for customer_id in partition.customer_ids.to_pylist()]
    assert sorted(ids) == sorted(f"c{index}" for index in range(40))
    assert any(partition.num_customers == 0 for partition in partitions)
    for bucket, partition in enumerate(partitions):
        assert {history.bucket_of(customer_id) for customer_id in partition.customer_ids.to_pylist()} <= {bucket}
        assert partition.timestamp_us.dtype == np.int64
        assert partition.kind.dtype == np.uint8


def test_columns_are_views_of_the_file(history: History) -> None:
    partition, _ = history.find("c7")
    assert not partition.timestamp_us.flags.owndata
    assert not partition.timestamp_us.flags.writeable


def test_find_gives_the_row_of_a_customer(history: History) -> None:
    for index in range(40):
        partition, row = history.find(f"c{index}")
        assert partition.customer_ids[row].as_py() == f"c{index}"
        assert partition.amount_minor[partition.offsets[row]] == index * 100
        assert partition.store_names[partition.store_code[partition.offsets[row]]] == f"s{index % 3}"
    for unknown in ("c40", "", "C1", "c1 ", "\udcff"):
        with pytest.raises(UnknownCustomerError):
            history.find(unknown)


def test_a_bucket_that_there_is_not(history: History) -> None:
    for bucket in (-1, 64):
        with pytest.raises(InvalidArgumentError, match=f"bucket: found {bucket}, expected 0 to 63"):
            history.partition(bucket)


def test_a_pickled_history_is_the_same_state(history: History, write_text: WriteSource) -> None:
    copy = pickle.loads(pickle.dumps(history))
    ingest(history.store, [write_text("u.csv", HEADER, "new,2017-02-01,1,s")])
    assert copy.manifest_hash == history.manifest_hash != History.open(history.store).manifest_hash
    assert copy.find("c7")[1] == history.find("c7")[1]
    with pytest.raises(UnknownCustomerError):
        copy.find("new")


def test_activity_is_counted_once(history: History) -> None:
    activity = history.activity()
    assert activity is history.activity()
    assert activity.num_orders.tolist() == [8] * 5
    assert activity.first_day * 86_400_000_000 == parse_instant("2017-01-01")


@pytest.mark.parametrize(
    ("as_of", "horizon_days"),
    [("2017-01-01T00:00:00.000001", 0), ("2017-01-02", 4), ("2017-01-06", 0), ("2017-01-03T12:00:00", 2)],
)
def test_instants_that_the_data_can_answer_for(history: History, as_of: str, horizon_days: int) -> None:
    history.check_as_of(parse_instant(as_of), horizon_days=horizon_days)


@pytest.mark.parametrize(
    ("as_of", "horizon_days", "message"),
    [
        ("2017-01-01", 0, "as-of 2017-01-01 is not possible: the orders go from 2017-01-01 to 2017-01-05T09:00:00Z"),
        ("2017-01-01", 0, "expected a date from 2017-01-02 to 2017-01-06$"),
        ("2017-01-06T00:00:01", 0, "expected a date from 2017-01-02 to 2017-01-06$"),
        ("2017-01-05", 2, "as-of 2017-01-05 with a horizon of 2 days is not .* expected a date from 2017-01-02 to 2017-01-04$"),
        ("2017-01-03", 5, "expected a horizon of at most 4 days$"),
        ("2030-01-01", 30, "expected a horizon of at most 4 days$"),
    ],
)
def test_others_are_refused_with_the_dates_that_are_possible(
    history: History, as_of: str, horizon_days: int, message: str
) -> None:
    with pytest.raises(AsOfError, match=message):
        history.check_as_of(parse_instant(as_of), horizon_days=horizon_days)


def test_a_horizon_below_zero(history: History) -> None:
    with pytest.raises(InvalidArgumentError, match="horizon_days: found -1"):
        history.check_as_of(parse_instant("2017-01-03"), horizon_days=-1)


def test_no_history(tmp_path: Path) -> None:
    for store in (tmp_path, tmp_path / "missing"):
        with pytest.raises(NoHistoryError, match="run `ebbtide ingest --store"):
            History.open(store)


def part_files(history: History) -> list[Path]:
    return sorted(history.store.rglob("*.arrow"))


def test_a_missing_part_is_found_at_opening(history: History) -> None:
    path = part_files(history)[0]
    path.unlink()
    with pytest.raises(IntegrityError, match=f"{path} is missing; restore the file from a backup, or ingest"):
        History.open(history.store)


def test_a_part_cut_short_is_found_at_opening(history: History) -> None:
    path = part_files(history)[1]
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(IntegrityError, match=r"has [\d,]+ bytes, expected [\d,]+; restore"):
        History.open(history.store)


def test_a_flipped_byte_is_found_by_verify(history: History) -> None:
    assert history.verify() == []
    path = part_files(history)[0]
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    (problem,) = History.open(history.store).verify()
    assert str(path.parent) in problem
    assert "expected sha256:" in problem


def test_a_part_that_is_none_is_refused_when_it_is_read(history: History) -> None:
    record = history.manifest.parts[0]
    for name, num_bytes in record.files:
        path = history.store / "history" / name
        original = path.read_bytes()
        path.write_bytes(b"x" * num_bytes)
        with pytest.raises(IntegrityError, match=f"{path} cannot be read"):
            History.open(history.store).partition(record.bucket)
        path.write_bytes(original)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"schema_version": 3}', "null", '{"schema_version": 3, "checksum": ""}', "\xff"]
)
def test_a_damaged_manifest_is_refused(history: History, text: str) -> None:
    path = history.store / "history" / "manifest.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(IntegrityError, match=f"{path} is damaged .*ingest the sources again into a new store"):
        History.open(history.store)


def test_a_manifest_that_someone_edited_is_refused(history: History) -> None:
    path = history.store / "history" / "manifest.json"
    body = json.loads(path.read_text())
    path.write_text(json.dumps(body | {"num_buckets": 32}))
    with pytest.raises(IntegrityError, match="its checksum does not match"):
        History.open(history.store)
    path.write_text(json.dumps(body | {"schema_version": 1}))
    with pytest.raises(IntegrityError, match="has schema version 1, expected 3: it was written by another version"):
        History.open(history.store)


def test_an_ingest_does_not_build_on_a_damaged_history(history: History, write_text: WriteSource) -> None:
    (history.store / "history" / "manifest.json").write_text("{")
    with pytest.raises(IntegrityError, match="is damaged"):
        ingest(history.store, [write_text("u.csv", HEADER, "new,2017-02-01,1,s")])
    assert (history.store / "history" / "manifest.json").read_text() == "{"
