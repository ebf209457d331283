"""The reference goes with the bundle, comes back the same, and holds no customer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from engine.history import History
from engine.indicators import INDICATOR_COLUMNS, NUM_COLUMNS
from training.bundles.bundle import DESCRIPTION_FILE, load, save
from training.drift.reference import as_compared
from training.trained import TrainedModel


def test_the_reference_comes_back_as_it_was(trained: TrainedModel, tmp_path: Path) -> None:
    save(trained, tmp_path)
    assert load(tmp_path).trained.reference == trained.reference
    assert tuple(trained.reference.indicators) == INDICATOR_COLUMNS


def test_the_reference_is_of_the_customers_who_are_scored(trained: TrainedModel) -> None:
    reference = trained.reference
    assert 0 < reference.num_customers < trained.num_customers
    assert reference.churn_rate == trained.validation["base_rate"]
    assert reference.num_outcomes == trained.validation["num_customers"]


def test_no_customer_is_in_a_bundle(make_history: object, trained: TrainedModel, history: History, tmp_path: Path) -> None:
    save(trained, tmp_path)
    content = json.loads((tmp_path / DESCRIPTION_FILE).read_text())["content"]
    assert trained.held_out is not None
    assert "held_out" not in content
    longest = max(len(found["edges"]) for found in content["reference"]["indicators"].values())
    assert longest <= 9


def test_what_a_young_log_cannot_show_is_scaled_or_one() -> None:
    tenure, orders, recency = (INDICATOR_COLUMNS.index(name) for name in ("tenure_days", "orders_90d", "recency_days"))
    indicators = np.full((3, NUM_COLUMNS), np.nan, np.float32)
    indicators[:, tenure] = [10, 29, 60]
    indicators[:, orders] = [1, 4, 6]
    indicators[:, recency] = 5
    young = as_compared(indicators, log_days=60)
    assert young[:, tenure].tolist() == [10, 29, 30]
    assert young[:, orders].tolist() == [1.5, 6, 9]
    assert young[:, recency].tolist() == [5, 5, 5]
    assert np.isnan(np.delete(young, [tenure, orders, recency], axis=1)).all()
    assert as_compared(indicators, log_days=425)[:, orders].tolist() == [1, 4, 6]
