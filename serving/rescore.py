"""Rescoring: every eligible customer of the chain as of one instant, bucket by bucket, into a snapshot.

A bucket is read, scored and written by one task; what a killed job finished is not done again. The manifest is written last,
by the process that was asked, so that a snapshot is there whole or not at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.errors import ExecutionError, IntegrityError, NoHistoryError
from engine.executors import Executor, Task
from engine.history import History
from engine.labels import eligible
from engine.partition import Partition
from engine.storage import Place, StoreLike, remove_tree, resolve, writer_lock
from kernels import locate_instants
from serving.scorer import PartitionScores, score_partition
from serving.snapshots import (
    DoneBucket,
    RecentActivity,
    Snapshot,
    SnapshotInputs,
    commit,
    find_done,
    open_snapshot,
    set_current,
    snapshot_folder,
    snapshot_schema,
    snapshots_folder,
    write_bucket,
)
from training.bundle import Bundle, load
from training.device import resolve_device
from training.registry import champion

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RescoreProgress:
    """How far a rescoring has come."""

    num_buckets_done: int
    num_buckets: int
    num_customers: int  # scored so far


@dataclass(frozen=True, kw_only=True, slots=True)
class RescoreReport:
    """What a rescoring did."""

    snapshot_id: str
    folder: Place
    model_version: str
    model_as_of_us: int  # where it is later than as_of_us, the model has seen what came after: a look back, not a forecast
    as_of_us: int
    num_customers: int
    num_buckets: int
    num_buckets_scored: int  # by this run
    num_buckets_resumed: int  # finished by an earlier run and not done again
    device: str
    executor: str
    prepare_s: float  # opening history and bundle, counting the chain's activity
    score_s: float
    commit_s: float  # writing the manifest and checking every file


def rescore(
    store: StoreLike,
    *,
    as_of_us: int,
    executor: Executor,
    bundle: Bundle | None = None,
    device: str = "auto",
    progress: Callable[[RescoreProgress], None] | None = None,
) -> RescoreReport:
    """Score the chain and make the result the store's current snapshot. The same inputs give the same snapshot, once.

    bundle : the store's champion by default
    device : one of training.device.DEVICES
    raises : NoHistoryError, NoBundleError, AsOfError, DeviceError, IntegrityError, ExecutionError
    """
    started_s = time.perf_counter()
    store = resolve(store)
    history = History.open(store)
    history.check_as_of(as_of_us)
    bundle = champion(store) if bundle is None else bundle
    if not executor.is_remote:  # else the machine that does the work has to look
        device = resolve_device(device)
    inputs = _describe_inputs(history, bundle, as_of_us)
    folder = snapshot_folder(store, inputs.snapshot_id)
    snapshot = _find_committed(store, inputs)
    done: list[DoneBucket] = []
    tasks: list[Task] = []
    if snapshot is None:
        if folder.is_dir():
            done = [found for bucket in range(inputs.num_buckets) if (found := find_done(folder, inputs, bucket))]
        missing = sorted(set(range(inputs.num_buckets)) - {found.file.bucket for found in done})
        place = {"store": str(store.resolve()), "bundle_folder": str(bundle.folder.resolve())}
        shared = {**place, "inputs": inputs, "activity": history.activity() if missing else None, "device": device}
        tasks = [{**shared, "bucket": bucket} for bucket in missing]

    prepared_s = time.perf_counter()
    for result in executor.run(score_bucket, tasks, uses_gpu=device != "cpu") if tasks else ():
        done.append(result.value)
        if progress:
            num_customers = sum(entry.file.num_customers for entry in done)
            progress(RescoreProgress(num_buckets_done=len(done), num_buckets=inputs.num_buckets, num_customers=num_customers))

    scored_s = time.perf_counter()
    with writer_lock(snapshots_folder(store)) as lock:
        if snapshot is None:
            _refuse_forgotten(history, folder)
            lock.check()
            commit(store, inputs, done, executor=executor.name, activity=RecentActivity.of(history.activity(), as_of_us))
            snapshot = open_snapshot(store, inputs.snapshot_id)
        set_current(store, inputs.snapshot_id)
    return RescoreReport(
        snapshot_id=inputs.snapshot_id,
        folder=folder,
        model_version=inputs.model_version,
        model_as_of_us=bundle.as_of_us,
        as_of_us=as_of_us,
        num_customers=snapshot.num_customers,
        num_buckets=inputs.num_buckets,
        num_buckets_scored=len(tasks),
        num_buckets_resumed=inputs.num_buckets - len(tasks),
        device=snapshot.manifest.device,
        executor=snapshot.manifest.executor,
        prepare_s=prepared_s - started_s,
        score_s=scored_s - prepared_s,
        commit_s=time.perf_counter() - scored_s,
    )


def score_bucket(
    *, store: str, bucket: int, bundle_folder: str, inputs: SnapshotInputs, activity: DailyActivity, device: str
) -> DoneBucket:
    """The task: score the eligible customers of one bucket and write its file. Deterministic, and the same when done twice.

    device : one of training.device.DEVICES, as the machine of the task has it
    """
    history, bundle = _open_inputs(store, bundle_folder, inputs.history_hash, inputs.model_hash)
    history.check(bucket)  # hashing takes a hundredth of what scoring takes, and numbers that were damaged look like numbers
    partition = history.partition(bucket)
    customer_index = eligible(partition, inputs.as_of_us, inputs.active_within_days)
    scores = score_partition(bundle, partition, activity, customer_index, inputs.as_of_us, device=resolve_device(device))
    batch = _bucket_batch(partition, customer_index, scores, inputs)
    return write_bucket(snapshot_folder(store, inputs.snapshot_id), inputs, bucket, batch, device=scores.device)


def _refuse_forgotten(history: History, folder: Place) -> None:
    """Drop what was scored, if a customer was erased meanwhile: nobody else would look for them in it."""
    try:
        num_forgotten = History.open(history.store).manifest.num_forgotten
    except NoHistoryError:
        num_forgotten = -1
    if num_forgotten != history.manifest.num_forgotten:
        remove_tree(folder)
        raise ExecutionError("a customer was erased from the history meanwhile; run `ebbtide rescore` again")


def _describe_inputs(history: History, bundle: Bundle, as_of_us: int) -> SnapshotInputs:
    return SnapshotInputs(
        as_of_us=as_of_us,
        model_version=f"{bundle.name}/{bundle.version}",
        model_hash=bundle.content_hash,
        history_hash=history.manifest_hash,
        horizon_days=bundle.horizon_days,
        active_within_days=bundle.active_within_days,
        edges_days=tuple(bundle.edges_days),
        num_buckets=history.num_buckets,
        state_size=bundle.model.state_size,
    )


def _find_committed(store: Place, inputs: SnapshotInputs) -> Snapshot | None:
    """The snapshot of these inputs, if it is there and whole."""
    if not (snapshot_folder(store, inputs.snapshot_id) / "manifest.json").exists():
        return None
    try:
        snapshot = open_snapshot(store, inputs.snapshot_id)
    except IntegrityError as error:
        _logger.warning("the snapshot is damaged (%s); scoring again what is damaged", error)
        return None
    return snapshot if snapshot.inputs == inputs else None


@lru_cache(maxsize=1)
def _open_inputs(store: str, bundle_folder: str, history_hash: str, model_hash: str) -> tuple[History, Bundle]:
    """History and bundle of a job, opened once per worker."""
    history, bundle = History.open(store), load(bundle_folder)
    for name, found, expected in (("history", history.manifest_hash, history_hash), ("bundle", bundle.content_hash, model_hash)):
        if found != expected:
            raise ExecutionError(f"the {name} changed meanwhile ({found}, was {expected}); run `ebbtide rescore` again")
    return history, bundle


def _bucket_batch(
    partition: Partition, customer_index: NDArray[np.int64], scores: PartitionScores, inputs: SnapshotInputs
) -> pa.RecordBatch:
    """The columns of `snapshot_schema` for eligible customers: each has a purchase before as_of."""
    schema = snapshot_schema(len(inputs.edges_days), inputs.state_size)
    num_orders, last_event = _purchases_before(partition, customer_index, inputs.as_of_us)
    # Code -1, "not known", finds the empty name at the end.
    store_names = pa.array([*partition.store_names, ""], pa.string())
    store_code = partition.store_code[last_event].astype(np.int64)
    store_code[store_code < 0] = len(partition.store_names)
    end = locate_instants(
        partition.timestamp_us, partition.offsets, customer_index, np.full(len(customer_index), inputs.as_of_us, np.int64)
    )
    last_seen = np.maximum(end - 1, 0)

    def lists(name: str, values: NDArray[np.float32]) -> pa.Array:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=schema.field(name).type)

    arrays = [
        partition.customer_ids.take(pa.array(customer_index)),
        store_names.take(pa.array(store_code)),
        pa.array(partition.timestamp_us[last_event]),
        pa.array(num_orders),
        pa.array(scores.churn_probability),
        pa.array(scores.expected_days_to_purchase),
        pa.array(scores.expected_spend_90d),
        pa.array(scores.expected_spend_365d),
        lists("survival", scores.survival),
        pa.array((end - partition.offsets[customer_index]).astype(np.int32)),
        pa.array(partition.timestamp_us[last_seen] if partition.num_events else np.zeros(0, np.int64)),
        lists("state", scores.states),
        lists("summary", scores.summary),
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _purchases_before(
    partition: Partition, customer_index: NDArray[np.int64], as_of_us: int
) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Number of purchases strictly before an instant, and the event of the last one.

    returns : int32[num_customers], int64[num_customers]; for customers that have one
    """
    events = np.flatnonzero(partition.is_purchase & (partition.timestamp_us < as_of_us))
    begin = np.searchsorted(events, partition.offsets[customer_index])
    end = np.searchsorted(events, partition.offsets[customer_index + 1])
    return (end - begin).astype(np.int32), events[end - 1]
