"""Back-test: train on what was known before an instant, score at it, and compare with what then happened."""

from training.backtest.config import BacktestConfig
from training.backtest.judging import REFERENCE, Judgement
from training.backtest.run import BacktestProgress, run_backtest
from training.backtest.windows import Backtest, Window

__all__ = [
    "REFERENCE",
    "Backtest",
    "BacktestConfig",
    "BacktestProgress",
    "Judgement",
    "Window",
    "run_backtest",
]
