"""Judging expected spend, and the baselines it is judged beside."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from engine.history import History
from tests.training.conftest import AS_OF_US
from training.baselines.mbg_nbd import Histories, MbgNbd
from training.baselines.spend import expected_purchases, fit_gamma_gamma, spend_by_mbg_nbd, spend_by_past_rate
from training.data.past import take_past
from training.evaluation.value import value_metrics


def test_the_metrics_of_a_handful() -> None:
    found = value_metrics(np.array([0.0, 10.0, 20.0, 50.0]), np.array([5.0, 5.0, 30.0, 20.0]))
    assert found["mean_absolute_error"] == pytest.approx(12.5)
    assert found["root_mean_square_error"] == pytest.approx(np.sqrt((25 + 25 + 100 + 900) / 4))
    assert found["total_ratio"] == pytest.approx(0.75)
    assert found["spearman"] == pytest.approx(spearmanr([0, 10, 20, 50], [5, 5, 30, 20]).statistic)


def test_what_is_not_defined_is_not_a_number() -> None:
    found = value_metrics(np.zeros(3), np.ones(3))
    assert np.isnan(found["total_ratio"])
    assert np.isnan(found["spearman"])


def test_expected_purchases_are_those_of_simulated_customers() -> None:
    """Who is known by nothing but the first purchase, a moment ago: the prior, and the first chance to leave."""
    random, model, days = np.random.default_rng(0), MbgNbd(shape=0.8, scale_days=12.0, leave=1.2, stay=3.0), 60.0
    size = 40_000
    rate, leave = random.gamma(model.shape, 1 / model.scale_days, size), random.beta(model.leave, model.stay, size)
    stays = random.random(size) >= leave
    # Purchases until the one after which the customer leaves, or until the days are over.
    bought = np.minimum(random.poisson(rate * days), random.geometric(leave)) * stays
    seen = Histories(num_repeats=np.zeros(1), last_days=np.zeros(1), observed_days=np.zeros(1))
    assert expected_purchases(model, seen, days)[0] == pytest.approx(bought.mean(), rel=0.03)


def test_gamma_gamma_shrinks_a_customers_mean_order_to_that_of_the_others() -> None:
    random = np.random.default_rng(1)
    num_orders = random.integers(1, 12, 4000).astype(float)
    mean = 6.0 * 20.0 / random.gamma(5.0, 1.0, 4000)
    seen = random.gamma(6.0 * num_orders, mean / 6.0) / num_orders
    model = fit_gamma_gamma(num_orders, seen)
    assert (model.shape, model.mean_shape) == pytest.approx((6.0, 5.0), rel=0.15)
    foreseen = model.expected_mean(num_orders, seen)
    assert ((foreseen - mean) ** 2).mean() < 0.9 * ((seen - mean) ** 2).mean()
    assert foreseen.mean() == pytest.approx(mean.mean(), rel=0.05)


def test_the_baselines_speak_of_the_customers_that_were_asked_about(history: History) -> None:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    asked = np.arange(0, past.num_customers, 3, dtype=np.int64)
    lately = spend_by_past_rate(past, asked, AS_OF_US, 60, 30, has_amounts=True)
    is_order = (past.timestamp_us >= AS_OF_US - 60 * 86_400_000_000) & past.is_purchase
    for row in (0, 5, 20):
        own = slice(past.offsets[asked[row]], past.offsets[asked[row] + 1])
        assert lately[row] == pytest.approx(past.amount_minor[own][is_order[own]].sum() / 200)
    short, long = spend_by_mbg_nbd(past, asked, AS_OF_US, (30, 90), has_amounts=True)
    assert short.shape == asked.shape
    assert (short > 0).all()
    assert (short < long).all()
    assert (long < 3 * short + 1e-9).all()
