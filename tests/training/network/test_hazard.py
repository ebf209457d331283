"""The likelihood beside a plain-Python version of it, and what censoring leaves of a bin."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.network.hazard import (
    bin_hazards,
    bin_widths,
    count_survived_bins,
    cumulative_at,
    horizon_cross_entropy,
    negative_log_likelihood,
)

EDGES = np.array([1.0, 3.0, 7.0, 30.0])


def plain_loss(log_rates: list[float], wait_days: float, known_days: float) -> float:
    """-log of the probability of what is known, bin by bin, with hazards as probabilities."""
    loss, start = 0.0, 0.0
    for log_rate, edge in zip(log_rates, EDGES, strict=True):
        if edge > known_days:
            return loss
        hazard = -math.expm1(-math.exp(log_rate) * (edge - start))
        if wait_days < edge:
            return loss - math.log(hazard)
        loss += math.exp(log_rate) * (edge - start)  # -log(1 - hazard), which rounding spoils near 1
        start = edge
    return loss


@given(
    rates=st.lists(st.floats(-4, 1), min_size=4, max_size=4),
    wait_days=st.one_of(st.floats(0, 40), st.sampled_from([1.0, 3.0, 7.0, 30.0, math.inf])),
    known_days=st.one_of(st.floats(0, 40), st.sampled_from([1.0, 3.0, 7.0, 30.0])),
)
def test_loss_equals_the_obvious_one(rates: list[float], wait_days: float, known_days: float) -> None:
    if wait_days >= known_days:
        wait_days = math.inf
    num_survived, purchased = count_survived_bins(np.array([wait_days]), np.array([known_days]), EDGES)
    mass = bin_hazards(torch.tensor([rates], dtype=torch.float64), torch.from_numpy(bin_widths(EDGES)))
    loss = negative_log_likelihood(mass, torch.from_numpy(num_survived), torch.from_numpy(purchased))
    assert float(loss) == pytest.approx(plain_loss(rates, wait_days, known_days), abs=1e-9)


@pytest.mark.parametrize(
    ("wait_days", "known_days", "num_survived", "purchased"),
    [
        (0.0, 100.0, 0, True),
        (1.0, 100.0, 1, True),  # at the edge: [instant, instant + 1 day) was without a purchase
        (6.9, 100.0, 2, True),
        (30.0, 100.0, 4, False),  # after the last edge
        (math.inf, 100.0, 4, False),
        (math.inf, 6.9, 2, False),  # the third bin reaches beyond what is known
        (5.0, 6.9, 2, False),  # and tells nothing even with its purchase seen
        (0.5, 0.9, 0, False),
        (math.inf, 3.0, 2, False),
    ],
)
def test_a_bin_counts_only_when_wholly_known(wait_days: float, known_days: float, num_survived: int, purchased: bool) -> None:
    found = count_survived_bins(np.array([wait_days]), np.array([known_days]), EDGES)
    assert (found[0][0], found[1][0]) == (num_survived, purchased)


def test_censored_data_give_back_the_rate_that_made_them() -> None:
    random = np.random.default_rng(0)
    wait, known = random.exponential(10.0, 40_000), random.uniform(0, 40, 40_000)
    num_survived, purchased = count_survived_bins(np.where(wait < known, wait, np.inf), known, EDGES)
    log_rate = torch.zeros(1, 4, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([log_rate], max_iter=100)

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        mass = bin_hazards(log_rate, torch.from_numpy(bin_widths(EDGES))).expand(len(wait), 4)
        total = negative_log_likelihood(mass, torch.from_numpy(num_survived), torch.from_numpy(purchased)).mean()
        total.backward()
        return total

    optimiser.step(loss)
    assert torch.exp(log_rate.detach())[0].numpy() == pytest.approx(np.full(4, 0.1), rel=0.06)


def test_survival_never_rises_and_stays_finite_for_extreme_rates() -> None:
    log_rate = torch.tensor([[-1e9, -50.0, 0.0, 1e9], [1e9, 1e9, -1e9, 0.0]])
    mass = bin_hazards(log_rate, torch.from_numpy(bin_widths(EDGES)).float())
    survival = torch.exp(-mass.double().cumsum(dim=1))
    assert torch.isfinite(survival).all()
    assert all((later <= earlier).all() for earlier, later in pairwise(survival.T))
    assert torch.isfinite(negative_log_likelihood(mass, torch.tensor([3, 0]), torch.tensor([True, True]))).all()


def test_the_horizon_may_lie_inside_a_bin() -> None:
    mass = torch.tensor([[1.0, 2.0, 4.0, 23.0]])
    assert float(cumulative_at(mass, EDGES, 7)) == pytest.approx(7.0)
    assert float(cumulative_at(mass, EDGES, 5)) == pytest.approx(5.0)
    assert float(cumulative_at(mass, EDGES, 0.5)) == pytest.approx(0.5)


def test_cross_entropy_at_the_horizon_is_of_survival() -> None:
    cumulative = torch.tensor([0.7, 0.7, 0.7])
    loss = horizon_cross_entropy(cumulative, torch.tensor([True, False, True]), torch.tensor([True, True, False]))
    assert loss.numpy() == pytest.approx([0.7, -math.log(1 - math.exp(-0.7)), 0.0], rel=1e-6)
