"""Layers and what is read off rates: NumPy's own arithmetic in float64, row by row the same whatever else is asked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kernels import Layer, add_up_rates, calibrate_hazards, integrate_survivals, run_layers, standardise
from tests.kernels.conftest import read_only

LIMIT = 6.0


def _layers(random: np.random.Generator, *sizes: int) -> list[Layer]:
    return [
        (
            read_only((random.normal(size=(outputs, inputs)) / np.sqrt(inputs)).astype(np.float32)),
            read_only(random.normal(size=outputs).astype(np.float32)),
        )
        for inputs, outputs in pairwise(sizes)
    ]


def _drawn(random: np.random.Generator, num_rows: int) -> tuple[np.ndarray, ...]:
    state, seen = (random.normal(scale=3, size=(num_rows, size)).astype(np.float32) for size in (5, 9))
    seen[::3, 2] = np.nan
    mean, scale = random.normal(size=9).astype(np.float32), random.random(9).astype(np.float32)
    return tuple(read_only(array) for array in (state, seen, mean, scale))


@given(seed=st.integers(0, 2**32 - 1), num_rows=st.sampled_from([0, 1, 31, 32, 33, 100]), size=st.integers(1, 20))
def test_heads_are_those_of_plain_products(seed: int, num_rows: int, size: int) -> None:
    random = np.random.default_rng(seed)
    state, seen, mean, scale = _drawn(random, num_rows)
    heads = [_layers(random, 14, size, 11, 7), _layers(random, 14, 7), _layers(random, 14, 9, 7)]
    found = run_layers(state, seen, mean, scale, LIMIT, heads)
    assert (found.dtype, found.shape) == (np.float32, (3, num_rows, 7))
    for head, layers in enumerate(heads):
        values = np.concatenate([state, standardise(seen, mean, scale, LIMIT)], axis=1).astype(np.float64)
        for place, (weight, bias) in enumerate(layers):
            values = values @ weight.T.astype(np.float64) + bias
            values = values / (1 + np.exp(-values)) if place + 1 < len(layers) else values
        np.testing.assert_allclose(found[head], values, rtol=1e-5, atol=1e-5)


def test_a_row_is_the_same_to_the_bit_whatever_else_is_asked() -> None:
    random = np.random.default_rng(0)
    state, seen, mean, scale = _drawn(random, 77)
    heads = [_layers(random, 14, 12, 7)]
    together = run_layers(state, seen, mean, scale, LIMIT, heads)[0]
    for row in (0, 33, 76):
        alone = run_layers(state[row : row + 1], seen[row : row + 1], mean, scale, LIMIT, heads)[0]
        np.testing.assert_array_equal(alone[0], together[row])


def test_layers_that_do_not_fit_are_refused() -> None:
    random = np.random.default_rng(0)
    inputs = _drawn(random, 3)
    with pytest.raises(ValueError, match=r"layer 1: found \(7, 11\) weights, expected \(7, 12\)"):
        run_layers(*inputs, LIMIT, [[*_layers(random, 14, 12), *_layers(random, 11, 7)]])
    with pytest.raises(ValueError, match=r"found \[6, 7\] outputs"):
        run_layers(*inputs, LIMIT, [_layers(random, 14, 7), _layers(random, 14, 6)])


@given(seed=st.integers(0, 2**32 - 1), num_rows=st.sampled_from([0, 1, 63, 64, 65, 200]))
def test_rates_add_up_calibrated_and_integrated(seed: int, num_rows: int) -> None:
    random = np.random.default_rng(seed)
    log_rate = read_only(random.normal(-2, 6, (num_rows, 6)).astype(np.float32))
    added = read_only(random.normal(size=num_rows).astype(np.float32))
    widths = np.array([1, 1, 5, 20, 60, 100], np.float32)
    total = add_up_rates(log_rate, added, widths, -14.0, 4.0)
    rates = np.exp(np.clip(log_rate.astype(np.float64), -14, 4) + added[:, None])
    np.testing.assert_allclose(total, np.cumsum(rates * widths, axis=1), rtol=1e-6)
    survival = total.copy()
    calibrate_hazards(survival, 1e-7, 69.0, 0.2, 0.9)
    np.testing.assert_allclose(survival, np.exp(-np.exp(0.2 + 0.9 * np.log(np.clip(total, 1e-7, 69.0)))), rtol=1e-11, atol=1e-300)
    curve = np.clip(survival, 1e-6, 1 - 1e-6).astype(np.float32)
    after = curve.astype(np.float64)
    before = np.concatenate((np.ones((num_rows, 1)), after[:, :-1]), axis=1)
    fall = np.log(before) - np.log(after)
    areas = np.where(fall > 1e-9, (before - after) / np.where(fall > 1e-9, fall, 1.0), after) * widths
    np.testing.assert_allclose(integrate_survivals(widths.astype(np.float64), curve), areas.sum(axis=1), rtol=1e-9)


def test_what_is_no_number_does_not_come_out_as_one() -> None:
    log_rate = np.array([[0.0, np.nan, 0.0], [0.0, 0.0, 0.0]], np.float32)
    total = add_up_rates(log_rate, np.zeros(2, np.float32), np.ones(3, np.float32), -14.0, 4.0)
    calibrate_hazards(total, 1e-7, 69.0, 0.0, 1.0)
    assert np.isnan(total).tolist() == [[False, True, True], [False, False, False]]


def test_hazards_of_another_kind_and_widths_of_other_bins_are_refused() -> None:
    with pytest.raises(ValueError, match="hazard: found float32"):
        calibrate_hazards(np.ones((2, 2), np.float32), 0.1, 1.0, 0.0, 1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="expected contiguous"):
        calibrate_hazards(np.ones((2, 3)).T, 0.1, 1.0, 0.0, 1.0)
    with pytest.raises(ValueError, match="widths: found 2, expected one for each of 3 bins"):
        add_up_rates(np.zeros((1, 3), np.float32), np.zeros(1, np.float32), np.ones(2, np.float32), -1.0, 1.0)
    with pytest.raises(ValueError, match="widths: found 2, expected one for each of 3 bins"):
        integrate_survivals(np.ones(2), np.ones((1, 3), np.float32))
