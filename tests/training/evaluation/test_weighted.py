"""Weighted metrics beside scikit-learn's sample weights, and beside customers written out as often as they count."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from training.evaluation.metrics import measure_everybody
from training.evaluation.weighted import Ranking


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num=st.integers(12, 80), decimals=st.sampled_from([1, 2, 8]))
def test_a_weight_is_worth_as_many_customers(seed: int, num: int, decimals: int) -> None:
    random = np.random.default_rng(seed)
    probability = np.clip(np.round(random.random(num), decimals), 0.01, 0.99)  # with few decimals there are ties
    churned = random.random(num) < 0.4
    churned[:2] = True, False
    weights = random.integers(0, 4, num).astype(np.float64)
    weights[:2] = 1.0
    found = {name: values[0] for name, values in Ranking(churned, probability).measure(weights[None, :]).items()}
    assert found["auc"] == pytest.approx(roc_auc_score(churned, probability, sample_weight=weights))
    assert found["average_precision"] == pytest.approx(average_precision_score(churned, probability, sample_weight=weights))
    assert found["average_precision_retained"] == pytest.approx(
        average_precision_score(~churned, -probability, sample_weight=weights)
    )
    assert found["brier"] == pytest.approx(brier_score_loss(churned, probability, sample_weight=weights))
    assert found["log_loss"] == pytest.approx(log_loss(churned, probability, sample_weight=weights))
    times = weights.astype(np.int64)
    written_out = measure_everybody(Ranking(np.repeat(churned, times), np.repeat(probability, times)))
    assert found["top_decile_lift"] == pytest.approx(written_out["top_decile_lift"])
    assert found["expected_maximum_profit"] == pytest.approx(written_out["expected_maximum_profit"])
    if decimals == 8:  # which of the tied falls into which group is not defined
        assert found["ece"] == pytest.approx(written_out["ece"])


def test_one_newton_step_is_near_the_line_fitted_anew() -> None:
    random = np.random.default_rng(3)
    probability = random.beta(1, 4, 3000)
    churned = random.random(3000) < probability
    chosen = random.integers(0, 3000, 3000)
    weights = np.bincount(chosen, minlength=3000).astype(np.float64)
    by_step = Ranking(churned, probability).measure(weights[None, :])
    anew = measure_everybody(Ranking(churned[chosen], probability[chosen]))
    assert by_step["calibration_slope"][0] == pytest.approx(anew["calibration_slope"], abs=0.01)
    assert by_step["calibration_intercept"][0] == pytest.approx(anew["calibration_intercept"], abs=0.02)


def test_a_weighting_without_churners_is_not_defined() -> None:
    churned = np.array([True, False, False])
    found = Ranking(churned, np.array([0.7, 0.2, 0.1])).measure(np.array([[0.0, 1.0, 2.0]]))
    assert np.isnan(found["auc"][0])
    assert np.isfinite(found["brier"][0])
