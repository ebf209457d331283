"""The task of a rescoring: one bucket is read, matched with what was kept of it, scored and written."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.activity import DailyActivity
from engine.errors import ExecutionError
from engine.history import History, Piece
from engine.labels import are_eligible, purchases_before
from engine.partition import Partition
from serving.rescoring.memory import Begun, begin_from, open_memory
from serving.rescoring.scorer import Asked, PartitionScores, score
from serving.rescoring.stage_times import StageTimes
from serving.snapshots import BucketFile, DoneBucket, SnapshotInputs, snapshot_folder, snapshot_schema, write_bucket
from training.bundles.bundle import Bundle, load
from training.device import resolve_device


@dataclass(frozen=True, kw_only=True, slots=True)
class ScoredBucket:
    """What a task did.

    num_rolled_on   : customers whose kept state was rolled over new events
    num_unchanged   : customers whose kept state covers all of their events
    num_begun_anew  : the others: all of their events were read
    num_events_read : by the model, of all of them together
    seconds         : by stage
    peak_bytes      : most memory that the process of the task has held so far
    """

    done: DoneBucket
    num_rolled_on: int
    num_unchanged: int
    num_begun_anew: int
    num_events_read: int
    has_fallen_back: bool
    seconds: dict[str, float]
    peak_bytes: int


def score_bucket(
    *,
    store: str,
    bucket: int,
    bundle_folder: str,
    inputs: SnapshotInputs,
    kept: BucketFile | None,
    activity: DailyActivity,
    device: str,
    is_durable: bool,
) -> ScoredBucket:
    """Score the eligible customers of one bucket and write its file. Deterministic, and the same when done twice.

    kept       : the bucket's file in the snapshot `inputs.begun_from`
    device     : one of training.device.DEVICES, as the machine of the task has it
    is_durable : as `write_bucket` takes it
    """
    times = StageTimes()
    with times.of("read"):
        history, bundle = _open_inputs(store, bundle_folder, inputs.history_hash, inputs.model_hash)
        num_hashed = history.check(bucket)
        pieces = history.pieces(bucket)
        memory = open_memory(store, inputs.begun_from, kept, inputs) if kept else None
    with times.of("match"):
        purchases = [purchases_before(piece.partition, inputs.as_of_us) for piece in pieces]
        customers = [_eligible(piece, last, inputs) for piece, (_, last) in zip(pieces, purchases, strict=True)]
        begun = [
            begin_from(memory, piece.partition, chosen, inputs.as_of_us, state_size=inputs.state_size)
            for piece, chosen in zip(pieces, customers, strict=True)
        ]
        num_parts = len(history.parts(bucket))
        if num_hashed < num_parts and any(one.is_changed.any() for one in begun):
            history.check(bucket, again=True)  # late events look like this, and so does a disk that changes bytes by itself
    asked = [
        Asked(partition=piece.partition, customer_index=chosen, begin=one.begin, end=one.end, initial=one.initial)
        for piece, chosen, one in zip(pieces, customers, begun, strict=True)
    ]
    scores = score(bundle, asked, activity, inputs.as_of_us, device=resolve_device(device), times=times)
    with times.of("write"):
        batch = _bucket_batch(pieces, customers, purchases, begun, scores, inputs)
        folder = snapshot_folder(store, inputs.snapshot_id)
        done = write_bucket(folder, inputs, bucket, batch, device=scores.device, is_durable=is_durable)
    is_rolled_on = np.concatenate([one.is_rolled_on for one in begun])
    num_new = np.concatenate([one.end - one.begin for one in begun])
    return ScoredBucket(
        done=done,
        num_rolled_on=int((is_rolled_on & (num_new > 0)).sum()),
        num_unchanged=int((is_rolled_on & (num_new == 0)).sum()),
        num_begun_anew=int((~is_rolled_on).sum()),
        num_events_read=int(num_new.sum()),
        has_fallen_back=scores.has_fallen_back,
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


def _eligible(piece: Piece, last_purchase: NDArray[np.int64], inputs: SnapshotInputs) -> NDArray[np.int64]:
    customers = are_eligible(piece.partition, last_purchase, inputs.as_of_us, inputs.active_within_days)
    return customers[piece.is_here[customers]]


def _bucket_batch(
    pieces: tuple[Piece, ...],
    customers: list[NDArray[np.int64]],
    purchases: list[tuple[NDArray[np.int64], NDArray[np.int64]]],
    begun: list[Begun],
    scores: PartitionScores,
    inputs: SnapshotInputs,
) -> pa.RecordBatch:
    """The columns of `snapshot_schema` for eligible customers: each has a purchase before as_of."""
    schema = snapshot_schema(len(inputs.edges_days), inputs.state_size)

    def lists(name: str, values: NDArray[np.float32]) -> pa.Array:
        return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), type=schema.field(name).type)

    of_pieces = [
        _columns_of_events(piece.partition, chosen, number[chosen], last[chosen], one)
        for piece, chosen, (number, last), one in zip(pieces, customers, purchases, begun, strict=True)
    ]
    columns: dict[str, pa.Array] = {name: pa.concat_arrays([one[name] for one in of_pieces]) for name in of_pieces[0]}
    columns |= {
        "churn_probability": pa.array(scores.churn_probability),
        "expected_days_to_purchase": pa.array(scores.expected_days_to_purchase),
        "expected_spend_90d": pa.array(scores.expected_spend_90d),
        "expected_spend_365d": pa.array(scores.expected_spend_365d),
        "survival": lists("survival", scores.survival),
        "state": lists("state", scores.states),
        "summary": lists("summary", scores.summary),
    }
    batch = pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)
    if len(pieces) == 1:
        return batch
    rank = np.concatenate([piece.rank[chosen] for piece, chosen in zip(pieces, customers, strict=True)])
    return batch.take(pa.array(np.argsort(rank)))


def _columns_of_events(
    partition: Partition,
    customer_index: NDArray[np.int64],
    num_orders: NDArray[np.int64],
    last_purchase: NDArray[np.int64],
    begun: Begun,
) -> dict[str, pa.Array]:
    """The columns that are read off the events themselves."""
    # Code -1, "not known", finds the empty name at the end.
    store_names = pa.array([*partition.store_names, ""], pa.string())
    store_code = partition.store_code[last_purchase].astype(np.int64)
    store_code[store_code < 0] = len(partition.store_names)
    return {
        "customer_id": partition.customer_ids.take(pa.array(customer_index)),
        "store_id": store_names.take(pa.array(store_code)),
        "last_purchase_us": pa.array(partition.timestamp_us[last_purchase]),
        "num_orders": pa.array(num_orders.astype(np.int32)),
        "num_events": pa.array((begun.end - partition.offsets[customer_index]).astype(np.int32)),
        "last_event_us": pa.array(partition.timestamp_us[begun.end - 1]),
        "fingerprint": pa.array(begun.fingerprint),
    }
