"""`ebbtide backtest` on the terminal: every metric within 100 columns, and what can or cannot be told of lead time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import InvalidArgumentError
from engine.history import History
from serving.cli.backtest import print_backtest
from tests.serving.conftest import TRAINED_AS_OF_US
from training.backtest import BacktestConfig, run_backtest
from training.baselines import BASELINE_NAMES
from training.config import TrainConfig
from training.evaluation.lead_time import LeadTimeConfig
from training.registry import champion
from training.report import check_can_write

BASELINES = ("recency", "constant")


def printed(store: Path, capsys: pytest.CaptureFixture[str], lead_time: LeadTimeConfig) -> str:
    config = BacktestConfig(as_of_us=(TRAINED_AS_OF_US,), train=TrainConfig(), baselines=BASELINES, num_resamples=20)
    result = run_backtest(History.open(store), replace(config, lead_time=lead_time), bundle=champion(store))
    capsys.readouterr()
    print_backtest(result)
    return capsys.readouterr().out


def test_the_table_has_the_slope_and_fits_and_says_why_there_is_no_lead_time(
    trained_store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(trained_store, capsys, LeadTimeConfig())
    table = [line.rstrip() for line in text.splitlines()[1:5]]
    assert "cal. slope" in table[0]
    assert "–" in table[3]  # a constant has no slope
    spare = max(map(len, BASELINE_NAMES)) - max(map(len, (*BASELINES, "ebbtide")))
    assert max(map(len, table)) + spare <= 100
    assert "Lead time needs 120 days of orders after the first as-of" in text


def test_beside_the_lead_time_stands_that_of_recency(trained_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(trained_store, capsys, LeadTimeConfig(rule_days=30, step_days=10, goal_days=10))
    model, recency = text.splitlines()[-2:]
    assert model.startswith("Lead time: of ")
    assert recency.startswith("Recency alone, at the same number of false alarms (")


def test_a_folder_whose_name_is_no_text_is_refused_before_the_training(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"out: .* a name that is not UTF-8"):
        check_can_write(tmp_path / "k\udce4ufe")
    assert not list(tmp_path.iterdir())
