"""Rows of a snapshot as the columns that go over the wire, and one of them as values."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from serving.answers import CustomerScore
from serving.risk import DEFAULT_THRESHOLDS, risk_scores, tiers
from serving.service.reasoning import SnapshotReasons
from serving.snapshots import Snapshot, survival
from serving.wire.batches import BATCH_SCHEMA, GRADE_NAMES, REASONED_SCHEMA, TIER_NAMES
from training.predict import churn_probability, churn_probability_of_one

_GRADE_NAMES, _TIER_NAMES = pa.array(GRADE_NAMES), pa.array(TIER_NAMES)


def score_one(snapshot: Snapshot, row: int, customer_id: str, horizon_days: int) -> CustomerScore:
    """What `score_batch` says of one row, without a batch around it, which would take several times as long.

    customer_id : of the row
    """
    columns, place = snapshot.at(row)
    values = columns.values
    probability = at_own_horizon = values["churn_probability"][place]
    if horizon_days != snapshot.inputs.horizon_days:
        probability = np.float32(churn_probability_of_one(snapshot.edges_days, columns.survival[place], horizon_days))
    score = float(risk_scores(at_own_horizon))
    grade = DEFAULT_THRESHOLDS.grade(score)
    return CustomerScore(
        customer_id=customer_id,
        churn_probability=float(probability),
        risk_score=score,
        grade=grade,
        tier=grade.tier,
        last_purchase_us=int(values["last_purchase_us"][place]),
        num_orders=int(values["num_orders"][place]),
        store_id=columns.store_id[place].as_py(),
        expected_days_to_purchase=float(values["expected_days_to_purchase"][place]),
        expected_spend_90d=float(values["expected_spend_90d"][place]),
        expected_spend_365d=float(values["expected_spend_365d"][place]),
    )


def score_batch(
    snapshot: Snapshot, rows: pa.RecordBatch, horizon_days: int, reasons: SnapshotReasons | None = None
) -> pa.RecordBatch:
    """Scores of some rows of a snapshot.

    rows    : columns of `snapshot_schema`; with MEMORY_COLUMNS where there are to be reasons
    returns : columns of BATCH_SCHEMA, or with reasons of REASONED_SCHEMA, in the same order
    """
    at_own_horizon = rows.column("churn_probability").to_numpy()
    if horizon_days == snapshot.inputs.horizon_days:
        probability = at_own_horizon
    else:
        probability = churn_probability(snapshot.edges_days, survival(rows), horizon_days).astype(np.float32)
    score = risk_scores(at_own_horizon)
    grade = DEFAULT_THRESHOLDS.grades(score)
    arrays = [
        *(rows.column(name) for name in ("customer_id", "store_id", "last_purchase_us", "num_orders")),
        pa.array(probability),
        pa.array(score),
        pa.DictionaryArray.from_arrays(pa.array(grade - np.int8(1)), _GRADE_NAMES),
        pa.DictionaryArray.from_arrays(pa.array(tiers(grade) - np.int8(1)), _TIER_NAMES),
        *(rows.column(name) for name in ("expected_days_to_purchase", "expected_spend_90d", "expected_spend_365d")),
    ]
    if reasons is None:
        return pa.RecordBatch.from_arrays(arrays, schema=BATCH_SCHEMA)
    return pa.RecordBatch.from_arrays([*arrays, *reasons.columns(rows)], schema=REASONED_SCHEMA)
