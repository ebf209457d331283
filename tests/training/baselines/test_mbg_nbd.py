"""MBG/NBD: formulas beside numeric integration, parameters beside those that customers were drawn with."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import beta, gamma

from engine.history import History
from tests.training.conftest import AS_OF_US
from training.baselines import pose_question
from training.baselines.mbg_nbd import Histories, MbgNbd, fit_mbg_nbd, predict_by_mbg_nbd, see_histories
from training.data.past import take_past

# What BTYDplus and lifetimes give for CDNOW's 2,357 customers, in weeks; our fit of the same data is in docs/log.md.
CDNOW = MbgNbd(shape=0.525, scale_days=6.183, leave=0.891, stay=1.614)


def _one(num_repeats: float, last: float, observed: float) -> Histories:
    return Histories(num_repeats=np.array([num_repeats]), last_days=np.array([last]), observed_days=np.array([observed]))


@pytest.mark.parametrize("seen", [(0, 0.0, 30.0), (2, 20.0, 30.0), (5, 29.0, 30.0)])
def test_formulas_are_the_integrals_over_rate_and_chance_to_leave(seen: tuple[int, float, float]) -> None:
    num, last, observed = seen
    # The mean over many equally likely rates, and over chances to leave: the integrals by the midpoint rule.
    rate = gamma(CDNOW.shape, scale=1 / CDNOW.scale_days).ppf((np.arange(40_000) + 0.5) / 40_000)
    chance = beta(CDNOW.leave, CDNOW.stay).ppf((np.arange(2_000) + 0.5) / 2_000)

    def integral(weight_alive: float, horizon: float, weight_gone: float) -> float:
        alive = ((1 - chance) ** (num + 1)).mean() * (rate**num * np.exp(-rate * (observed + horizon))).mean()
        gone = (chance * (1 - chance) ** num).mean() * (rate**num * np.exp(-rate * last)).mean()
        return float(weight_alive * alive + weight_gone * gone)

    history = _one(*seen)
    likelihood = integral(1, 0, 1)
    assert CDNOW.log_likelihood(history)[0] == pytest.approx(np.log(likelihood), abs=2e-3)
    assert CDNOW.alive(history)[0] == pytest.approx(integral(1, 0, 0) / likelihood, abs=2e-3)
    assert CDNOW.no_purchase(history, 10.0)[0] == pytest.approx(integral(1, 10.0, 1) / likelihood, abs=2e-3)


def test_who_bought_once_is_not_sure_to_be_alive() -> None:
    assert CDNOW.alive(_one(0, 0.0, 1e-6))[0] == pytest.approx(CDNOW.stay / (CDNOW.leave + CDNOW.stay))
    assert CDNOW.alive(_one(0, 0.0, 500.0))[0] < 0.2


def test_parameters_and_silence_of_simulated_customers_are_found_again() -> None:
    seen, later = _simulate(CDNOW, num_customers=12_000, observed=39.0, horizon=13.0)
    fitted = fit_mbg_nbd(seen)
    # Twice the gain in log likelihood over the truth follows chi-square of 4 degrees: above 0, and below 18.5 in 999 of 1,000.
    gain = 2 * (fitted.log_likelihood(seen).sum() - CDNOW.log_likelihood(seen).sum())
    assert 0 <= gain < 18.5
    assert fitted.shape == pytest.approx(CDNOW.shape, rel=0.3)
    assert fitted.scale_days == pytest.approx(CDNOW.scale_days, rel=0.3)
    mean_leave = fitted.leave / (fitted.leave + fitted.stay)
    assert mean_leave == pytest.approx(CDNOW.leave / (CDNOW.leave + CDNOW.stay), rel=0.2)
    silent = fitted.no_purchase(seen, 13.0)
    for group in np.array_split(np.argsort(silent), 5):
        assert silent[group].mean() == pytest.approx((later[group] == 0).mean(), abs=0.03)


def test_several_purchases_of_a_day_count_once(history: History) -> None:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    customers = np.arange(0, past.num_customers, 7)
    seen = see_histories(past, customers, AS_OF_US)
    for place, customer in enumerate(customers):
        rows = slice(past.offsets[customer], past.offsets[customer + 1])
        days = np.unique(past.timestamp_us[rows][past.is_purchase[rows]] // 86_400_000_000)
        assert seen.num_repeats[place] == len(days) - 1
    assert (seen.last_days <= seen.observed_days).all()


def test_it_ranks_the_customers_of_a_chain(history: History) -> None:
    question = pose_question(
        take_past(history.partitions(), before_us=AS_OF_US), as_of_us=AS_OF_US, horizon_days=14, active_within_days=60
    )
    probability = predict_by_mbg_nbd(question)
    assert probability.shape == question.customer_index.shape
    assert ((probability > 0) & (probability < 1)).all()
    assert np.ptp(probability) > 0.2


def _simulate(model: MbgNbd, *, num_customers: int, observed: float, horizon: float) -> tuple[Histories, np.ndarray]:
    random = np.random.default_rng(0)
    rate = random.gamma(model.shape, 1 / model.scale_days, num_customers)
    leave = random.beta(model.leave, model.stay, num_customers)
    num, last, later = np.zeros(num_customers), np.zeros(num_customers), np.zeros(num_customers)
    at = np.zeros(num_customers)
    active = random.random(num_customers) >= leave
    while active.any():
        at = at + random.exponential(1 / rate)
        active &= at < observed + horizon
        before = active & (at < observed)
        num += before
        last = np.where(before, at, last)
        later += active & ~before
        active &= random.random(num_customers) >= leave
    return Histories(num_repeats=num, last_days=last, observed_days=np.full(num_customers, observed)), later
