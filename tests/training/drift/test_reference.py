"""The reference goes with the bundle, comes back the same, and holds no customer."""

from __future__ import annotations

import json
from pathlib import Path

from engine.history import History
from engine.indicators import INDICATOR_COLUMNS
from training.bundles.bundle import DESCRIPTION_FILE, load, save
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
