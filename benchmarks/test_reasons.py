"""Reasons for 100,000 customers beside scoring them: the bar is as much again.

Rows are those of a rescored chain, repeated up to the size, so that scoring without reasons (states of the GRU over the whole
history, indicators, head) is timed on the same customers by `score_s` of the rescoring, for as many of them. Seconds are of
processor time of all threads together, the median of the rounds.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from benchmarks.chain import ChainConfig, write_chain
from benchmarks.conftest import Report
from engine.executors import InlineExecutor
from engine.history import History
from engine.ingest import ingest
from engine.instants import next_midnight
from engine.labels import eligible
from serving.rescoring.rescore import rescore
from serving.rescoring.scorer import score_partition
from serving.service.bundles import served_bundle
from serving.service.reasoning import SnapshotReasons, reasons_of
from serving.service.rows import score_batch
from serving.snapshots import Snapshot, floats, open_current
from serving.wire.batches import customer_scores
from training.bundles.bundle import Bundle
from training.config import TrainConfig
from training.inference import look_ahead
from training.network.situation import situation_of
from training.registry import register
from training.train import train

# Reasons may cost as much again as scoring.
_BAR = 2.0


@pytest.fixture(scope="module")
def store(quick: bool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chain that was trained on for a moment and rescored; how well it predicts does not matter."""
    folder = tmp_path_factory.mktemp("chain")
    write_chain(ChainConfig(num_customers=2_000 if quick else 20_000), folder / "log")
    store = folder / "store"
    ingest(store, sorted((folder / "log").glob("purchases-*.parquet")), num_buckets=8)
    history = History.open(store)
    last_us = history.manifest.last_order_us
    assert last_us is not None
    config = TrainConfig(num_epochs=2, instants_per_epoch=4, max_events=300_000)
    register(store, train(history, as_of_us=next_midnight(last_us), config=config))
    with InlineExecutor() as executor:
        rescore(store, as_of_us=next_midnight(last_us), executor=executor, device="cpu")
    return store


def _seconds(work: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        started_s = time.process_time()
        work()
        times.append(time.process_time() - started_s)
    return statistics.median(times)


def _score_everybody(store: Path, bundle: Bundle, as_of_us: int) -> int:
    history = History.open(store)
    num_customers = 0
    for partition in history.partitions():
        index = eligible(partition, as_of_us, bundle.active_within_days)
        score_partition(bundle, partition, history.activity(), index, as_of_us, device="cpu")
        num_customers += len(index)
    return num_customers


def test_reasons_cost_no_more_than_scoring(store: Path, quick: bool, report: Report) -> None:
    rounds, size = (1, 5_000) if quick else (5, 100_000)
    snapshot = open_current(store)
    bundle = served_bundle(store, snapshot.inputs)
    assert bundle is not None
    reasons = reasons_of(snapshot, bundle)
    assert reasons is not None
    as_of_us = snapshot.inputs.as_of_us
    num_scored = _score_everybody(store, bundle, as_of_us)  # warm, and counted
    assert num_scored == snapshot.num_customers

    rows = snapshot.take(np.arange(size) % snapshot.num_customers, with_memory=True)
    states, summary = floats(rows, "state").copy(), floats(rows, "summary").copy()
    activity = snapshot.manifest.activity
    assert activity is not None
    instants_us = np.full(size, as_of_us)
    situation = situation_of(summary, rows.column("last_event_us").to_numpy(), instants_us, activity.daily())

    whole_s = _seconds(lambda: _score_everybody(store, bundle, as_of_us), rounds) * size / num_scored
    head_s = _seconds(lambda: look_ahead(bundle.model, states, situation), rounds)
    reasons_s = _seconds(lambda: reasons.columns(rows), rounds)
    worst = _worst_sum(snapshot, reasons)
    report(
        "reasons",
        f"Reasons for {size:,} customers, seconds of processor time",
        [
            {
                "scoring_s": whole_s,
                "of which the head, s": head_s,
                "reasons_s": reasons_s,
                "with/without": (whole_s + reasons_s) / whole_s,
                "reasons/head": reasons_s / head_s,
                "largest error of a sum": worst,
                "bar": _BAR,
            }
        ],
    )
    assert worst <= 1e-3


def _worst_sum(snapshot: Snapshot, reasons: SnapshotReasons) -> float:
    """How far baseline, reasons and the rest are from the probability that was served, over all customers."""
    rows = snapshot.slice(0, snapshot.num_customers, with_memory=True)
    worst = 0.0
    for score in customer_scores(score_batch(snapshot, rows, snapshot.inputs.horizon_days, reasons)):
        assert score.reasons is not None
        points = sum(reason.points for reason in score.reasons.strongest) + score.reasons.other_points
        worst = max(worst, abs(score.reasons.baseline_churn_probability + points / 100 - score.churn_probability))
    return worst
