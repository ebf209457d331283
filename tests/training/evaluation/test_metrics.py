"""Metrics beside values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from engine.errors import AsOfError
from training.evaluation.metrics import FURTHER_METRIC_NAMES, METRIC_NAMES, all_metrics, metrics


def test_values_worked_out_by_hand() -> None:
    churned = np.array([False, False, True, True])
    found = metrics(churned, np.array([0.1, 0.4, 0.35, 0.8]))
    assert tuple(found) == METRIC_NAMES
    assert found["auc"] == pytest.approx(3 / 4)  # of four pairs one is the wrong way round
    assert found["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert found["brier"] == pytest.approx((0.1**2 + 0.4**2 + 0.65**2 + 0.2**2) / 4)
    assert found["log_loss"] == pytest.approx(-(math.log(0.9) + math.log(0.6) + math.log(0.35) + math.log(0.8)) / 4)
    assert found["ece"] == pytest.approx((0.1 + 0.4 + 0.65 + 0.2) / 4)  # groups of one
    assert found["top_decile_lift"] == pytest.approx(2.0)
    assert (found["num_customers"], found["base_rate"]) == (4, 0.5)


def test_calibration_error_is_over_ten_groups_of_equal_size() -> None:
    probability = np.repeat(np.arange(10) / 10 + 0.05, 10)
    churned = np.tile(np.arange(10) < 5, 10)
    expected = np.mean([abs(0.5 - value) for value in np.unique(probability)])
    assert metrics(churned, probability)["ece"] == pytest.approx(expected)


def test_lift_counts_the_tenth_most_at_risk() -> None:
    probability = np.arange(100) / 100
    churned = probability >= 0.95
    assert metrics(churned, probability)["top_decile_lift"] == pytest.approx(0.5 / 0.05)


def test_the_lift_of_a_constant_is_one_whatever_the_order() -> None:
    churned = np.arange(100) < 20
    assert metrics(churned, np.full(100, 0.2))["top_decile_lift"] == pytest.approx(1.0)


def test_the_calibration_line_is_that_of_a_logistic_regression() -> None:
    random = np.random.default_rng(0)
    logit = random.normal(-1.0, 1.5, 4000)
    churned = random.random(4000) < 1 / (1 + np.exp(-logit))
    found = all_metrics(churned, 1 / (1 + np.exp(-(2.0 * logit + 0.5))))  # twice as bold as the truth
    assert tuple(found) == METRIC_NAMES + FURTHER_METRIC_NAMES
    peer = LogisticRegression(C=np.inf).fit((2.0 * logit + 0.5)[:, None], churned)
    assert found["calibration_slope"] == pytest.approx(peer.coef_[0, 0], abs=1e-3)
    assert found["calibration_intercept"] == pytest.approx(peer.intercept_[0], abs=1e-3)


def test_a_constant_has_no_calibration_slope() -> None:
    assert math.isnan(all_metrics(np.arange(50) < 20, np.full(50, 0.4))["calibration_slope"])


def test_finding_who_stays_is_the_mirror_of_finding_who_churns() -> None:
    random = np.random.default_rng(1)
    probability = random.random(300)
    churned = random.random(300) < probability
    found, mirrored = all_metrics(churned, probability), all_metrics(~churned, 1 - probability)
    assert found["average_precision_retained"] == pytest.approx(mirrored["average_precision"])


@pytest.mark.parametrize("outcome", [True, False])
def test_outcomes_all_alike_are_refused(outcome: bool) -> None:
    with pytest.raises(AsOfError, match="of 5 customers churned"):
        metrics(np.full(5, outcome), np.linspace(0.1, 0.9, 5))
