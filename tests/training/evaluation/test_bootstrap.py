"""Bootstrap intervals: as wide as they should be, paired, and of customers rather than rows."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.bootstrap import draw_weights, estimate
from training.evaluation.metrics import JUDGED_NAMES


def _draw(num: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    probability = random.beta(1, 3, num)
    return random.random(num) < probability, probability


def test_intervals_are_as_wide_as_theory_says() -> None:
    churned, probability = _draw(2000, 0)
    estimates = estimate(churned, {"a": probability}, num_resamples=600)
    low, high = estimates.interval("a", "brier")
    error = np.std((probability - churned) ** 2) / np.sqrt(2000)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.12)
    low, high = estimates.interval("a", "auc")
    placed = _placements(churned, probability)  # DeLong et al. (1988)
    error = np.sqrt(sum(part.var() / len(part) for part in placed))
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.12)


def test_every_metric_has_an_interval_around_its_value() -> None:
    churned, probability = _draw(1500, 1)
    estimates = estimate(churned, {"a": probability}, num_resamples=200)
    for metric in JUDGED_NAMES:
        low, high = estimates.interval("a", metric)
        assert low < high
        if metric != "ece":  # chance alone makes an ECE; its interval takes that off
            assert low < estimates.values["a"][metric] < high


def test_the_interval_of_a_good_calibration_reaches_down_to_none() -> None:
    churned, probability = _draw(3000, 2)
    good = estimate(churned, {"a": probability}, num_resamples=200).interval("a", "ece")
    bad = estimate(churned, {"a": probability**2}, num_resamples=200).interval("a", "ece")
    assert good[0] < 0.01 < good[1]
    assert bad[0] > 0.03


def test_differences_are_paired() -> None:
    churned, probability = _draw(800, 3)
    nearly = np.clip(probability + np.random.default_rng(4).normal(0, 0.01, 800), 0.001, 0.999)
    estimates = estimate(churned, {"a": probability, "same": probability, "nearly": nearly}, num_resamples=200)
    assert estimates.difference("a", "same", "auc") == (0.0, (0.0, 0.0))
    _, (low, high) = estimates.difference("a", "nearly", "auc")
    own_low, own_high = estimates.interval("a", "auc")
    assert high - low < 0.3 * (own_high - own_low)


def test_a_customer_of_several_windows_is_drawn_with_all_rows() -> None:
    customer = np.array([0, 0, 0, 1, 2, 2])
    weights = draw_weights(customer, 50, np.random.default_rng(0))
    assert weights.shape == (50, 6)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 4] == weights[:, 5]).all()
    assert (weights[:, [0, 3, 4]].sum(axis=1) == 3).all()
    churned, probability = _draw(500, 5)
    once = estimate(churned, {"a": probability}, num_resamples=300)
    fourfold = estimate(np.tile(churned, 4), {"a": np.tile(probability, 4)}, np.tile(np.arange(500), 4), num_resamples=300)
    assert fourfold.interval("a", "brier") == pytest.approx(once.interval("a", "brier"), rel=1e-9)


def _placements(churned: np.ndarray, probability: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    above = probability[churned][:, None] > probability[~churned][None, :]
    return above.mean(axis=1), above.mean(axis=0)
