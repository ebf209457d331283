"""Expected spend: the loss beside a plain version of it, what is known of a bin, and a head that gets the level right."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from numpy.typing import NDArray

from engine.errors import InvalidArgumentError
from engine.history import History
from engine.instants import DAY_US
from engine.labels import eligible
from tests.training.conftest import AS_OF_US, FIRST_US, QUICK, MakeHistory
from training.data.past import take_past
from training.fitting import batches, fit_weights
from training.inference import FittedModel, Outlook, outlook_at
from training.network.hazard import bin_widths
from training.network.situation import NUM_SITUATION_FEATURES
from training.network.spend import (
    SpendScale,
    bin_spend,
    expected_spend,
    fit_spend_scale,
    quasi_poisson_loss,
    spend_targets,
    spent_within,
)

EDGES = np.array([1.0, 3.0, 7.0, 30.0])
NUM_DAYS = 240


@pytest.fixture(scope="module")
def steady(make_history: MakeHistory) -> History:
    """200 customers who never stop; those of odd number pay twice as much an order, at the same pace."""
    return make_history(_steady_orders(with_amounts=True), num_buckets=1)


@pytest.fixture(scope="module")
def fitted(steady: History) -> FittedModel:
    return _fit(steady)


def _steady_orders(*, with_amounts: bool) -> dict[str, pa.Array]:
    random = np.random.default_rng(0)
    customers, instants, amounts = [], [], []
    for customer in range(200):
        days = np.cumsum(0.01 + random.exponential(8.0, 120))
        days = days[days < NUM_DAYS]
        customers += [customer] * len(days)
        instants += (FIRST_US + (days * DAY_US).astype(np.int64)).tolist()
        amounts += np.round(random.lognormal(3, 0.5, len(days)) * (1 + customer % 2), 2).tolist()
    columns = {"customer_id": pa.array(customers, pa.int64()), "timestamp": pa.array(instants, pa.timestamp("us"))}
    return columns | ({"amount": pa.array(amounts, pa.float64())} if with_amounts else {})


def _fit(history: History, *, num_epochs: int = 3) -> FittedModel:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    config = replace(QUICK, num_epochs=num_epochs, instants_per_epoch=8)
    return fit_weights(past, history.activity(), config, known_until_us=AS_OF_US, on_epoch=lambda *_: None)


def _outlook(history: History, model: FittedModel) -> tuple[NDArray[np.int64], Outlook]:
    partition = history.partition(0)
    customers = eligible(partition, AS_OF_US, 60)
    instants = np.full(len(customers), AS_OF_US, np.int64)
    return customers, outlook_at(model, partition, history.activity(), customers, instants)


def test_the_loss_is_that_of_a_plain_quasi_poisson_likelihood_of_the_known_bins() -> None:
    random = np.random.default_rng(0)
    log_rate, spent, usual = random.normal(size=(5, 4)), random.gamma(0.5, 3.0, (5, 4)), random.gamma(3.0, 0.4, 5)
    num_known = [4, 0, 2, 3, 1]
    expected = bin_spend(torch.tensor(log_rate), torch.tensor(np.log(usual)), torch.tensor(bin_widths(EDGES)))
    losses = quasi_poisson_loss(expected, torch.tensor(spent), torch.tensor(num_known))
    for row, found in enumerate(losses.tolist()):
        plain, start = 0.0, 0.0
        for place, edge in enumerate(EDGES[: num_known[row]]):
            mean = usual[row] * math.exp(log_rate[row, place]) * (edge - start)
            plain += mean - spent[row, place] * math.log(mean)
            start = edge
        assert found == pytest.approx(plain)


def test_the_loss_is_least_where_the_expected_total_is_the_real_one() -> None:
    spent = torch.tensor(np.random.default_rng(1).pareto(1.5, (400, 1)))
    known, no_offset, day = torch.ones(400, dtype=torch.int64), torch.zeros(400), torch.ones(1)

    def loss_at(level: float) -> float:
        log_rate = torch.full((400, 1), math.log(level), dtype=torch.float64)
        return float(quasi_poisson_loss(bin_spend(log_rate, no_offset, day), spent, known).mean())

    mean = float(spent.mean())
    assert loss_at(mean) < min(loss_at(0.99 * mean), loss_at(1.01 * mean))


def test_only_bins_that_are_known_to_their_end_count_and_only_their_purchases(steady: History) -> None:
    past = take_past(steady.partitions(), before_us=AS_OF_US)
    scale = SpendScale(has_amounts=True, mean=10.0, highest=50.0, weight=1.0)
    customers = np.arange(20, dtype=np.int64)
    known_days = np.linspace(0.5, 40.0, 20)
    instants = AS_OF_US - np.round(known_days * DAY_US).astype(np.int64)
    nothing = np.full((20, NUM_SITUATION_FEATURES), np.nan, np.float32)
    found = spend_targets(past, scale, customers, instants, known_days, nothing, EDGES)
    for row, customer in enumerate(customers):
        events = slice(past.offsets[customer], past.offsets[customer + 1])
        ahead = (past.timestamp_us[events] - instants[row]) / DAY_US
        counted = np.minimum(past.amount_minor[events] / 100, 50.0) / 10.0
        assert found.num_known[row] == sum(edge <= known_days[row] for edge in EDGES)
        for place, (low, high) in enumerate(zip([0.0, *EDGES], EDGES, strict=False)):
            assert found.spent[row, place] == pytest.approx(counted[(ahead >= low) & (ahead < high)].sum(), rel=1e-5, abs=1e-9)
    assert (found.log_usual == 0).all()


def test_orders_out_of_all_proportion_count_for_less_and_the_total_stays(steady: History) -> None:
    past = take_past(steady.partitions(), before_us=AS_OF_US)
    amounts = past.amount_minor.copy()
    amounts[7] = 10_000_000
    scale = fit_spend_scale(replace(past, amount_minor=amounts))
    assert scale.highest < 1000.0
    assert (np.minimum(amounts / 100, scale.highest) * scale.weight).sum() == pytest.approx(amounts.sum() / 100)


def test_the_total_is_right_on_days_that_were_not_seen(steady: History, fitted: FittedModel) -> None:
    customers, outlook = _outlook(steady, fitted)
    for days in (14, 45):
        spent = spent_within(steady.partition(0), customers, AS_OF_US, days, has_amounts=True)
        assert expected_spend(fitted.edges_days, outlook.spend, days).sum() / spent.sum() == pytest.approx(1.0, abs=0.12)


def test_who_pays_twice_as_much_is_expected_to_spend_about_twice_as_much(steady: History, fitted: FittedModel) -> None:
    customers, outlook = _outlook(steady, fitted)
    expected = expected_spend(fitted.edges_days, outlook.spend, 90)
    is_dear = np.asarray(steady.partition(0).customer_ids.take(pa.array(customers)).to_pylist(), np.int64) % 2 == 1
    assert expected[is_dear].mean() / expected[~is_dear].mean() == pytest.approx(2.0, abs=0.35)


def test_without_amounts_orders_are_expected(make_history: MakeHistory) -> None:
    history = make_history(_steady_orders(with_amounts=False), num_buckets=1)
    model = _fit(history)
    assert model.spend_scale == SpendScale(has_amounts=False, mean=1.0, highest=1.0, weight=1.0)
    customers, outlook = _outlook(history, model)
    num_orders = spent_within(history.partition(0), customers, AS_OF_US, 30, has_amounts=False)
    assert (num_orders == np.round(num_orders)).all()
    assert expected_spend(model.edges_days, outlook.spend, 30).mean() == pytest.approx(num_orders.mean(), rel=0.12)


def test_churn_is_learnt_to_the_bit_as_if_there_were_no_spend(steady: History, monkeypatch: pytest.MonkeyPatch) -> None:
    weights = _fit(steady, num_epochs=1).network.state_dict()
    monkeypatch.setattr(batches, "quasi_poisson_loss", lambda expected, spent, num_known: 0.0 * expected.sum(dim=1))
    without = _fit(steady, num_epochs=1).network.state_dict()
    for name, found in weights.items():
        assert torch.equal(found, without[name]) != name.startswith("spend_"), name


def test_spend_grows_with_the_days_and_goes_on_beyond_what_was_seen(steady: History, fitted: FittedModel) -> None:
    _, outlook = _outlook(steady, fitted)
    assert (np.diff(outlook.spend, axis=1, prepend=0.0) > 0).all()
    last_year, last_quarter = (expected_spend(fitted.edges_days, outlook.spend, days) for days in (365, 270))
    # Of half a year of past the bins beyond 180 days show nothing: the daily rate of the last seen one goes on.
    rate = (last_year - last_quarter) / 95
    assert np.allclose(expected_spend(fitted.edges_days, outlook.spend, 400), last_year + 35 * rate, rtol=1e-4)
    assert np.allclose(outlook.spend[:, -1] - outlook.spend[:, -3], 185 * rate, rtol=1e-4)


def test_what_comes_later_does_not_change_it_by_a_bit(steady: History, fitted: FittedModel) -> None:
    customers, outlook = _outlook(steady, fitted)
    past = take_past(steady.partitions(), before_us=AS_OF_US)
    instants = np.full(len(customers), AS_OF_US, np.int64)
    assert past.num_customers == steady.partition(0).num_customers
    assert (outlook_at(fitted, past, steady.activity(), customers, instants).spend == outlook.spend).all()


def test_spend_grows_evenly_inside_a_bin() -> None:
    spend = np.array([[1.0, 3.0, 11.0, 11.0]])
    days = [0.5, 1, 2, 3, 5, 30, 60]
    assert [expected_spend(EDGES, spend, ahead)[0] for ahead in days] == pytest.approx([0.5, 1, 2, 3, 7, 11, 11])
    with pytest.raises(InvalidArgumentError, match="more than 0"):
        expected_spend(EDGES, spend, 0)
