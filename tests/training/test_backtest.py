"""A back-test of a small chain: files of the right shape, honest baselines, no look ahead."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import AsOfError, InvalidArgumentError
from engine.history import History
from engine.instants import DAY_US
from kernels import SUMMARY_COLUMNS
from tests.training.conftest import AS_OF_US, MakeHistory, draw_orders
from training.backtest import BacktestResult, run_backtest, write_backtest
from training.baselines import PastOutcomes, predict_by_recency, predict_constant
from training.bundle import Bundle
from training.evaluation import METRIC_NAMES, metrics
from training.registry import register
from training.trained import TrainedModel


@pytest.fixture(scope="module")
def bundle(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return register(tmp_path_factory.mktemp("store"), trained)


@pytest.fixture(scope="module")
def result(history: History, bundle: Bundle) -> BacktestResult:
    return run_backtest(history, as_of_us=AS_OF_US, horizon_days=14, active_within_days=60, bundle=bundle)


def test_the_files_hold_what_was_found(result: BacktestResult, bundle: Bundle, tmp_path: Path) -> None:
    write_backtest(result, tmp_path / "new" / "out")
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == ["metrics.json", "predictions.parquet"]
    predictions = pq.read_table(tmp_path / "new" / "out" / "predictions.parquet")
    assert predictions.schema.names == ["customer_id", "churn_probability", "churned"]
    assert predictions.schema.types == [pa.int64(), pa.float64(), pa.bool_()]
    document = json.loads((tmp_path / "new" / "out" / "metrics.json").read_text())
    assert (document["as_of"], document["horizon_days"], document["active_within_days"]) == ("2024-07-01", 14, 60)
    assert document["bundle"]["content_hash"] == bundle.content_hash
    assert set(document["models"]) == {"ebbtide", "lightgbm", "recency", "constant"}
    assert all(set(found) == set(METRIC_NAMES) for found in document["models"].values())
    churned = predictions["churned"].to_numpy()
    recomputed = metrics(churned, predictions["churn_probability"].to_numpy())
    assert document["models"]["ebbtide"] == pytest.approx(recomputed)


def test_each_customer_is_asked_about_once_and_labelled_by_what_happened(result: BacktestResult) -> None:
    orders = pa.table(draw_orders()).select(["customer_id", "timestamp"])
    instants: dict[int, list[int]] = {}
    for customer, at in zip(orders[0].to_pylist(), orders[1].cast(pa.int64()).to_pylist(), strict=True):
        instants.setdefault(customer, []).append(at)
    expected = {
        customer: not any(AS_OF_US <= at < AS_OF_US + 14 * DAY_US for at in found)
        for customer, found in instants.items()
        if any(AS_OF_US - 60 * DAY_US <= at < AS_OF_US for at in found)
    }
    rows = result.predictions.to_pylist()
    assert len(rows) == len(expected)
    assert {row["customer_id"]: row["churned"] for row in rows} == expected


def test_without_a_bundle_it_trains_first(make_history: MakeHistory) -> None:
    history = make_history(draw_orders(num_customers=150, num_days=120, integer_ids=False))
    epochs: list[int] = []
    result = run_backtest(
        history,
        as_of_us=AS_OF_US - 80 * DAY_US,
        horizon_days=14,
        active_within_days=60,
        progress=lambda at: epochs.append(at.epoch),
    )
    assert epochs
    assert result.predictions.schema.field("customer_id").type == pa.string()


def test_a_bundle_that_saw_the_outcome_is_refused(history: History, bundle: Bundle) -> None:
    with pytest.raises(InvalidArgumentError, match="2024-07-01"):
        run_backtest(history, as_of_us=AS_OF_US - DAY_US, horizon_days=14, active_within_days=60, bundle=bundle)


def test_a_horizon_past_the_data_is_refused(history: History, bundle: Bundle) -> None:
    with pytest.raises(AsOfError, match="horizon of 300 days"):
        run_backtest(history, as_of_us=AS_OF_US, horizon_days=300, active_within_days=60, bundle=bundle)


def test_the_simple_baselines_say_what_the_past_said() -> None:
    indicators = np.full((100, len(SUMMARY_COLUMNS)), np.nan, np.float32)
    indicators[:, 0] = np.arange(100)
    outcomes = PastOutcomes(indicators=indicators, churned=np.arange(100) >= 75)
    assert predict_constant(outcomes, indicators[:3]) == pytest.approx([0.25] * 3)
    rising = predict_by_recency(outcomes, indicators[[10, 90]])
    assert rising == pytest.approx([0.0, 1.0], abs=1e-3)
