"""The risk and its gradient, written out: as the forward path and autograd have them."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.training.reasons.conftest import Customers
from training.inference import FittedModel, look_ahead
from training.network.calibration import Calibration
from training.network.situation import SEASON_AHEAD
from training.predict import churn_probability
from training.reasons import Usual
from training.reasons.risk import HorizonRisk


def with_season(model: FittedModel) -> FittedModel:
    network = copy.deepcopy(model.network)
    network.season.copy_(torch.tensor([0.5, 0.25]))
    return replace(model, network=network)


HORIZONS = pytest.mark.parametrize("horizon_days", [0.5, 1, 14, 17.5, 365])


@HORIZONS
def test_the_risk_is_the_churn_probability_of_the_forward_path(
    model: FittedModel, customers: Customers, usual: Usual, horizon_days: float
) -> None:
    model = replace(model, calibration=Calibration(shift=0.2, slope=0.8))
    situation = customers.situation
    risk = HorizonRisk(model, horizon_days, usual.state_by_known)
    found = risk.probability(risk.first_layer(customers.coordinates(model, usual)))
    curves = look_ahead(model, customers.kept.states, situation).survival
    expected = churn_probability(model.edges_days, np.maximum(curves, 1e-300), horizon_days)
    np.testing.assert_allclose(found.detach().numpy(), expected, atol=2e-6)


def test_the_season_is_in_the_risk_as_in_the_forward_path(model: FittedModel, customers: Customers, usual: Usual) -> None:
    model = with_season(model)
    situation = customers.situation
    situation[:, SEASON_AHEAD] = (0.3, -0.8)
    (level,) = set(model.season_level(situation))
    assert level == pytest.approx(0.5 * 0.3 - 0.25 * 0.8)
    risk = HorizonRisk(model, 14, usual.state_by_known, season_level=float(level))
    found = risk.probability(risk.first_layer(customers.coordinates(model, usual)))
    curves = look_ahead(model, customers.kept.states, situation).survival
    np.testing.assert_allclose(found.numpy(), churn_probability(model.edges_days, curves, 14), atol=2e-6)


@HORIZONS
def test_the_gradient_is_that_of_autograd(model: FittedModel, customers: Customers, usual: Usual, horizon_days: float) -> None:
    model = replace(model, calibration=Calibration(shift=-0.1, slope=1.3))
    risk = HorizonRisk(model, horizon_days, usual.state_by_known)
    first = risk.first_layer(customers.coordinates(model, usual)).detach().requires_grad_()
    (expected,) = torch.autograd.grad(risk.probability(first).sum(), first)
    np.testing.assert_allclose(risk.gradient(first.detach()).numpy(), expected.numpy(), atol=1e-6)


def test_states_that_go_with_what_is_known_change_the_coordinates_and_not_the_risk(
    model: FittedModel, customers: Customers, usual: Usual
) -> None:
    states = torch.from_numpy(customers.kept.states)
    head_inputs = torch.cat([states, torch.from_numpy(model.situation_normaliser.apply(customers.situation))], dim=1)
    coordinates = customers.coordinates(model, usual)
    own = slice(model.state_size)
    assert coordinates[:, own].var(dim=0).sum() < 0.6 * states.var(dim=0).sum()  # some of the state is told by what is known
    found = HorizonRisk(model, 14, usual.state_by_known).first_layer(coordinates)
    expected = model.network.body[0](head_inputs).detach()
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-4)


def test_where_rates_and_hazards_are_at_their_limits_the_gradient_is_none(model: FittedModel, usual: Usual) -> None:
    risk = HorizonRisk(model, 14, usual.state_by_known)
    extreme = torch.tensor([[1e6], [-1e6]]).repeat(1, model.config.model.head_size).requires_grad_()
    (expected,) = torch.autograd.grad(risk.probability(extreme).sum(), extreme)
    found = risk.gradient(extreme.detach())
    assert torch.isfinite(found).all()
    np.testing.assert_allclose(found.numpy(), expected.numpy(), atol=1e-6)
