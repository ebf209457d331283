"""Expected maximum profit beside the published implementation and numeric integration."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta

from engine.errors import InvalidArgumentError
from training.evaluation.profit import ProfitConfig, expected_maximum_profit


def _profit(churned: np.ndarray, probability: np.ndarray, config: ProfitConfig) -> float:
    codes = np.unique(probability, return_inverse=True)[1]
    bad, good = np.bincount(codes, churned), np.bincount(codes, ~churned)
    return float(expected_maximum_profit(bad[None, :].astype(float), good[None, :].astype(float), config)[0])


def test_the_example_of_the_published_implementation() -> None:
    # Documented for empulse.metrics.empc_score, which follows the authors' R package EMP.
    churned = np.array([0, 1, 0, 1, 0, 1, 0, 1]) == 1
    probability = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.8, 0.9])
    assert _profit(churned, probability, ProfitConfig()) == pytest.approx(23.875593418348124, rel=1e-12)


@pytest.mark.parametrize(
    "config",
    [
        ProfitConfig(),
        ProfitConfig(accept_alpha=2, accept_beta=2, customer_value=60, offer_cost=15, contact_cost=4),
        ProfitConfig(customer_value=1000, offer_cost=0, contact_cost=0.5),
    ],
)
def test_it_is_the_integral_over_the_chance_to_accept(config: ProfitConfig) -> None:
    random = np.random.default_rng(0)
    probability = np.round(random.beta(1, 4, 120), 2)
    churned = random.random(120) < probability
    thresholds = np.append(np.unique(probability), 2.0)

    # Equally likely chances to accept, and for each the best of all thresholds, as the source defines it.
    chance = beta(config.accept_alpha, config.accept_beta).ppf((np.arange(20_000) + 0.5) / 20_000)
    gained = chance * (config.customer_value - config.offer_cost) - config.contact_cost
    best = np.zeros(len(chance))
    for threshold in thresholds:
        called = probability >= threshold
        found, vain = (called & churned).mean(), (called & ~churned).mean()
        best = np.maximum(best, gained * found - (config.offer_cost + config.contact_cost) * vain)
    assert _profit(churned, probability, config) == pytest.approx(best.mean(), rel=1e-4)


def test_contacting_nobody_is_free() -> None:
    dear = ProfitConfig(customer_value=12, offer_cost=10, contact_cost=50)
    assert _profit(np.array([True, False]), np.array([0.2, 0.8]), dear) == 0.0


@pytest.mark.parametrize("wrong", [{"customer_value": 0.0}, {"offer_cost": -1.0}, {"offer_cost": 300.0}, {"accept_beta": 0.0}])
def test_costs_that_make_no_sense_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        ProfitConfig(**wrong)
