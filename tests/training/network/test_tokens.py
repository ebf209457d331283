"""Tokens and situations look at the past of their own instant alone; normalisers take what is missing as it comes."""

from __future__ import annotations

import numpy as np
import pytest

from engine.history import History
from engine.partition import Partition
from engine.schema import EventKind
from tests.reference import Event, build_partition
from tests.training.conftest import AS_OF_US
from training.data.past import take_past
from training.network.normaliser import fit_normaliser
from training.network.situation import SITUATION_NAMES, describe_situation
from training.network.tokens import NUM_TOKEN_FEATURES, TOKEN_NAMES, all_event_tokens, event_tokens


@pytest.fixture
def past(history: History) -> Partition:
    return take_past(history.partitions(), before_us=AS_OF_US)


def test_tokens_do_not_know_what_comes_later(past: Partition) -> None:
    tokens = all_event_tokens(past)
    assert tokens.shape == (past.num_events, NUM_TOKEN_FEATURES)
    assert np.isfinite(tokens[:, np.array(TOKEN_NAMES) != "rating"]).all()
    middle_us = AS_OF_US - 60 * 86_400_000_000
    earlier = take_past([past], before_us=middle_us)
    np.testing.assert_array_equal(all_event_tokens(earlier), tokens[past.timestamp_us < middle_us])


def test_tokens_of_some_events_are_those_of_all(past: Partition) -> None:
    first_row = np.repeat(past.offsets[:-1], np.diff(past.offsets))
    rows = np.arange(past.num_events)[::7]
    tokens = event_tokens(past, rows, rows - first_row[rows], past.timestamp_us[first_row[rows]])
    np.testing.assert_array_equal(tokens, all_event_tokens(past)[rows])


def test_a_first_event_has_nothing_before_it(past: Partition) -> None:
    tokens = all_event_tokens(past)[past.offsets[:-1]]
    column = {name: tokens[:, index] for index, name in enumerate(TOKEN_NAMES)}
    assert (column["is_first"] == 1).all()
    for name in ("log_gap_days", "log_amount_change", "same_store", "log_index", "log_tenure_days"):
        assert (column[name] == 0).all()


def test_a_rating_is_a_token_where_one_was_given() -> None:
    events = [Event(time_us=0, kind=EventKind.FEEDBACK, rating=4.5), Event(time_us=1)]
    ratings = all_event_tokens(build_partition([events]))[:, TOKEN_NAMES.index("rating")]
    np.testing.assert_array_equal(ratings, [4.5, np.nan])


def test_a_situation_does_not_know_what_comes_later(history: History) -> None:
    for partition in history.partitions():
        customers = np.flatnonzero(partition.timestamp_us[partition.offsets[:-1]] < AS_OF_US)
        past = take_past([partition], before_us=AS_OF_US)
        instants = np.full(len(customers), AS_OF_US)
        seen = describe_situation(partition, history.activity(), customers, instants)
        unseen = describe_situation(past, history.activity(), np.arange(past.num_customers), instants)
        np.testing.assert_array_equal(seen, unseen)


def test_what_is_missing_is_flagged(past: Partition, history: History) -> None:
    customers = np.arange(past.num_customers)
    situation = describe_situation(past, history.activity(), customers, np.full(len(customers), AS_OF_US))
    values, flags = np.split(situation, 2, axis=1)
    assert (np.isnan(values) == (flags == 1)).all()
    once = np.diff(past.offsets) == 1
    assert np.isnan(values[once, SITUATION_NAMES.index("gap_mean_days")]).all()


def test_normalised_columns_are_standard_and_constant_ones_silent() -> None:
    random = np.random.default_rng(0)
    values = np.stack([random.normal(5, 3, 1000), np.full(1000, 7.0), random.normal(0, 1, 1000)], axis=1).astype(np.float32)
    values[:100, 2] = np.nan
    normaliser = fit_normaliser(values)
    standard = normaliser.apply(values)
    assert standard[:, 0].mean() == pytest.approx(0, abs=1e-3)
    assert standard[:, 0].std() == pytest.approx(1, abs=1e-2)
    assert (standard[:, 1] == 0).all()
    assert (normaliser.apply(np.array([[5.0, 1e9, np.nan]], np.float32))[0, 1:] == 0).all()


def test_extremes_are_clipped_and_ignored_columns_are_silent() -> None:
    values = np.random.default_rng(0).normal(size=(100, 2)).astype(np.float32)
    normaliser = fit_normaliser(values, ignore=[1])
    assert np.abs(normaliser.apply(np.array([[1e30, 1e30]], np.float32))).tolist() == [[6.0, 0.0]]
