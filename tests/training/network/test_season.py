"""The season: all rates times a power of what the year before promises."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from engine.activity import DailyActivity
from engine.instants import DAY_US
from kernels import SUMMARY_COLUMNS
from tests.training.conftest import AS_OF_US, FIRST_US, QUICK, MakeHistory, draw_orders
from training.inference import FittedModel, SingleForward, look_ahead
from training.network.season import first_powers, season_ahead
from training.network.situation import NOT_OF_THE_HEAD, SEASON_AHEAD, situation_of
from training.train import train
from training.trained import TrainedModel

_NUM = 7


def with_powers(model: FittedModel, *powers: float) -> FittedModel:
    network = copy.deepcopy(model.network)
    network.season.copy_(torch.tensor(powers))
    return replace(model, network=network)


def situations(*season: float) -> np.ndarray:
    """Raw, of some customers at one instant."""
    random = np.random.default_rng(0)
    summary = np.abs(random.normal(5, 2, (_NUM, len(SUMMARY_COLUMNS)))).astype(np.float32)
    activity = DailyActivity(first_day=AS_OF_US // DAY_US - 100, num_orders=np.full(100, 5))
    found = situation_of(summary, np.full(_NUM, AS_OF_US - DAY_US), np.full(_NUM, AS_OF_US), activity)
    found[:, SEASON_AHEAD] = season
    return found


@pytest.mark.parametrize(
    ("horizon_days", "expected"), [(7, (0.8, 0.0)), (28, (0.8, 0.0)), (91, (0.0, 0.8)), (365, (0.0, 0.8)), (59.5, (0.4, 0.4))]
)
def test_learning_begins_with_the_window_nearest_to_the_horizon(horizon_days: float, expected: tuple[float, float]) -> None:
    np.testing.assert_allclose(first_powers(horizon_days), expected, atol=1e-6)


def test_what_is_not_known_promises_nothing() -> None:
    np.testing.assert_array_equal(season_ahead(situations(np.nan, 0.3)), np.tile(np.float32([0.0, 0.3]), (_NUM, 1)))


def test_hazards_and_spend_are_multiplied_for_everybody(trained: TrainedModel) -> None:
    states = np.random.default_rng(1).normal(size=(_NUM, trained.model.state_size)).astype(np.float32)
    quiet, busy = situations(np.nan, np.nan), situations(0.4, 1.0)
    model = with_powers(trained.model, 0.5, 0.25)
    before, after = look_ahead(model, states, quiet), look_ahead(model, states, busy)
    assert (after.survival < before.survival).all()
    np.testing.assert_allclose(after.spend, before.spend * np.exp(0.45), rtol=1e-6)
    slope = model.calibration.slope
    hazards = [np.log(-np.log(outlook.survival)) for outlook in (before, after)]
    np.testing.assert_allclose(hazards[1] - hazards[0], 0.45 * slope, atol=1e-6)


@pytest.mark.parametrize("season", [(-0.6, 0.3), (np.nan, 0.3), (np.nan, np.nan)])
def test_one_customer_is_told_the_season_of_the_batch(trained: TrainedModel, season: tuple[float, float]) -> None:
    states = np.random.default_rng(1).normal(size=(_NUM, trained.model.state_size)).astype(np.float32)
    model, situation = with_powers(trained.model, 0.7, -0.2), situations(*season)
    outlook, forward = look_ahead(model, states, situation), SingleForward(model)
    for row in range(_NUM):
        alone = forward.look_ahead(states[row], situation[row])
        np.testing.assert_allclose(alone.survival[0], outlook.survival[row], atol=1e-6)
        np.testing.assert_allclose(alone.spend[0], outlook.spend[row], rtol=1e-5)


def test_a_log_that_shows_no_year_is_told_of_no_season(trained: TrainedModel) -> None:
    assert trained.model.network.season.tolist() == [0.0, 0.0]
    assert trained.model.season_level(situations(2.0, 2.0)).tolist() == [0.0] * _NUM


def test_a_long_log_learns_how_far_to_follow_the_year_before(make_history: MakeHistory) -> None:
    history = make_history(draw_orders(num_customers=300, num_days=620))
    model = train(history, as_of_us=FIRST_US + 600 * DAY_US, config=QUICK).model
    assert model.network.season[0] != 0  # of the month: the horizon is shorter
    assert not model.situation_normaliser.scale[list(NOT_OF_THE_HEAD)].any()
