"""Rescoring: every eligible customer of the chain as of one instant, bucket by bucket, into a snapshot.

It begins from the newest snapshot of the same bundle, so that only new events go through the model. A bucket is read, scored
and written by one task; what a killed job finished is not done again. The manifest is written last, by the process that was
asked, so that a snapshot is there whole or not at all.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from engine.errors import ExecutionError, IntegrityError, NoHistoryError
from engine.executors import Executor, Task
from engine.files import BackgroundSync
from engine.history import History
from engine.storage import Place, StoreLike, is_remote, local_path, remove_tree, resolve, writer_lock
from serving.rescoring.bucket_task import ScoredBucket, peak_bytes, score_bucket
from serving.rescoring.predecessor import find_equal, find_predecessor, read_predecessor
from serving.rescoring.reading_ahead import ReadingAhead
from serving.rescoring.stage_times import add_stages
from serving.snapshots import (
    BucketFile,
    DoneBucket,
    RecentActivity,
    SnapshotInputs,
    SnapshotManifest,
    commit,
    find_done,
    open_snapshot,
    set_current,
    snapshot_folder,
    snapshots_folder,
)
from training.bundles.bundle import Bundle
from training.device import resolve_device
from training.registry import champion
from training.threads import one_torch_thread

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class RescoreProgress:
    """How far a rescoring has come."""

    num_buckets_done: int
    num_buckets: int
    num_customers: int  # scored so far


@dataclass(frozen=True, kw_only=True, slots=True)
class RescoreReport:
    """What a rescoring did. Customers and events by how they were scored are those of this run, without resumed buckets."""

    snapshot_id: str
    folder: Place
    model_version: str
    model_as_of_us: int  # where it is later than as_of_us, the model has seen what came after: a look back, not a forecast
    as_of_us: int
    begun_from: str  # the snapshot whose states were rolled on; empty where everybody began anew
    num_customers: int
    num_rolled_on: int  # whose state was rolled over new events
    num_unchanged: int  # whose state covered all events
    num_begun_anew: int
    num_events_read: int  # by the model
    num_buckets: int
    num_buckets_scored: int  # by this run
    num_buckets_resumed: int  # finished by an earlier run and not done again
    num_buckets_fallen_back: int  # where a GPU failed and the CPU went on
    device: str
    executor: str
    prepare_s: float  # opening history and bundle, finding what to begin from
    score_s: float
    commit_s: float  # waiting for the disk, writing the manifest
    stage_s: dict[str, float]  # stage -> seconds of all tasks together, which run side by side
    peak_bytes: int  # most memory of one process


def rescore(
    store: StoreLike,
    *,
    as_of_us: int,
    executor: Executor,
    bundle: Bundle | None = None,
    device: str = "auto",
    full: bool = False,
    progress: Callable[[RescoreProgress], None] | None = None,
) -> RescoreReport:
    """Score the chain and make the result the store's current snapshot. The same inputs give the same snapshot, once.

    bundle : the store's champion by default
    device : one of training.device.DEVICES
    full   : begin with the first event of everybody, whatever is kept; the scores are the same to 1e-5
    raises : NoHistoryError, NoBundleError, AsOfError, DeviceError, IntegrityError, ExecutionError
    """
    started_s = time.perf_counter()
    store = resolve(store)
    history = History.open(store)
    history.check_as_of(as_of_us)
    bundle = champion(store) if bundle is None else bundle
    if not executor.is_remote:  # else the machine that does the work has to look
        device = resolve_device(device)
    plan = _make_plan(store, _describe_inputs(history, bundle, as_of_us), full=full)
    inputs = plan.inputs
    place = {"store": str(store.resolve()), "bundle_folder": str(bundle.folder.resolve())}
    activity = history.activity() if plan.missing else None
    shared = {**place, "inputs": inputs, "activity": activity, "is_durable": executor.is_remote}
    found = {"device": device, "is_device_known": not executor.is_remote}
    tasks = [{**shared, **found, "bucket": bucket, "kept": plan.kept_file(bucket)} for bucket in plan.missing]

    prepared_s = time.perf_counter()
    scored: list[ScoredBucket] = []
    manifest = plan.committed
    folder = snapshot_folder(store, inputs.snapshot_id)
    # What runs elsewhere has a disk of its own, or none.
    ahead = ReadingAhead(history, inputs, () if executor.is_remote else plan.missing, plan.kept_file)
    with BackgroundSync() as syncing, ahead:
        if manifest is None and not is_remote(folder):
            _sync(syncing, folder, plan.done)
        for result in _run(executor, tasks, uses_gpu=device != "cpu"):
            scored.append(result)
            if result.has_fallen_back:
                _tell_fallback(result)
            ahead.advance(len(scored))
            if not (is_remote(folder) or executor.is_remote):
                _sync(syncing, folder, [result.done])
            if progress:
                done = [*plan.done, *(one.done for one in scored)]
                num_customers = sum(entry.file.num_customers for entry in done)
                progress(RescoreProgress(num_buckets_done=len(done), num_buckets=inputs.num_buckets, num_customers=num_customers))
        scored_s = time.perf_counter()
        if manifest is None and not is_remote(folder):
            syncing.add(local_path(folder))
        syncing.wait()

    with writer_lock(snapshots_folder(store)) as lock:
        if manifest is None:
            _refuse_forgotten(history, folder)
            lock.check()
            manifest = commit(
                store,
                inputs,
                [*plan.done, *(one.done for one in scored)],
                executor=executor.name,
                activity=RecentActivity.of(history.activity(), as_of_us),
            )
        set_current(store, inputs.snapshot_id)
    return RescoreReport(
        snapshot_id=inputs.snapshot_id,
        folder=folder,
        model_version=inputs.model_version,
        model_as_of_us=bundle.as_of_us,
        as_of_us=as_of_us,
        begun_from=inputs.begun_from,
        num_customers=manifest.num_customers,
        num_rolled_on=sum(one.num_rolled_on for one in scored),
        num_unchanged=sum(one.num_unchanged for one in scored),
        num_begun_anew=sum(one.num_begun_anew for one in scored),
        num_events_read=sum(one.num_events_read for one in scored),
        num_buckets=inputs.num_buckets,
        num_buckets_scored=len(tasks),
        num_buckets_resumed=inputs.num_buckets - len(tasks),
        num_buckets_fallen_back=sum(one.has_fallen_back for one in scored),
        device=manifest.device,
        executor=manifest.executor,
        prepare_s=prepared_s - started_s,
        score_s=scored_s - prepared_s,
        commit_s=time.perf_counter() - scored_s,
        stage_s=add_stages(one.seconds for one in scored),
        peak_bytes=max([peak_bytes(), *(one.peak_bytes for one in scored)]),
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Plan:
    """What is to be made, and what there is of it already.

    committed   : the manifest, where the snapshot is there and whole
    done        : buckets that an earlier run finished
    predecessor : what it begins from
    """

    inputs: SnapshotInputs
    committed: SnapshotManifest | None
    done: Sequence[DoneBucket]
    predecessor: SnapshotManifest | None

    @property
    def missing(self) -> list[int]:
        """Buckets that are to be scored."""
        if self.committed is not None:
            return []
        return sorted(set(range(self.inputs.num_buckets)) - {found.file.bucket for found in self.done})

    def kept_file(self, bucket: int) -> BucketFile | None:
        return None if self.predecessor is None else self.predecessor.files[bucket]


def _make_plan(store: Place, inputs: SnapshotInputs, *, full: bool) -> _Plan:
    """inputs : as they are where everybody begins anew"""
    equal = find_equal(store, inputs, full=full)
    committed = None
    if equal is not None:
        inputs = equal  # what is damaged is mended as what it was
        committed = _find_committed(store, inputs)
        predecessor = read_predecessor(store, inputs.begun_from)
    else:
        predecessor = None if full else find_predecessor(store, inputs)
        inputs = replace(inputs, begun_from="" if predecessor is None else predecessor.snapshot_id)
    folder = snapshot_folder(store, inputs.snapshot_id)
    done: list[DoneBucket] = []
    if committed is None and folder.is_dir():
        done = [found for bucket in range(inputs.num_buckets) if (found := find_done(folder, inputs, bucket))]
    return _Plan(inputs=inputs, committed=committed, done=done, predecessor=predecessor)


def _run(executor: Executor, tasks: Sequence[Task], *, uses_gpu: bool) -> Iterator[ScoredBucket]:
    if not tasks:
        return
    # Around all tasks: those that run side by side in this process would else hand torch's threads back to each other.
    with one_torch_thread():
        for result in executor.run(score_bucket, tasks, uses_gpu=uses_gpu):
            yield result.value


def _tell_fallback(result: ScoredBucket) -> None:
    """Here and not where the bucket was scored: what a cluster's workers log nobody sees."""
    file = result.done.file
    line = "bucket %d: the GPU failed (%s); its %d customers were scored on the CPU"
    _logger.warning(line, file.bucket, result.gpu_fault, file.num_customers)


def _sync(syncing: BackgroundSync, folder: Place, done: Sequence[DoneBucket]) -> None:
    syncing.add(*(local_path(folder / entry.file.path) for entry in done))


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
        has_amounts=bundle.model.spend_scale.has_amounts,
    )


def _find_committed(store: Place, inputs: SnapshotInputs) -> SnapshotManifest | None:
    """The manifest of the snapshot of these inputs, if every file of it is whole."""
    try:
        return open_snapshot(store, inputs.snapshot_id).manifest
    except IntegrityError as error:
        _logger.warning("the snapshot is damaged (%s); scoring again what is damaged", error)
        return None
