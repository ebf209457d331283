"""The same store, local and in an object store: every command does the same, to the byte."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import IntegrityError, NoHistoryError, SourceError, StoreBusyError
from engine.history import History
from engine.history.manifest import write_manifest
from engine.ingest import ingest, job
from engine.storage import Place, RemotePath, write_bytes
from engine.upkeep import compact, erase_from_history, inspect_history
from tests.engine.conftest import WriteSource, list_files
from tests.engine.reference_history import Row, build_events, decode, write_rows
from tests.object_store import BUCKET, ObjectStore

WHO = "card-0421-xyzzy"
OLD = [
    Row(customer_id=f"c{index}", timestamp_us=index, amount=Decimal(index), order_id="old", store_id="s") for index in range(40)
]
LATE = [Row(customer_id=f"c{index}", timestamp_us=index + 9, amount=Decimal(7), order_id="late") for index in range(0, 40, 3)]
THEIRS = [Row(customer_id=WHO, timestamp_us=7, order_id="a"), Row(customer_id=WHO, timestamp_us=99, order_id="b")]


def files_of(store: Place) -> dict[str, bytes]:
    """Path below a store -> bytes."""
    if not isinstance(store, RemotePath):
        return list_files(Path(str(store)))
    endpoint = os.environ["AWS_ENDPOINT_URL_S3"]
    return ObjectStore(endpoint=endpoint).files(store.address.key.removeprefix(f"{BUCKET}/"))


def test_a_night_after_a_night_gives_the_history_that_python_gives(any_store: Place, tmp_path: Path) -> None:
    old, late = write_rows(tmp_path / "old.parquet", OLD), write_rows(tmp_path / "late.parquet", LATE)
    ingest(any_store, [old], num_buckets=4)
    report = ingest(any_store, [late])
    assert (report.num_events_new, report.num_events_replaced) == (len(LATE), 0)
    history = History.open(any_store)
    assert decode(history) == build_events([*OLD, *LATE])
    assert history.verify() == []

    before = files_of(any_store)
    assert ingest(any_store, [old, late]).num_rows == 0
    assert files_of(any_store) == before

    compacted = compact(any_store)
    assert compacted.num_buckets_folded > 0
    assert decode(History.open(any_store)) == build_events([*OLD, *LATE])
    assert inspect_history(any_store).problems == ()


def test_both_kinds_of_store_hold_the_same_bytes_under_the_same_names(remote_store: Place, tmp_path: Path) -> None:
    sources = [write_rows(tmp_path / "old.parquet", OLD), write_rows(tmp_path / "late.parquet", LATE)]
    for store in (tmp_path / "local", remote_store):
        for source in sources:
            ingest(store, [source], num_buckets=4)
    assert files_of(remote_store) == files_of(tmp_path / "local")


def test_an_erased_customer_leaves_no_byte_behind(any_store: Place, tmp_path: Path, write_text: WriteSource) -> None:
    ingest(any_store, [write_rows(tmp_path / "1.parquet", [*OLD, THEIRS[0]])], num_buckets=4)
    ingest(any_store, [write_rows(tmp_path / f"export of {WHO}.parquet", [THEIRS[1]])])
    ingest(any_store, [write_text(f"{WHO}.csv", "customer_id,timestamp", f"{WHO},never", "c1,never", "c1,1971-01-01")])
    erased = erase_from_history(any_store, WHO)
    assert (erased.num_events, erased.num_quarantined_rows, erased.num_source_names) == (2, 1, 3)
    assert [name for name, data in files_of(any_store).items() if WHO in name or WHO.encode() in data] == []
    assert History.open(any_store).verify() == []
    assert not erase_from_history(any_store, WHO).found_any


def test_the_last_customer_takes_the_history_along(any_store: Place, tmp_path: Path) -> None:
    ingest(any_store, [write_rows(tmp_path / "1.parquet", THEIRS)], num_buckets=2)
    assert erase_from_history(any_store, WHO).num_events == 2
    assert files_of(any_store) == {}
    with pytest.raises(NoHistoryError, match="ebbtide ingest --store"):
        History.open(any_store)


def test_a_refused_file_leaves_the_store_as_it_was(any_store: Place, tmp_path: Path, write_text: WriteSource) -> None:
    with pytest.raises(SourceError):
        ingest(any_store, [write_text("bad.csv", "customer_id,timestamp", "c1,never")])
    assert files_of(any_store) == {}
    ingest(any_store, [write_rows(tmp_path / "old.parquet", OLD)], num_buckets=2)
    before = files_of(any_store)
    with pytest.raises(SourceError):
        ingest(any_store, [write_text("bad.csv", "customer_id,timestamp", "c1,never")])
    assert files_of(any_store) == before


def test_damage_is_told_with_the_name_of_the_file(any_store: Place, tmp_path: Path) -> None:
    ingest(any_store, [write_rows(tmp_path / "old.parquet", OLD)], num_buckets=2)
    history = History.open(any_store)
    name = history.manifest.parts[0].files[1][0]
    path = any_store / "history" / name
    whole = path.read_bytes()
    write_bytes(path, whole[:-1] + bytes([whole[-1] ^ 1]))
    (problem,) = inspect_history(any_store).problems
    assert name.removesuffix(".events.arrow") in problem.where
    assert "hash to" in problem.what
    write_bytes(path, whole[:-1])
    with pytest.raises(IntegrityError, match=f"{len(whole) - 1:,} bytes, expected"):
        History.open(any_store)
    path.unlink()
    with pytest.raises(IntegrityError, match="is missing"):
        History.open(any_store)


def test_opening_asks_once_for_all_parts_and_a_look_up_reads_one_bucket(
    remote_store: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(remote_store, [write_rows(tmp_path / "old.parquet", OLD)], num_buckets=8)
    read: list[str] = []
    listed: list[str] = []
    read_buffer, entries = RemotePath.read_buffer, RemotePath.entries
    monkeypatch.setattr(RemotePath, "read_buffer", lambda self: (read.append(self.name), read_buffer(self))[1])
    monkeypatch.setattr(RemotePath, "entries", lambda self, **how: (listed.append(self.name), entries(self, **how))[1])
    monkeypatch.setattr(RemotePath, "info", lambda self: pytest.fail(f"asked for {self}"))
    history = History.open(remote_store)
    assert (read, listed) == (["manifest.json"], ["history"])
    history.find("c7")
    assert [name.partition(".")[2] for name in read[1:]] == ["customers.arrow", "events.arrow"]


KILLED = """
import importlib, json, os, signal, sys
from engine.ingest import ingest, job

store, source, module, function, moment = json.load(sys.stdin)
owner = importlib.import_module(module)
original, num_calls = getattr(owner, function), 0
def dying(*args, **kwargs):
    global num_calls
    num_calls += 1
    if num_calls == moment:
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*args, **kwargs)
setattr(owner, function, dying)
ingest(store, [source])
"""


@pytest.mark.parametrize(
    ("module", "function", "moment", "is_committed"),
    [("engine.ingest.job", "write_manifest", 1, False), ("engine.ingest.job", "collect_garbage", 1, True)],
)
def test_an_ingest_killed_on_s3_leaves_a_whole_state_and_may_be_run_again_at_once(
    remote_store: Place, tmp_path: Path, module: str, function: str, moment: int, is_committed: bool
) -> None:
    ingest(remote_store, [write_rows(tmp_path / "old.parquet", OLD)], num_buckets=2)
    before = History.open(remote_store)
    late = write_rows(tmp_path / "late.parquet", LATE)
    run = subprocess.run(
        [sys.executable, "-c", KILLED],
        input=json.dumps([str(remote_store), str(late), module, function, moment]),
        env={**os.environ, "TMPDIR": tempfile.gettempdir()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == -signal.SIGKILL, run.stderr
    killed = History.open(remote_store)
    assert (killed.manifest != before.manifest) == is_committed
    assert killed.verify() == []
    assert decode(before) == build_events(OLD)

    ingest(remote_store, [late])
    assert decode(History.open(remote_store)) == build_events([*OLD, *LATE])
    scratch = Path(tempfile.gettempdir())
    assert list(scratch.rglob("*.arrow*")) == []


def test_a_writer_whose_manifest_was_replaced_meanwhile_commits_nothing(
    remote_store: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ingest(remote_store, [write_rows(tmp_path / "old.parquet", OLD)], num_buckets=2)
    store_orders = job.store_orders

    def store_while_another_commits(history: Place, *arguments: object) -> object:
        stored = store_orders(history, *arguments)  # type: ignore[arg-type]
        manifest = History.open(remote_store).manifest
        write_manifest(history, replace(manifest, num_forgotten=manifest.num_forgotten + 1))
        return stored

    monkeypatch.setattr(job, "store_orders", store_while_another_commits)
    with pytest.raises(StoreBusyError, match="written by another process meanwhile; run this again"):
        ingest(remote_store, [write_rows(tmp_path / "late.parquet", LATE)])
    assert History.open(remote_store).manifest.num_forgotten == 1
    assert decode(History.open(remote_store)) == build_events(OLD)


def test_objects_of_every_size_come_back_as_they_were_written(remote_store: Place) -> None:
    for num_bytes in (0, 1, 12_000_000):  # the last one in several uploads
        data = os.urandom(num_bytes)
        write_bytes(remote_store / "object", data)
        assert (remote_store / "object").read_bytes() == data
