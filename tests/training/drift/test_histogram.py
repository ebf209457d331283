"""Histograms keep shares alone; the stability index is what a hand computes, and obeys its laws."""

from __future__ import annotations

from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.errors import InvalidArgumentError
from training.drift.histogram import Histogram, fit_histogram, stability_index


def test_the_index_is_that_of_a_hand_computed_example() -> None:
    # (.3 - .2) ln(.3 / .2) + (.5 - .5) ln 1 + (.2 - .3) ln(.2 / .3) = .1 (.405465) + 0 + .1 (.405465)
    assert stability_index((0.2, 0.5, 0.3), (0.3, 0.5, 0.2)) == pytest.approx(0.0810930, abs=1e-7)


def test_an_empty_bin_counts_as_a_ten_thousandth() -> None:
    assert stability_index((0.0, 1.0), (0.5, 0.5)) == pytest.approx(0.4999 * log(5000) - 0.5 * log(0.5))


def shares(num_bins: int) -> st.SearchStrategy[tuple[float, ...]]:
    counts = st.lists(st.integers(0, 1000), min_size=num_bins, max_size=num_bins).filter(any)
    return counts.map(lambda found: tuple(count / sum(found) for count in found))


@given(st.integers(2, 12).flatmap(lambda num_bins: st.tuples(shares(num_bins), shares(num_bins))))
def test_the_index_is_symmetric_and_zero_for_the_same_alone(pair: tuple[tuple[float, ...], tuple[float, ...]]) -> None:
    one, other = pair
    assert stability_index(one, one) == 0.0
    assert stability_index(one, other) == pytest.approx(stability_index(other, one))
    if max(abs(a - b) for a, b in zip(one, other, strict=True)) > 1e-3:
        assert stability_index(one, other) > 0


@given(hnp.arrays(np.float32, st.integers(1, 400), elements=st.floats(width=32)))
def test_shares_add_up_whatever_the_values_are(values: np.ndarray) -> None:
    found = fit_histogram(values)
    assert sum(found.shares) == pytest.approx(1)
    assert len(found.shares) == len(found.edges) + 2
    assert found.unknown_share == np.mean(~np.isfinite(values))
    assert found.shares_of(values) == found.shares


def test_bins_hold_about_as_many_each() -> None:
    found = fit_histogram(np.arange(1000.0))
    assert len(found.edges) == 9
    assert found.shares == pytest.approx((0.1,) * 10 + (0.0,), abs=0.002)


def test_few_values_make_few_bins() -> None:
    assert len(fit_histogram(np.arange(65.0)).edges) == 2
    assert len(fit_histogram(np.arange(5.0)).edges) == 1
    assert fit_histogram(np.full(3, np.nan)).shares == (0.0, 1.0)


def test_tied_values_share_a_bin_and_what_was_never_there_has_its_own() -> None:
    orders = fit_histogram(np.repeat([0.0, 1.0], 50))
    assert orders.edges == (0.0, 1.0)
    assert orders.shares_of(np.asarray([0.0, 1.0, 2.0, np.nan])) == (0.25, 0.25, 0.25, 0.25)


def test_two_samples_of_one_distribution_are_stable_and_a_shift_is_not() -> None:
    random = np.random.default_rng(0)
    before = fit_histogram(random.normal(size=2000))
    assert stability_index(before.shares, before.shares_of(random.normal(size=2000))) < 0.03
    assert stability_index(before.shares, before.shares_of(random.normal(0.7, size=2000))) > 0.25


@pytest.mark.parametrize(
    ("edges", "found"), [((1.0, 1.0), (0.5, 0.5, 0.0, 0.0)), ((1.0,), (0.5, 0.5)), ((1.0,), (0.5, 0.4, 0.2))]
)
def test_what_is_no_histogram_is_refused(edges: tuple[float, ...], found: tuple[float, ...]) -> None:
    with pytest.raises(InvalidArgumentError):
        Histogram(edges=edges, shares=found)


def test_shares_of_other_bins_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="as many as in the reference: 2"):
        stability_index((0.5, 0.5), (1.0,))
