"""Calibration mends what is off, leaves alone what it has no evidence about, and keeps every order."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from training.network.calibration import LEVEL_ALONE, Calibration, fit_calibration


def draw(num: int, *, shift: float, slope: float) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Promised survival, and outcomes as if the true cumulative hazard were exp(shift) * promised ** slope."""
    random = np.random.default_rng(0)
    hazard = random.gamma(1.5, 1.0, num)
    return np.exp(-hazard), random.random(num) < np.exp(-np.exp(shift) * hazard**slope)


@pytest.mark.parametrize(("shift", "slope"), [(0.0, 1.0), (0.5, 1.0), (-0.4, 0.7), (0.2, 1.5)])
def test_a_known_error_is_found_and_mended(shift: float, slope: float) -> None:
    survival, churned = draw(100_000, shift=shift, slope=slope)
    calibration = fit_calibration(survival, churned)
    assert calibration.shift == pytest.approx(shift, abs=0.03)
    assert calibration.slope == pytest.approx(slope, abs=0.03)
    assert calibration.apply(survival).mean() == pytest.approx(churned.mean(), abs=0.004)


def test_little_data_hardly_moves_the_identity() -> None:
    survival, churned = draw(20, shift=1.0, slope=2.0)
    calibration = fit_calibration(survival, churned)
    assert abs(calibration.shift) < 0.3
    assert abs(calibration.slope - 1) < 0.2
    assert fit_calibration(survival[:0], churned[:0]) == Calibration()


def test_the_level_alone_is_set_right_where_that_is_asked() -> None:
    survival, churned = draw(100_000, shift=0.5, slope=1.4)
    level = fit_calibration(survival, churned, prior=LEVEL_ALONE)
    assert level.slope == pytest.approx(1, abs=1e-6)
    assert level.shift > 0.3
    for shift in (-0.01, 0.01):
        aside = Calibration(shift=level.shift + shift, slope=1.0)
        assert cross_entropy(aside.apply(survival), churned) > cross_entropy(level.apply(survival), churned)


def cross_entropy(probability: NDArray[np.float64], churned: NDArray[np.bool_]) -> float:
    return float(-np.where(churned, np.log(probability), np.log1p(-probability)).mean())


def test_the_identity_changes_nothing() -> None:
    survival = np.linspace(0.001, 0.999, 50)
    assert Calibration().apply(survival) == pytest.approx(survival, abs=1e-12)


def test_curves_stay_monotone_and_customers_in_order() -> None:
    random = np.random.default_rng(1)
    curves = np.exp(-np.cumsum(random.gamma(0.3, 1.0, (200, 17)), axis=1))
    mapped = Calibration(shift=0.7, slope=0.4).apply(curves)
    assert all((later <= earlier).all() for earlier, later in pairwise(mapped.T))
    assert (np.argsort(mapped, axis=0, kind="stable") == np.argsort(curves, axis=0, kind="stable")).all()


@pytest.mark.parametrize("everybody", [True, False])
def test_one_sided_outcomes_do_not_break_it(everybody: bool) -> None:
    survival, _ = draw(500, shift=0.0, slope=1.0)
    mapped = fit_calibration(survival, np.full(500, everybody)).apply(np.array([0.0, 0.3, 0.9, 1.0]))
    assert np.isfinite(mapped).all()
    assert (np.diff(mapped) >= 0).all()


def test_one_map_after_another_is_one_map() -> None:
    survival = np.linspace(0.01, 0.99, 50)
    first, second = Calibration(shift=0.3, slope=0.7), Calibration(shift=-0.2, slope=1.4)
    np.testing.assert_allclose(first.then(second).apply(survival), second.apply(first.apply(survival)), rtol=1e-9)


@pytest.mark.parametrize("probability", [0.02, 0.5, 0.97])
def test_a_slope_around_a_probability_leaves_it_and_moves_the_others_away(probability: float) -> None:
    sharpened = Calibration.around(probability, 1.5).apply(np.array([probability / 2, probability, (1 + probability) / 2]))
    assert sharpened[1] == pytest.approx(probability)
    assert sharpened[0] < probability / 2
    assert sharpened[2] > (1 + probability) / 2


@pytest.mark.parametrize("probability", [0.0, 1.0])
def test_a_slope_around_a_certainty_is_a_number(probability: float) -> None:
    assert np.isfinite(Calibration.around(probability, 1.5).shift)
