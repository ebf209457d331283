"""The task of a rescoring: one bucket is read, matched with what was kept of it, scored and written."""

from __future__ import annotations

import resource
import sys
import threading
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.errors import ExecutionError
from engine.history import Buffers, History
from engine.instants import DAY_US
from kernels import RHYTHM_COLUMNS
from serving.rescoring.choosing import Chosen, choose
from serving.rescoring.memory import open_memory
from serving.rescoring.room import Room
from serving.rescoring.scorer import PartitionScores, score
from serving.rescoring.stage_times import StageTimes
from serving.snapshots import BucketFile, DoneBucket, SnapshotInputs, snapshot_folder, snapshot_schema, write_bucket
from training.bundles.bundle import Bundle, load
from training.device import gpu_fault, resolve_device

# Every part is hashed again once in so many nights, whatever the file system says of it: a disk that changes bytes by itself is
# found out in this time, for a small share of what a night costs.
_NIGHTS_OF_A_ROUND = 32

# glibc asks the system for every array above a threshold and gives it back at once, unless larger ones were freed before: then it
# keeps up to twice as much (mallopt(3), dynamic threshold). What a bucket needs and frees is far below this.
_KEPT_BYTES = 24 << 20

# Events of the buckets that a process scores at the same time: about 800 MB. A store that began small has large buckets.
_MOST_EVENTS = 12_000_000

_of_thread = threading.local()
_room = Room(_MOST_EVENTS)


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredBucket:
    """What a task did.

    num_rolled_on   : customers whose kept state was rolled over new events
    num_unchanged   : customers whose kept state covers all of their events
    num_begun_anew  : the others: all of their events were read
    num_events_read : by the model, of all of them together
    gpu_fault       : why a GPU was given up for the CPU, in a line; "" where it was not
    seconds         : by stage
    peak_bytes      : most memory that the process of the task has held so far
    """

    done: DoneBucket
    num_rolled_on: int
    num_unchanged: int
    num_begun_anew: int
    num_events_read: int
    gpu_fault: str
    seconds: dict[str, float]
    peak_bytes: int

    @property
    def has_fallen_back(self) -> bool:
        return bool(self.gpu_fault)


def score_bucket(
    *,
    store: str,
    bucket: int,
    bundle_folder: str,
    inputs: SnapshotInputs,
    kept: BucketFile | None,
    activity: DailyActivity,
    device: str,
    is_device_known: bool,
    is_durable: bool,
) -> ScoredBucket:
    """Score the eligible customers of one bucket and write its file. Deterministic, and the same when done twice.

    kept            : the bucket's file in the snapshot `inputs.begun_from`
    device          : one of training.device.DEVICES
    is_device_known : whether it is what `resolve_device` found here; else this process looks, once for all of its buckets
    is_durable      : as `write_bucket` takes it

    A GPU that worked and fails, now or for good, costs no score: the bucket is scored on the CPU, and the result says why.
    raises          : DeviceError where the device was asked for by name and never worked here
    """
    times = StageTimes()
    with times.of("read"):
        history, bundle = _open_inputs(store, bundle_folder, inputs.history_hash, inputs.model_hash)
    parts = history.parts(bucket)
    with _room.taken(sum(part.num_events for part in parts)):
        with times.of("read"):
            is_turn = (inputs.as_of_us // DAY_US + bucket) % _NIGHTS_OF_A_ROUND == 0
            num_hashed = history.check(bucket, again=is_turn)
            memory = open_memory(store, inputs.begun_from, kept, inputs) if kept else None
            layers = history.layers(bucket, settled=kept.parts if kept else ())
        chosen = choose(layers, memory, inputs, _thread_buffers(), times)
        with times.of("match"):
            if num_hashed < len(parts) and chosen.is_changed.any():
                history.check(bucket, again=True)  # late events look like this, and so does a disk that changes bytes by itself
        fault = ""
        if not is_device_known:
            device, fault = _find_device(device)
        scores = score(bundle, chosen.asked, chosen.initial, activity, inputs.as_of_us, device=device, times=times)
        with times.of("write"):
            batch = _bucket_batch(chosen, scores, inputs)
            folder = snapshot_folder(store, inputs.snapshot_id)
            made_of = tuple(part.sha256 for part in parts)
            done = write_bucket(folder, inputs, bucket, batch, device=scores.device, is_durable=is_durable, parts=made_of)
        return ScoredBucket(
            done=done,
            num_rolled_on=int((chosen.is_rolled_on & (chosen.num_new > 0)).sum()),
            num_unchanged=int((chosen.is_rolled_on & (chosen.num_new == 0)).sum()),
            num_begun_anew=int((~chosen.is_rolled_on).sum()),
            num_events_read=int(chosen.num_new.sum()),
            gpu_fault=scores.gpu_fault or fault,
            seconds=times.seconds,
            peak_bytes=peak_bytes(),
        )


def peak_bytes() -> int:
    """Most memory that this process has held so far; Linux counts in KiB, macOS in bytes."""
    found = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return found if sys.platform == "darwin" else found * 1024


@lru_cache(maxsize=1)
def _open_inputs(store: str, bundle_folder: str, history_hash: str, model_hash: str) -> tuple[History, Bundle]:
    """History and bundle of a job, opened once per worker."""
    history, bundle = History.open(store), load(bundle_folder)
    for name, found, expected in (("history", history.manifest_hash, history_hash), ("bundle", bundle.content_hash, model_hash)):
        if found != expected:
            raise ExecutionError(f"the {name} changed meanwhile ({found}, was {expected}); run `ebbtide rescore` again")
    return history, bundle


@cache
def _find_device(name: str) -> tuple[str, str]:
    """What a device's name stands for in this worker, and why its GPU is not used, if it has one and does not.

    Looked for once: to look again for each bucket would take a GPU that was lost, or is full, for none.
    """
    device = resolve_device(name)
    return device, gpu_fault() if name == "auto" and device == "cpu" else ""


def _thread_buffers() -> Buffers:
    """Of this thread, which scores one bucket at a time."""
    if not hasattr(_of_thread, "buffers"):
        _of_thread.buffers = Buffers()
        np.empty(_KEPT_BYTES, np.uint8)  # freed untouched: no page of it is ever there
    buffers: Buffers = _of_thread.buffers
    return buffers


def _bucket_batch(chosen: Chosen, scores: PartitionScores, inputs: SnapshotInputs) -> pa.RecordBatch:
    """The columns of `snapshot_schema`."""
    schema = snapshot_schema(len(inputs.edges_days), inputs.state_size)

    def lists(name: str, values: NDArray[np.float32] | NDArray[np.int64]) -> pa.Array:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=schema.field(name).type)

    def of_rhythm(name: str) -> NDArray[np.int64]:
        return np.ascontiguousarray(chosen.rhythm[:, RHYTHM_COLUMNS.index(name)])

    columns = {
        "customer_id": chosen.customer_ids,
        "store_id": chosen.store_id,
        "last_purchase_us": pa.array(of_rhythm("last_order_us")),
        "num_orders": pa.array(of_rhythm("num_orders").astype(np.int32)),
        "num_events": pa.array(chosen.num_events),
        "last_event_us": pa.array(chosen.last_event_us),
        "fingerprint": pa.array(chosen.fingerprint),
        "churn_probability": pa.array(scores.churn_probability),
        "expected_days_to_purchase": pa.array(scores.expected_days_to_purchase),
        "expected_spend_90d": pa.array(scores.expected_spend_90d),
        "expected_spend_365d": pa.array(scores.expected_spend_365d),
        "survival": lists("survival", scores.survival),
        "rhythm": lists("rhythm", chosen.rhythm),
        "last_order": lists("last_order", chosen.last_order),
        "state": lists("state", scores.states),
        "summary": lists("summary", scores.summary),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
