"""One customer at a time: the numbers of the batch."""

from __future__ import annotations

import numpy as np
import pytest

from engine.history import History
from engine.history.customers import CustomerLookup
from engine.instants import DAY_US
from training.inference import SingleForward, encode_states, look_ahead
from training.network.hazard import bin_widths
from training.network.situation import (
    NUM_SITUATION_FEATURES,
    SITUATION_NAMES,
    describe_situation,
    situation_of,
    situation_of_one,
    summarise,
)
from training.network.spend import SpendScale
from training.predict import (
    churn_probability,
    churn_probability_of_one,
    clip_survival,
    expected_days_of_one,
    expected_days_to_purchase,
)
from training.trained import TrainedModel


@pytest.mark.parametrize("num_first", [0, 3])
def test_one_customer_has_the_state_and_the_outlook_of_the_batch(trained: TrainedModel, history: History, num_first: int) -> None:
    partition, activity, model = history.partition(0), history.activity(), trained.model
    customers = np.arange(min(partition.num_customers, 40))
    begin, end = partition.offsets[customers], partition.offsets[customers + 1]
    instants = np.full(len(customers), int(partition.timestamp_us.max()) + 1)
    states = encode_states(model, partition, customers, begin, end)
    situation = describe_situation(partition, activity, customers, instants)
    outlook = look_ahead(model, states, situation)

    lookup, forward = CustomerLookup(history), SingleForward(model)
    middle = np.minimum(begin + num_first, end)
    halves = encode_states(model, partition, customers, begin, middle)
    for row in customers:
        found = lookup.find(partition.customer_ids[int(row)].as_py(), 0, settled={})
        assert found is not None
        alone = found.events.to_partition(partition.coverage)
        state = forward.roll(halves[row], alone, int(middle[row] - begin[row]), int(end[row] - begin[row]))
        assert np.abs(state - states[row]).max() <= 1e-6
        ahead = forward.look_ahead(state, situation[row])
        assert np.abs(ahead.survival[0] - outlook.survival[row]).max() <= 1e-6
        assert np.allclose(ahead.spend[0], outlook.spend[row], rtol=1e-5)


def test_nothing_to_roll_over_leaves_the_state_as_it_is(trained: TrainedModel, history: History) -> None:
    state = np.ones(trained.model.state_size, np.float32)
    assert SingleForward(trained.model).roll(state, history.partition(0), 2, 2) is state


def test_one_situation_is_that_of_many(history: History) -> None:
    partition, activity = history.partition(0), history.activity()
    customers = np.arange(min(partition.num_customers, 20))
    last_us = int(partition.timestamp_us.max())
    for as_of_us in (
        last_us + 1,
        last_us - 40 * DAY_US + 12345,
        last_us + 300 * DAY_US,
        int(partition.timestamp_us.min()) - DAY_US,
    ):
        instants = np.full(len(customers), as_of_us)
        summary, last_event_us = summarise(partition, customers, instants)
        together = situation_of(summary, last_event_us, instants, activity)
        for row in customers:
            alone = situation_of_one(summary[row : row + 1], int(last_event_us[row]), as_of_us, activity)
            np.testing.assert_allclose(alone[0], together[row], rtol=1e-6, atol=1e-6)


def test_one_curve_is_read_as_many_are(trained: TrainedModel) -> None:
    edges_days = trained.model.edges_days
    drawn = np.random.default_rng(0).uniform(0, 0.5, (20, len(edges_days))) * np.linspace(0, 1, 20)[:, None]  # the first is flat
    survival = clip_survival(np.exp(-np.cumsum(drawn, axis=1)))
    together = expected_days_to_purchase(edges_days, survival)
    alone = [expected_days_of_one(bin_widths(edges_days), row) for row in survival]
    np.testing.assert_allclose(alone, together, rtol=1e-12)
    for horizon_days in (0.5, edges_days[0], 13.0, edges_days[-1]):
        at_horizon = [churn_probability_of_one(edges_days, row, horizon_days) for row in survival]
        np.testing.assert_allclose(at_horizon, churn_probability(edges_days, survival, horizon_days), rtol=1e-12)


@pytest.mark.parametrize("has_amounts", [True, False])
def test_one_usual_order_is_that_of_many(has_amounts: bool) -> None:
    scale = SpendScale(has_amounts=has_amounts, mean=20.0, highest=100.0, weight=1.1)
    generator = np.random.default_rng(0)
    situation = generator.uniform(-1, 6, (50, NUM_SITUATION_FEATURES)).astype(np.float32)
    places = [SITUATION_NAMES.index(name) for name in ("basket_90d", "orders_90d")]
    situation[:, places[1]] = np.abs(situation[:, places[1]])
    situation[:5, places[0]] = np.nan
    alone = [scale.usual_order_of_one(row) for row in situation]
    np.testing.assert_allclose(alone, scale.usual_order(situation), rtol=1e-6)
