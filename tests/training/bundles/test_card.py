"""The card tells what a bundle is, and nothing of a customer."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import InvalidArgumentError
from training.bundles.backtest_summary import read_backtest
from training.bundles.card import CARD_FILE
from training.registry import read_card, register
from training.trained import TrainedModel


def write_metrics(path: Path, **changes: object) -> Path:
    document = {
        "as_of": ["2024-05-01", "2024-06-01"],
        "horizon_days": 14,
        "active_within_days": 60,
        "models": {"ebbtide": {"auc": 0.8125, "calibration_slope": None}},
        "intervals": {"ebbtide": {"auc": [0.7515, 0.8535]}},
    }
    path.write_text(json.dumps(document | changes))
    return path


def test_the_card_tells_all_that_it_has_to(store: Path, trained: TrainedModel, tmp_path: Path) -> None:
    backtest = read_backtest(write_metrics(tmp_path / "metrics.json"), horizon_days=14, active_within_days=60)
    bundle = register(store, trained, "north", backtest=backtest)
    card = read_card(bundle.folder)
    assert (bundle.folder / CARD_FILE).read_bytes().decode() == card
    for words in (
        "# north/0001",
        "within **14 days**",
        "**60 days** before it",
        "events from 2024-01-01 until just before 2024-07-01",
        f"{trained.num_events:,} events of 400 customers",
        "from 2024-06-17 to 2024-07-01, by a first pass that had not seen it",
        f"| ROC-AUC | {trained.validation['auc']:.4f} |",
        f"| calibration slope | {trained.validation['calibration_slope']:.2f} |",
        "as of 2024-05-01, 2024-06-01",
        "| ROC-AUC | 0.8125 (0.7515 to 0.8535) |",
        "Calibration: ",
        "## Limits",
        "ebbtide train --store DIR --as-of 2024-07-01 --name north --horizon-days 14 --active-within-days 60 --seed 0",
        "torch 2.",
        "model.state_size = 8",
        bundle.content_hash,
        trained.history_hash,
    ):
        assert words in card, words


def test_a_card_that_is_missing_is_written_from_the_description(store: Path, trained: TrainedModel) -> None:
    bundle = register(store, replace(trained, validation={}))
    card = read_card(bundle.folder)
    (bundle.folder / CARD_FILE).unlink()  # type: ignore[attr-defined]
    assert read_card(bundle.folder) == card
    assert "Unknown: the last horizon" in card


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"horizon_days": 30}, "speaks of churn within 30 days of customers active within 60, expected churn within 14"),
        ({"models": {}}, "is not the metrics.json of a back-test"),
        ({"models": {"ebbtide": {"auc": "good"}}}, "is not the metrics.json of a back-test"),
    ],
)
def test_a_backtest_of_something_else_is_refused(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        read_backtest(write_metrics(tmp_path / "metrics.json", **changes), horizon_days=14, active_within_days=60)
    with pytest.raises(InvalidArgumentError, match="No such file"):
        read_backtest(tmp_path / "nothing", horizon_days=14, active_within_days=60)
