"""The mean difference of two models over several windows."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import brier_score_loss, roc_auc_score

from training.evaluation.across import JudgedWindow, mean_differences

METRICS = ("auc", "brier")


def _window(log: str, seed: int, *, num_customers: int = 400, noise_ours: float, noise_theirs: float) -> JudgedWindow:
    random = np.random.default_rng(seed)
    truth = random.normal(size=num_customers)
    churned = random.random(num_customers) < 1 / (1 + np.exp(-truth))
    ours, theirs = (1 / (1 + np.exp(-truth - noise * random.normal(size=num_customers))) for noise in (noise_ours, noise_theirs))
    ids = pa.array([f"{log} {number}" for number in random.permutation(num_customers)])
    return JudgedWindow(log=log, customer_ids=ids, churned=churned, ours=ours, theirs=theirs)


def test_it_is_the_mean_of_the_differences_window_by_window() -> None:
    windows = [_window("a", 1, noise_ours=0.5, noise_theirs=2.0), _window("b", 2, noise_ours=0.5, noise_theirs=1.0)]
    found = mean_differences(windows, METRICS, num_resamples=50)
    auc = np.mean([roc_auc_score(one.churned, one.ours) - roc_auc_score(one.churned, one.theirs) for one in windows])
    brier = np.mean([brier_score_loss(one.churned, one.ours) - brier_score_loss(one.churned, one.theirs) for one in windows])
    assert found["auc"][0] == pytest.approx(auc)
    assert found["brier"][0] == pytest.approx(brier)


def test_a_better_model_is_told_from_a_worse_one_and_not_from_itself() -> None:
    better = [_window("a", seed, noise_ours=0.2, noise_theirs=2.0) for seed in (1, 2)]
    low, high = mean_differences(better, METRICS, num_resamples=200)["auc"][1]
    assert 0 < low < high
    same = [
        JudgedWindow(log=one.log, customer_ids=one.customer_ids, churned=one.churned, ours=one.ours, theirs=one.ours)
        for one in better
    ]
    assert mean_differences(same, METRICS, num_resamples=200)["auc"] == (0.0, (0.0, 0.0))


def test_customers_of_two_windows_of_one_log_are_drawn_together() -> None:
    window = _window("a", 3, noise_ours=0.5, noise_theirs=1.0)
    other = JudgedWindow(
        log="b", customer_ids=window.customer_ids, churned=window.churned, ours=window.ours, theirs=window.theirs
    )

    def width(windows: list[JudgedWindow]) -> float:
        low, high = mean_differences(windows, METRICS, num_resamples=1000)["auc"][1]
        return high - low

    # The same window twice tells nothing more; the same of another log would be news, and narrows by the root of two.
    assert width([window, window]) == pytest.approx(width([window]), rel=1e-9)
    assert width([window, other]) == pytest.approx(width([window]) / np.sqrt(2), rel=0.15)
