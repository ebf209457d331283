"""Integrated gradients: against autograd, against values enumerated exactly, and by the laws that they keep."""

from __future__ import annotations

from itertools import product
from math import comb, factorial

import numpy as np
import pytest
import torch

from tests.training.reasons.conftest import Customers
from training.inference import FittedModel
from training.reasons import Usual
from training.reasons.attribution import TOLERANCE, Attribution, IntegratedGradients
from training.reasons.risk import HorizonRisk

HORIZON_DAYS = 17.5
NUM_GROUPS = 3


class Game:
    """Some customers, a baseline, and a risk; the groups join in shares of their way from the baseline to the customer."""

    def __init__(self, model: FittedModel, customers: Customers, usual: Usual, num_customers: int) -> None:
        inputs = customers.coordinates(model, usual)
        self.baseline = inputs.mean(dim=0, keepdim=True)
        self.inputs = inputs[:: len(inputs) // num_customers][:num_customers]
        self.risk = HorizonRisk(model, HORIZON_DAYS, usual.state_by_known)
        # The state, and two halves of what is known that know of each other.
        places = np.arange(self.inputs.shape[1])
        self.groups = np.where(places < model.state_size, 0, 1 + places % 2)

    def attribute(self) -> Attribution:
        gradients = IntegratedGradients(self.risk, self.baseline, self.groups)
        return gradients.attribute(self.inputs, np.zeros(len(self.inputs), np.int64))

    def worth(self, shares: tuple[float, ...]) -> np.ndarray:
        """The risk of each customer where each group has gone a share of its way."""
        gone = torch.tensor([shares[group] for group in self.groups], dtype=torch.float32)
        return self.risk.probability(self.risk.first_layer(self.baseline + gone * (self.inputs - self.baseline))).double().numpy()

    def shapley(self, num_steps: int) -> np.ndarray:
        """Exact Shapley values where every group comes as so many equal players: (num_customers, NUM_GROUPS).

        One step is Shapley's value (1953) of the groups; with more, it goes to the value of Aumann & Shapley (1974).
        """
        worth = {
            gone: self.worth(tuple(steps / num_steps for steps in gone))
            for gone in product(range(num_steps + 1), repeat=NUM_GROUPS)
        }
        num_players = NUM_GROUPS * num_steps
        values = np.zeros((len(self.inputs), NUM_GROUPS))
        for group, gone in product(range(NUM_GROUPS), worth):
            if gone[group] == num_steps:
                continue
            following = tuple(steps + (place == group) for place, steps in enumerate(gone))
            # Coalitions of so many players of each group, without the one who comes next.
            ways = np.prod([float(comb(num_steps - (place == group), steps)) for place, steps in enumerate(gone)])
            size = sum(gone)
            chance = factorial(size) * factorial(num_players - size - 1) / factorial(num_players)
            values[:, group] += num_steps * ways * chance * (worth[following] - worth[gone])
        return values


@pytest.fixture(scope="module")
def game(model: FittedModel, customers: Customers, usual: Usual) -> Game:
    return Game(model, customers, usual, num_customers=12)


def test_contributions_are_the_limit_of_shapley_values_enumerated_exactly(game: Game) -> None:
    found = game.attribute().contributions
    coarse, fine = game.shapley(8), game.shapley(16)
    # The enumeration itself is off by the inverse of the number of steps; the next term by its square.
    limit = 2 * fine - coarse
    assert np.abs(found).max() > 0.05  # there is something to share out
    assert np.abs(found - limit).max() <= 1e-3
    assert np.abs(found - fine).max() < np.abs(found - coarse).max()


def test_contributions_tell_the_same_story_as_plain_shapley_values(game: Game) -> None:
    found, exact = game.attribute().contributions, game.shapley(1)
    assert np.corrcoef(found.ravel(), exact.ravel())[0, 1] > 0.95


def test_contributions_are_those_of_a_fine_sum_over_autograd(game: Game) -> None:
    num_nodes = 2000
    places = (torch.arange(num_nodes) + 0.5) / num_nodes
    step = game.inputs - game.baseline
    points = (game.baseline + places[:, None, None] * step).flatten(0, 1).requires_grad_()
    (gradient,) = torch.autograd.grad(game.risk.probability(game.risk.first_layer(points)).sum(), points)
    by_input = (gradient.view(num_nodes, *step.shape).double().mean(dim=0) * step).numpy()
    expected = np.stack([by_input[:, game.groups == group].sum(axis=1) for group in range(NUM_GROUPS)], axis=1)
    assert np.abs(game.attribute().contributions - expected).max() <= 5e-4


def test_contributions_add_up_to_the_difference_for_every_customer(
    model: FittedModel, customers: Customers, usual: Usual
) -> None:
    everybody = Game(model, customers, usual, num_customers=len(customers.kept))
    found = everybody.attribute()
    difference = everybody.worth((1, 1, 1)) - everybody.worth((0, 0, 0))
    assert np.abs(found.contributions.sum(axis=1) - difference).max() <= 1e-3
    assert np.abs(found.residual).max() <= TOLERANCE
    np.testing.assert_allclose(found.probability, everybody.worth((1, 1, 1)), atol=1e-6)


def test_a_customer_who_is_the_baseline_has_no_contributions(game: Game) -> None:
    gradients = IntegratedGradients(game.risk, game.baseline, game.groups)
    found = gradients.attribute(game.baseline, np.zeros(1, np.int64))
    assert not found.contributions.any()
    assert not found.residual.any()


def test_a_customer_has_the_same_contributions_whoever_is_asked_about_beside(
    model: FittedModel, customers: Customers, usual: Usual
) -> None:
    game = Game(model, customers, usual, num_customers=len(customers.kept))
    gradients = IntegratedGradients(game.risk, game.baseline, game.groups)
    together = game.attribute().contributions
    alone = gradients.attribute(game.inputs[7:8], np.zeros(1, np.int64)).contributions
    np.testing.assert_allclose(together[7:8], alone, atol=1e-6)
