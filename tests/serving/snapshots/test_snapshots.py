"""Snapshots on disk and in memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import IntegrityError, NoSnapshotError
from engine.files import checksum_bytes, sha256_file
from engine.history.events import find_text
from serving.snapshots import (
    DoneBucket,
    Snapshot,
    commit,
    current_path,
    find_done,
    list_snapshots,
    open_current,
    open_snapshot,
    set_current,
    snapshot_folder,
    survival,
    write_bucket,
)
from serving.snapshots.ranking import rank
from serving.snapshots.search import find_strings
from tests.serving.conftest import AS_OF_US, INPUTS, WriteSnapshot, probability_of


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, write_snapshot: WriteSnapshot) -> Path:
    folder = tmp_path_factory.mktemp("snapshots")
    write_snapshot(folder)
    return folder


@pytest.fixture(scope="module")
def snapshot(store: Path) -> Snapshot:
    return open_current(store)


def test_the_id_tells_instant_and_model_and_changes_with_any_input() -> None:
    assert INPUTS.snapshot_id.startswith("20240601T000000Z-default-0001-")
    others = [
        replace(INPUTS, as_of_us=AS_OF_US + 1),
        replace(INPUTS, model_hash="sha256:3"),
        replace(INPUTS, history_hash="sha256:3"),
        replace(INPUTS, edges_days=(30.0,)),
    ]
    assert len({inputs.snapshot_id for inputs in [INPUTS, *others]}) == 5


def test_whole_days_and_their_floats_are_the_same_input() -> None:
    assert replace(INPUTS, edges_days=tuple(int(edge) for edge in INPUTS.edges_days)).snapshot_id == INPUTS.snapshot_id


def test_an_instant_within_a_day_makes_an_id_that_is_a_folder_name() -> None:
    assert replace(INPUTS, as_of_us=AS_OF_US + 3_723_000_000).snapshot_id.startswith("20240601T010203Z-default-0001-")


def test_every_customer_is_found_one_by_one_and_together(snapshot: Snapshot) -> None:
    ids = [f"c{number:04d}" for number in range(500)]
    one_by_one = [snapshot.lookup(customer_id) for customer_id in ids]
    assert sorted(row for row in one_by_one if row is not None) == list(range(500))
    assert snapshot.lookup_many(pa.array(ids)).tolist() == one_by_one
    assert snapshot.take(np.asarray(one_by_one)).column("customer_id").to_pylist() == ids


@pytest.mark.parametrize("customer_id", ["", "c", "c00000", "c0500", "zz", "ü", "c0001 "])
def test_a_stranger_is_not_found(snapshot: Snapshot, customer_id: str) -> None:
    assert snapshot.lookup(customer_id) is None
    assert snapshot.lookup_many(pa.array([customer_id, "c0003"])).tolist() == [-1, snapshot.lookup("c0003")]


_TEXT = st.text(max_size=4)


@given(
    present=st.sets(st.text(max_size=4).filter(lambda text: text.isprintable())),
    wanted=st.lists(st.text(max_size=4), max_size=30),
)
def test_binary_search_finds_what_a_scan_finds(present: set[str], wanted: list[str]) -> None:
    column = pa.array(sorted(present), pa.string())
    wanted = [*wanted, *sorted(present)[::3]]
    expected = [sorted(present).index(text) if text in present else -1 for text in wanted]
    assert find_strings(column, pa.array(wanted, pa.string())).tolist() == expected
    assert [find_text(column, text) for text in wanted] == expected


def test_slices_and_takes_cross_buckets(snapshot: Snapshot) -> None:
    everybody = pa.Table.from_batches(snapshot.batches)
    for begin, end in [(0, 500), (0, 0), (100, 300), (499, 500), (123, 124)]:
        assert pa.Table.from_batches([snapshot.slice(begin, end)]).equals(everybody.slice(begin, end - begin).combine_chunks())
    rows = np.random.default_rng(0).permutation(500)
    assert pa.Table.from_batches([snapshot.take(rows)]).equals(everybody.take(pa.array(rows)).combine_chunks())
    assert survival(snapshot.slice(3, 9)).shape == (6, 7)


def test_the_ranking_is_by_falling_probability_and_then_by_id(snapshot: Snapshot) -> None:
    expected = sorted(range(500), key=lambda number: (-probability_of(number), f"c{number:04d}"))
    ranked = snapshot.take(snapshot.ranking.order).column("customer_id").to_pylist()
    assert ranked == [f"c{number:04d}" for number in expected]
    for store_id in ["", "store 0", "store 1", "store 2"]:
        rows = snapshot.take(snapshot.ranking.rows(store_id))
        assert set(rows.column("store_id").to_pylist()) == {store_id}
        members = set(rows.column("customer_id").to_pylist())
        assert rows.column("customer_id").to_pylist() == [customer_id for customer_id in ranked if customer_id in members]
    assert sum(len(snapshot.ranking.rows(name)) for name in snapshot.ranking.stores) == 500
    assert len(snapshot.ranking.rows("nowhere")) == 0


def test_customers_of_one_probability_are_ranked_by_id() -> None:
    ranking = rank(
        np.full(4, 0.5, np.float32), pa.chunked_array([["d", "b"], ["a", "c"]]), pa.chunked_array([["", ""], ["", ""]])
    )
    assert ranking.order.tolist() == [2, 1, 3, 0]


def test_an_empty_store_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(NoSnapshotError, match=r"run: ebbtide rescore --store .* --as-of DATE"):
        open_current(tmp_path)
    assert list_snapshots(tmp_path) == []


def test_a_snapshot_of_nobody_can_be_opened(tmp_path: Path, write_snapshot: WriteSnapshot) -> None:
    write_snapshot(tmp_path, num_customers=0)
    snapshot = open_current(tmp_path)
    assert (snapshot.num_customers, snapshot.lookup("c0001"), len(snapshot.ranking.order)) == (0, None, 0)
    assert snapshot.lookup_many(pa.array(["a", "b"])).tolist() == [-1, -1]
    assert snapshot.slice(0, 0).num_rows == 0


def test_the_newest_commit_is_current_and_all_are_listed(tmp_path: Path, write_snapshot: WriteSnapshot) -> None:
    first, second = write_snapshot(tmp_path), write_snapshot(tmp_path, history="3")
    assert open_current(tmp_path).snapshot_id == second.snapshot_id
    assert {info.snapshot_id: info.is_current for info in list_snapshots(tmp_path)} == {
        first.snapshot_id: False,
        second.snapshot_id: True,
    }
    set_current(tmp_path, first.snapshot_id)
    assert open_current(tmp_path).snapshot_id == first.snapshot_id


def test_the_same_buckets_committed_again_leave_every_byte(tmp_path: Path, write_snapshot: WriteSnapshot) -> None:
    def files() -> dict[str, str]:
        return {str(path.relative_to(tmp_path)): sha256_file(path) for path in tmp_path.rglob("*") if path.is_file()}

    write_snapshot(tmp_path)
    before = files()
    pointer_before = current_path(tmp_path).stat()
    write_snapshot(tmp_path)
    assert files() == before
    assert current_path(tmp_path).stat().st_ino == pointer_before.st_ino


def test_a_missing_bucket_is_not_committed(tmp_path: Path, store: Path) -> None:
    done = [find_done(snapshot_folder(store, INPUTS.snapshot_id), INPUTS, bucket) for bucket in range(3)]
    with pytest.raises(IntegrityError, match="found 3 finished buckets, expected each of 4"):
        commit(tmp_path, INPUTS, [entry for entry in done if entry], executor="inline")


@pytest.mark.parametrize(
    ("name", "damage", "message"),
    [
        ("bucket=0002.arrow", "flip", "has hash"),
        ("bucket=0002.arrow", "cut", "bytes, expected"),
        ("bucket=0002.arrow", "remove", "is absent"),
        ("manifest.json", "flip", "has hash"),
        ("manifest.json", "remove", "is absent"),
    ],
)
def test_a_damaged_file_is_refused_by_name(
    tmp_path: Path, write_snapshot: WriteSnapshot, name: str, damage: str, message: str
) -> None:
    path = snapshot_folder(tmp_path, write_snapshot(tmp_path).snapshot_id) / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    match damage:
        case "flip":
            path.write_bytes(data)
        case "cut":
            path.write_bytes(data[:-8])
        case _:
            path.unlink()
    with pytest.raises(IntegrityError, match=f"{name} .*{message}.* run `ebbtide rescore` again"):
        open_current(tmp_path)


@pytest.mark.parametrize("text", ["not json", "[]", '{"snapshot_id": 3}', '{"snapshot_id": "../models"}'])
def test_a_damaged_pointer_is_refused(tmp_path: Path, write_snapshot: WriteSnapshot, text: str) -> None:
    write_snapshot(tmp_path)
    current_path(tmp_path).write_text(text)
    with pytest.raises(IntegrityError, match=r"current\.json"):
        open_current(tmp_path)


def test_a_manifest_that_points_outside_is_refused_and_listed_so(tmp_path: Path, write_snapshot: WriteSnapshot) -> None:
    manifest = write_snapshot(tmp_path)
    path = snapshot_folder(tmp_path, manifest.snapshot_id) / "manifest.json"
    values = json.loads(path.read_bytes())
    values["files"][0]["path"] = "../../../etc/passwd"
    path.write_text(json.dumps(values))
    with pytest.raises(IntegrityError, match="outside the snapshot's folder"):
        open_snapshot(tmp_path, manifest.snapshot_id)
    (info,) = list_snapshots(tmp_path)
    assert info.manifest is None
    assert "outside" in info.problem


def test_a_bucket_of_other_columns_is_refused_though_its_hash_is_right(tmp_path: Path, write_snapshot: WriteSnapshot) -> None:
    manifest = write_snapshot(tmp_path)
    folder = snapshot_folder(tmp_path, manifest.snapshot_id)
    with pa.ipc.new_file(folder / "bucket=0000.arrow", pa.schema([("customer_id", pa.string())])) as writer:
        writer.write_batch(pa.record_batch({"customer_id": ["a"]}))
    entry = replace(
        manifest.files[0],
        checksum=checksum_bytes((folder / "bucket=0000.arrow").read_bytes()),
        num_bytes=(folder / "bucket=0000.arrow").stat().st_size,
        num_customers=1,
    )
    others = manifest.files[1:]
    commit(
        tmp_path, INPUTS, [DoneBucket(inputs_digest="", device="cpu", file=file) for file in (entry, *others)], executor="inline"
    )
    with pytest.raises(IntegrityError, match=r"bucket=0000\.arrow has columns"):
        open_current(tmp_path)


def test_ids_out_of_order_are_never_written(tmp_path: Path, snapshot: Snapshot) -> None:
    with pytest.raises(ValueError, match="not strictly ascending"):
        write_bucket(tmp_path, INPUTS, 0, snapshot.files[0].take(pa.array([1, 0])), device="cpu")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["marker of other inputs", "changed file", "no file", "half a marker"])
def test_a_bucket_counts_as_done_only_if_marker_inputs_and_bytes_agree(
    tmp_path: Path, write_snapshot: WriteSnapshot, damage: str
) -> None:
    folder = snapshot_folder(tmp_path, write_snapshot(tmp_path).snapshot_id)
    assert find_done(folder, INPUTS, 1) is not None
    inputs = INPUTS
    match damage:
        case "marker of other inputs":
            inputs = replace(INPUTS, model_hash="sha256:4")
        case "changed file":
            (folder / "bucket=0001.arrow").write_bytes(b"half")
        case "no file":
            (folder / "bucket=0001.arrow").unlink()
        case _:
            (folder / "bucket=0001.done.json").write_text('{"inputs_dig')
    assert find_done(folder, inputs, 1) is None
