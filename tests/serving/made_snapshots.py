"""Snapshots with chosen customers, probabilities and buckets; every other column of the schema is zero, whichever there are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa

from engine.hashing import bucket_of
from engine.instants import DAY_US
from engine.storage import Place
from serving.snapshots import SnapshotInputs, SnapshotManifest, commit, snapshot_folder, snapshot_schema, write_bucket
from tests.serving.conftest import INPUTS


def inputs_of(*, days_later: int = 0, num_buckets: int = 4, horizon_days: int = 30) -> SnapshotInputs:
    as_of_us = INPUTS.as_of_us + days_later * DAY_US
    return replace(INPUTS, as_of_us=as_of_us, num_buckets=num_buckets, horizon_days=horizon_days)


def make_snapshot(store: Place, probabilities: Mapping[str, float], inputs: SnapshotInputs) -> SnapshotManifest:
    """Commit a snapshot of customers by id; it becomes the current one.

    probabilities : at the horizon of the inputs; a constant rate before and after it
    """
    buckets = bucket_of(pa.array(sorted(probabilities), pa.string()), inputs.num_buckets)
    done = []
    for bucket in range(inputs.num_buckets):
        ids = [customer_id for customer_id, at in zip(sorted(probabilities), buckets, strict=True) if at == bucket]
        batch = _batch(ids, np.array([probabilities[customer_id] for customer_id in ids], np.float32), inputs)
        done.append(write_bucket(snapshot_folder(store, inputs.snapshot_id), inputs, bucket, batch, device="cpu"))
    return commit(store, inputs, done, executor="inline")


def _batch(ids: list[str], probability: np.ndarray, inputs: SnapshotInputs) -> pa.RecordBatch:
    survival = probability[:, None].astype(float) ** (np.asarray(inputs.edges_days) / inputs.horizon_days)
    known = {
        "customer_id": pa.array(ids, pa.string()),
        "store_id": pa.array([f"store {customer_id[-1]}" if customer_id[-1] != "0" else "" for customer_id in ids], pa.string()),
        "last_purchase_us": pa.array([inputs.as_of_us - DAY_US * (1 + len(customer_id)) for customer_id in ids], pa.int64()),
        "num_orders": pa.array([len(customer_id) for customer_id in ids], pa.int32()),
        "churn_probability": pa.array(probability),
    }
    schema = snapshot_schema(len(inputs.edges_days), inputs.state_size)
    columns = [known[field.name] if field.name in known else _zeros(field, len(ids)) for field in schema]
    place = schema.get_field_index("survival")
    columns[place] = pa.FixedSizeListArray.from_arrays(
        pa.array(survival.ravel().astype(np.float32)), type=schema.field("survival").type
    )
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _zeros(field: pa.Field, num_rows: int) -> pa.Array:
    if not pa.types.is_fixed_size_list(field.type):
        return pa.array(np.zeros(num_rows), field.type)
    values = pa.array(np.zeros(num_rows * field.type.list_size), field.type.value_type)
    return pa.FixedSizeListArray.from_arrays(values, type=field.type)
