"""What the network reads and remembers: every backend against NumPy's own functions and torch's recurrent unit."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kernels import (
    CALENDAR_COLUMNS,
    NO_EVENT,
    SITUATION_COLUMNS,
    SUMMARY_COLUMNS,
    TOKEN_COLUMNS,
    TOTAL_DAYS,
    backend_names,
    describe_events,
    describe_situations,
    roll_states,
    standardise,
)
from tests.kernels.conftest import read_only
from tests.reference import DAY_US

every_backend = pytest.mark.parametrize("backend", backend_names())
seeds = st.integers(0, 2**32 - 1)


def _signed_log(values: np.ndarray) -> np.ndarray:
    return np.sign(values) * np.log1p(np.abs(values))


def _drawn_columns(random: np.random.Generator, lengths: list[int]) -> dict[str, np.ndarray]:
    """Events of customers, the columns in the order of the arguments; amounts of all sizes, some of them 0."""
    num_events = sum(lengths)

    def whole(low: int, high: int, dtype: type = np.int64) -> np.ndarray:
        return read_only((random.integers(low, high, num_events) * random.integers(0, 2, num_events)).astype(dtype))

    times = [np.sort(random.integers(10**15, 2 * 10**15, length)) for length in lengths]
    return {
        "timestamp_us": read_only(np.concatenate([*times, np.zeros(0)]).astype(np.int64)),
        "kind": read_only(random.integers(1, 8, num_events).astype(np.uint8)),
        "amount_minor": whole(-(10**9), 10**9),
        "discount_minor": whole(-(10**6), 10**6),
        "quantity_milli": whole(-(10**9), 10**12),
        "num_lines": whole(0, 1000, np.int32),
        "num_products": whole(0, 10, np.int32),
        "num_categories": whole(0, 2**31 - 1, np.int32),
        "rating_milli": read_only(random.choice([-1, 0, 4500], num_events).astype(np.int32)),
        "store_code": whole(-1, 3, np.int32),
        "channel_code": whole(-1, 2, np.int32),
    }


def _expected_tokens(columns: dict[str, np.ndarray], row: np.ndarray, first_row: np.ndarray) -> dict[str, np.ndarray]:
    is_first = row == first_row
    before = np.where(is_first, row, row - 1)
    time_us, amount = columns["timestamp_us"], _signed_log(columns["amount_minor"] / 100)
    paid, discount = np.abs(columns["amount_minor"][row]), np.abs(columns["discount_minor"][row])
    circles = {
        f"{name}_{function.__name__}": function(2 * np.pi * (time_us[row] / (days * DAY_US) % 1))
        for name, days in (("hour", 1), ("weekday", 7), ("year", 365.2425))
        for function in (np.sin, np.cos)
    }
    kinds = ("purchase", "return", "visit", "login", "feedback", "complaint", "contact")
    return {
        "log_gap_days": np.log1p((time_us[row] - time_us[before]) / DAY_US),
        "is_first": is_first,
        "log_amount": amount[row],
        "log_amount_change": amount[row] - amount[before],
        "log_quantity": _signed_log(columns["quantity_milli"][row] / 1000),
        **{f"log_{name}": np.log1p(columns[f"num_{name}"][row]) for name in ("lines", "products", "categories")},
        "discount_share": discount / np.maximum(discount + paid, 1),
        **circles,
        **{
            f"same_{name}": ~is_first & (columns[f"{name}_code"][row] == columns[f"{name}_code"][before])
            for name in ("store", "channel")
        },
        "log_index": np.log1p(row - first_row),
        "log_tenure_days": np.log1p((time_us[row] - time_us[first_row]) / DAY_US),
        "rating": np.where(columns["rating_milli"][row] < 0, np.nan, columns["rating_milli"][row] / 1000),
        **{f"is_{name}": columns["kind"][row] == code for code, name in enumerate(kinds, start=1)},
    }


@every_backend
@given(lengths=st.lists(st.integers(1, 70), max_size=5), seed=seeds)
def test_tokens_are_those_of_numpy_and_missing_where_not_known(lengths: list[int], seed: int, backend: str) -> None:
    random = np.random.default_rng(seed)
    columns = _drawn_columns(random, lengths)
    first = np.repeat(np.cumsum([0, *lengths])[:-1], lengths)
    row = read_only(random.permutation(np.arange(sum(lengths)))[: random.integers(0, sum(lengths) + 1)])
    first_row = read_only(first[row].astype(np.int64))
    tokens = describe_events(*columns.values(), row, row - first_row, columns["timestamp_us"][first_row], backend=backend)
    expected = _expected_tokens(columns, row, first_row)
    assert tuple(expected) == TOKEN_COLUMNS
    np.testing.assert_allclose(tokens, np.stack([*expected.values()], axis=1), rtol=2e-7, atol=2e-7)


@every_backend
@given(num_queries=st.integers(0, 40), num_instants=st.integers(1, 3), seed=seeds)
def test_situations_are_logarithms_with_flags_of_what_is_missing(
    num_queries: int, num_instants: int, seed: int, backend: str
) -> None:
    random = np.random.default_rng(seed)
    summary = (
        np.abs(random.normal(size=(num_queries, len(SUMMARY_COLUMNS)))) * 10.0 ** random.integers(-3, 7, num_queries)[:, None]
    )
    may_fall = [SUMMARY_COLUMNS.index("spend_30d"), SUMMARY_COLUMNS.index("rating_change_180d")]
    summary[:, may_fall] *= -1
    summary[random.random(summary.shape) < 0.2] = np.nan
    summary = read_only(summary.astype(np.float32))
    as_of_us = read_only(random.integers(1.5e15, 2e15, num_queries))
    last_event_us = as_of_us - random.integers(1, 4e14, num_queries)
    has_none = random.random(num_queries) < 0.2
    last_event_us[has_none] = NO_EVENT
    calendar = random.normal(size=(num_instants, len(CALENDAR_COLUMNS))).astype(np.float32)
    calendar[random.random(calendar.shape) < 0.2] = np.nan
    log_days = read_only(random.choice([-1.0, 0.5, 20.0, 89.5, 200.0, np.inf], num_instants).astype(np.float32))
    calendar_row = read_only(random.integers(0, num_instants, num_queries))

    found = describe_situations(summary, last_event_us, as_of_us, calendar, log_days, calendar_row, backend=backend)

    exact = summary.astype(np.float64)
    bought, mean_gap, longest_gap = (
        exact[:, SUMMARY_COLUMNS.index(name)] for name in ("recency_days", "gap_mean_days", "gap_longest_days")
    )
    since_event = np.where(has_none, np.nan, (as_of_us - last_event_us) / DAY_US)
    ratios = [np.log((bought + 0.5) / (gap + 0.5)) for gap in (mean_gap, longest_gap)]
    elapsed = np.stack([np.log1p(since_event), np.log1p(bought), *ratios], axis=1)
    known_days = np.maximum(log_days[calendar_row].astype(np.float64), 7.0)[:, None]
    scale = np.maximum(np.array(TOTAL_DAYS) / known_days, 1.0)
    values = np.concatenate([elapsed, calendar[calendar_row], _signed_log(exact * scale)], axis=1)
    assert found.shape == (num_queries, len(SITUATION_COLUMNS))
    np.testing.assert_allclose(found, np.concatenate([values, np.isnan(values)], axis=1), rtol=2e-7, atol=2e-7)


@every_backend
def test_what_is_standardised_is_clipped_and_the_unknown_is_the_mean(backend: str) -> None:
    values = np.array([[3.0, 1e30, np.nan], [1.0, -np.inf, 5.0], [np.inf, 0.0, -5.0]], np.float32)
    mean, scale = np.array([1, 0, 5], np.float32), np.array([0.5, 2, 0], np.float32)
    standard = standardise(read_only(values), mean, scale, 6.0, backend=backend)
    assert standard.tolist() == [[1.0, 6.0, 0.0], [0.0, -6.0, 0.0], [6.0, 0.0, 0.0]]


def _unit(num_features: int, num_units: int, seed: int) -> tuple[torch.nn.GRU, list[np.ndarray]]:
    torch.manual_seed(seed)
    unit = torch.nn.GRU(num_features, num_units).double()
    for parameter in unit.parameters():
        parameter.data.mul_(2.0)  # so that gates come near 0 and 1
    weights = (unit.weight_ih_l0, unit.weight_hh_l0, unit.bias_ih_l0, unit.bias_hh_l0)
    return unit, [weight.detach().float().numpy() for weight in weights]


@every_backend
@given(
    lengths=st.lists(st.integers(0, 12), max_size=9),
    num_features=st.integers(1, 5),
    num_units=st.sampled_from([1, 8, 16, 17]),
    seed=st.integers(0, 99),
)
def test_states_are_those_of_torch(lengths: list[int], num_features: int, num_units: int, seed: int, backend: str) -> None:
    random = np.random.default_rng(seed)
    unit, weights = _unit(num_features, num_units, seed)
    end = np.cumsum(lengths, dtype=np.int64)
    begin = end - np.array(lengths, np.int64)
    tokens = read_only(random.normal(0, 2, (sum(lengths), num_features)).astype(np.float32))
    initial = read_only(random.uniform(-1, 1, (len(lengths), num_units)).astype(np.float32))
    states = roll_states(tokens, begin, end, initial, *weights, backend=backend)
    assert (states.dtype, states.shape) == (np.float32, initial.shape)
    for query, length in enumerate(lengths):
        if length == 0:
            np.testing.assert_array_equal(states[query], initial[query])
            continue
        seen = torch.from_numpy(tokens[begin[query] : end[query]].astype(np.float64))
        with torch.inference_mode():
            expected = unit(seen, torch.from_numpy(initial[query : query + 1].astype(np.float64)))[1][0]
        np.testing.assert_allclose(states[query], expected, rtol=0, atol=1e-6)


@every_backend
def test_a_state_is_the_same_to_the_bit_in_whatever_company_and_however_often_it_was_kept(backend: str) -> None:
    random = np.random.default_rng(0)
    _, weights = _unit(4, 16, 0)
    lengths = random.integers(0, 9, 23)
    end = np.cumsum(lengths)
    begin = end - lengths
    middle = random.integers(begin, end + 1)
    tokens = random.normal(size=(end[-1], 4)).astype(np.float32)
    nothing = np.zeros((23, 16), np.float32)
    together = roll_states(tokens, begin, end, nothing, *weights, backend=backend)
    kept = roll_states(tokens, begin, middle, nothing, *weights, backend=backend)
    np.testing.assert_array_equal(roll_states(tokens, middle, end, kept, *weights, backend=backend), together)
    for one in range(0, 23, 5):
        alone = slice(one, one + 1)
        found = roll_states(tokens, begin[alone], end[alone], nothing[alone], *weights, backend=backend)
        np.testing.assert_array_equal(found, together[alone])


def test_shapes_and_rows_that_do_not_fit_are_refused() -> None:
    _, weights = _unit(4, 8, 0)
    tokens, initial = np.zeros((3, 4), np.float32), np.zeros((1, 8), np.float32)
    one, four = np.array([1]), np.array([4])
    with pytest.raises(ValueError, match=r"begin, end: found rows 1 to 4, expected 0 to 3"):
        roll_states(tokens, one, four, initial, *weights)
    with pytest.raises(ValueError, match=r"input_weight: found 4 columns, expected 3"):
        roll_states(tokens[:, :3], one, one, initial, *weights)
    with pytest.raises(ValueError, match=r"input_weight: found 24 rows, expected 15, three gates of 5 units"):
        roll_states(tokens, one, one, initial[:, :5], weights[0], np.zeros((24, 5), np.float32), *weights[2:])
    with pytest.raises(ValueError, match=r"values: found 4 columns, expected 2"):
        standardise(tokens, np.zeros(2, np.float32), np.zeros(2, np.float32), 6.0)
    columns = _drawn_columns(np.random.default_rng(0), [3])
    for row, index, message in ((3, 0, "row, row"), (0, 1, "row, row"), (-1, 0, "row, row"), (0, -1, "index: found -1")):
        with pytest.raises(ValueError, match=message):
            describe_events(*columns.values(), np.array([row]), np.array([index]), np.array([0]))
