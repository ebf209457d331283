"""Rescoring: everybody once, the same bytes for the same inputs, and nothing done twice."""

from __future__ import annotations

import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import AsOfError, DeviceError, ExecutionError, NoBundleError, NoHistoryError, NoSnapshotError
from engine.executors import Executor, InlineExecutor, Task, TaskResult
from engine.files import sha256_file
from engine.history import History
from engine.instants import DAY_US, format_instant
from engine.labels import eligible
from serving.client import EbbtideClient
from serving.rescoring import bucket_task
from serving.rescoring.bucket_task import score_bucket
from serving.rescoring.rescore import RescoreProgress, RescoreReport, rescore
from serving.rescoring.room import Room
from serving.service.server import ServerConfig
from serving.snapshots import current_path, open_current, snapshot_folder, survival
from tests.serving.conftest import TRAINED_AS_OF_US
from tests.serving.server_thread import ServerThread
from training.predict import churn_probability, expected_days_to_purchase
from training.registry import champion

_ROOT = Path(__file__).resolve().parents[3]


def run_inline(store: Path, **options: object) -> RescoreReport:
    with InlineExecutor(isolate=True) as executor:
        return rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu", **options)  # type: ignore[arg-type]


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir())}


@pytest.fixture
def store(trained_store: Path, tmp_path: Path) -> Path:
    """A copy of the trained store without snapshots."""
    copy = tmp_path / "store"
    shutil.copytree(trained_store, copy, ignore=shutil.ignore_patterns("snapshots"))
    return copy


@pytest.fixture(scope="module")
def rescored(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RescoreReport]:
    copy = tmp_path_factory.mktemp("rescored") / "store"
    shutil.copytree(trained_store, copy)
    return copy, run_inline(copy)


def test_every_eligible_customer_is_in_the_snapshot_once(rescored: tuple[Path, RescoreReport]) -> None:
    store, report = rescored
    history, bundle, snapshot = History.open(store), champion(store), open_current(store)
    expected = [
        partition.customer_ids[int(customer)].as_py()
        for partition in history.partitions()
        for customer in eligible(partition, TRAINED_AS_OF_US, bundle.active_within_days)
    ]
    assert pa.Table.from_batches(snapshot.batches)["customer_id"].to_pylist() == expected
    assert len(set(expected)) == len(expected) == report.num_customers > 50
    assert report.num_buckets_scored == report.num_buckets == history.num_buckets


def test_the_columns_are_what_the_history_and_the_model_say(rescored: tuple[Path, RescoreReport]) -> None:
    store, _ = rescored
    history, bundle, snapshot = History.open(store), champion(store), open_current(store)
    for batch in snapshot.batches:
        for row in batch.to_pylist():
            partition, customer = history.find(row["customer_id"])
            is_order = partition.is_purchase & (partition.timestamp_us < TRAINED_AS_OF_US)
            events = range(partition.offsets[customer], partition.offsets[customer + 1])
            bought = [event for event in events if is_order[event]]
            code = partition.store_code[bought[-1]]
            assert row["num_orders"] == len(bought)
            assert row["last_purchase_us"] == partition.timestamp_us[bought[-1]]
            assert row["store_id"] == ("" if code < 0 else partition.store_names[code])
        curves = survival(batch)
        assert ((curves >= 0) & (curves <= 1)).all()
        probability = churn_probability(bundle.edges_days, curves, bundle.horizon_days)
        assert np.allclose(batch.column("churn_probability").to_numpy(), probability, atol=1e-6)
        days = expected_days_to_purchase(bundle.edges_days, curves)
        assert np.allclose(batch.column("expected_days_to_purchase").to_numpy(), days, atol=1e-4)
        quarter, year = (batch.column(f"expected_spend_{ahead}d").to_numpy() for ahead in (90, 365))
        assert ((quarter > 0) & (quarter < year)).all()
    assert {name for batch in snapshot.batches for name in batch.column("store_id").to_pylist()} >= {"", "north"}


def test_the_manifest_names_its_inputs(rescored: tuple[Path, RescoreReport]) -> None:
    store, report = rescored
    bundle, inputs = champion(store), open_current(store).inputs
    assert (inputs.model_version, inputs.model_hash) == (f"{bundle.name}/{bundle.version}", bundle.content_hash)
    assert (inputs.history_hash, inputs.as_of_us) == (History.open(store).manifest_hash, TRAINED_AS_OF_US)
    assert (report.snapshot_id, report.device, report.executor) == (inputs.snapshot_id, "cpu", "inline")
    assert report.folder == snapshot_folder(store, report.snapshot_id)
    assert min(report.prepare_s, report.score_s, report.commit_s) > 0


def test_the_same_again_does_nothing(store: Path) -> None:
    first = run_inline(store)
    before, pointer = hashes(first.folder), current_path(store).stat()
    progress: list[RescoreProgress] = []
    again = run_inline(store, progress=progress.append)
    assert (again.snapshot_id, again.num_customers, again.num_buckets_scored) == (first.snapshot_id, first.num_customers, 0)
    assert progress == []
    assert hashes(first.folder) == before
    assert current_path(store).stat().st_ino == pointer.st_ino


def test_tasks_and_their_results_are_small(store: Path, rescored: tuple[Path, RescoreReport]) -> None:
    class Measuring(InlineExecutor):
        def run(self, function: Callable[..., Any], tasks: Sequence[Task], *, uses_gpu: bool = False) -> Iterator[TaskResult]:
            task_bytes.extend(len(pickle.dumps((function, dict(task)))) for task in tasks)
            for result in super().run(function, tasks, uses_gpu=uses_gpu):
                result_bytes.append(len(pickle.dumps(result.value)))
                yield result

    task_bytes: list[int] = []
    result_bytes: list[int] = []
    rescore(store, as_of_us=TRAINED_AS_OF_US, executor=Measuring(), device="cpu")
    assert len(task_bytes) == len(result_bytes) == 4
    # Eight bytes a day of the log, and paths; what a task scores goes to its file.
    assert max(task_bytes) < 8 * len(History.open(store).activity().num_orders) + 4096
    assert max(result_bytes) < 2048


def test_executors_write_the_same_bytes(store: Path, rescored: tuple[Path, RescoreReport], executor: Executor) -> None:
    report = rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu")
    expected = {name: value for name, value in hashes(rescored[1].folder).items() if name.startswith("bucket=")}
    found = {name: value for name, value in hashes(report.folder).items() if name.startswith("bucket=")}
    assert report.snapshot_id == rescored[1].snapshot_id
    assert found == expected


def test_a_killed_job_goes_on_where_it_was(store: Path, rescored: tuple[Path, RescoreReport]) -> None:
    code = f"""
import os, signal
from pathlib import Path
from engine.executors import InlineExecutor
from serving.rescoring.rescore import rescore
def kill_after_two(progress):
    if progress.num_buckets_done == 2:
        os.kill(os.getpid(), signal.SIGKILL)
rescore(Path({str(store)!r}), as_of_us={TRAINED_AS_OF_US}, executor=InlineExecutor(), device="cpu", progress=kill_after_two)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=_ROOT, check=False, capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    with pytest.raises(NoSnapshotError):
        open_current(store)
    folder = snapshot_folder(store, rescored[1].snapshot_id)
    finished = {path.name: path.stat().st_mtime_ns for path in folder.glob("bucket=*.arrow")}
    assert len(finished) == 2
    (folder / ".bucket=0003.arrow.4711.tmp").write_bytes(b"of a worker that died while it wrote")

    report = run_inline(store)
    assert not list(folder.glob(".*"))
    assert report.num_buckets_scored == report.num_buckets - 2
    assert {name: (folder / name).stat().st_mtime_ns for name in finished} == finished
    assert hashes(folder) == hashes(rescored[1].folder)


def test_a_damaged_snapshot_is_mended_where_it_is_damaged(store: Path) -> None:
    report = run_inline(store)
    before = hashes(report.folder)
    (report.folder / "bucket=0001.arrow").write_bytes(b"damaged")
    assert run_inline(store).num_buckets_scored == 1
    assert hashes(report.folder) == before
    open_current(store)


def test_an_earlier_instant_makes_another_snapshot_current_and_back(store: Path) -> None:
    first = run_inline(store)
    with InlineExecutor() as executor:
        earlier = rescore(store, as_of_us=TRAINED_AS_OF_US - 20 * DAY_US, executor=executor, device="cpu")
    assert earlier.snapshot_id != first.snapshot_id
    assert open_current(store).snapshot_id == earlier.snapshot_id
    assert run_inline(store).num_buckets_scored == 0
    assert open_current(store).snapshot_id == first.snapshot_id


def test_an_impossible_instant_is_refused_and_nothing_is_written(store: Path) -> None:
    far_us = TRAINED_AS_OF_US + 4000 * DAY_US
    with InlineExecutor() as executor, pytest.raises(AsOfError, match=format_instant(far_us)):
        rescore(store, as_of_us=far_us, executor=executor)
    assert not (store / "snapshots").exists()


def test_a_missing_step_is_named(tmp_path: Path, store: Path) -> None:
    with pytest.raises(NoHistoryError):
        run_inline(tmp_path / "nothing")
    shutil.rmtree(store / "models")
    with pytest.raises(NoBundleError):
        run_inline(store)


def test_cuda_without_cuda_is_refused(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with InlineExecutor() as executor, pytest.raises(DeviceError, match="device cuda cannot be used"):
        rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cuda")


def test_a_task_of_another_history_is_refused(store: Path, rescored: tuple[Path, RescoreReport]) -> None:
    inputs = replace(open_current(rescored[0]).inputs, history_hash="sha256:" + "0" * 64)
    bundle_folder = str(champion(store).folder)
    with pytest.raises(ExecutionError, match="the history changed meanwhile"):
        score_bucket(
            store=str(store),
            bucket=0,
            bundle_folder=bundle_folder,
            inputs=inputs,
            kept=None,
            activity=History.open(store).activity(),
            device="cpu",
            is_device_known=True,
            is_durable=True,
        )


def test_buckets_that_are_large_are_scored_one_at_a_time(
    store: Path, rescored: tuple[Path, RescoreReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    num_inside, most = 0, 0
    choose = bucket_task.choose

    def count(*arguments: Any) -> Any:
        nonlocal num_inside, most
        num_inside += 1
        most = max(most, num_inside)
        time.sleep(0.01)
        chosen = choose(*arguments)
        num_inside -= 1
        return chosen

    monkeypatch.setattr(bucket_task, "choose", count)
    monkeypatch.setattr(bucket_task, "_room", Room(1))
    with InlineExecutor(num_threads=4) as executor:
        report = rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu")
    assert most == 1
    assert hashes(report.folder) == hashes(rescored[1].folder)


def test_what_was_rescored_is_served(rescored: tuple[Path, RescoreReport], server_thread: ServerThread) -> None:
    store, report = rescored
    server = server_thread.start(ServerConfig(store=store, listen="127.0.0.1:0", stop_grace_s=1.0))
    with EbbtideClient(server.target) as client:
        page = client.at_risk_page(page_size=5)
        assert page.total_size == report.num_customers
        worst = page.customers[0]
        alone = client.score(worst.customer_id).customer
        assert alone is not None
        assert replace(alone, reasons=None) == replace(worst, reasons=None)
        assert client.batch().read_all().num_rows == report.num_customers
    server_thread.stop(server)
