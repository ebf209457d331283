"""States of customers: final once computed, so that a later pass may begin from them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from engine.history import History
from engine.indicators import compute_summary
from training import threads
from training.inference import Before, encode_states, look_ahead, look_ahead_from_summary, outlook, states, survival_curves
from training.network.situation import describe_situation, situation_of
from training.trained import TrainedModel


@pytest.mark.parametrize("seed", [0, 1])
def test_a_state_rolled_on_from_anywhere_is_the_state_from_the_start(trained: TrainedModel, history: History, seed: int) -> None:
    partition = history.partition(0)
    customers = np.arange(partition.num_customers)
    begin, end = partition.offsets[:-1], partition.offsets[1:]
    middle = np.random.default_rng(seed).integers(begin, end + 1)
    whole = encode_states(trained.model, partition, customers, begin, end)
    half = encode_states(trained.model, partition, customers, begin, middle)
    rolled = encode_states(trained.model, partition, customers, middle, end, initial=half)
    assert np.abs(rolled - whole).max() <= 1e-6
    assert (rolled[middle == end] == half[middle == end]).all()


def test_events_before_the_last_one_that_a_state_covers_need_not_be_there(trained: TrainedModel, history: History) -> None:
    partition = history.partition(0)
    customers = np.flatnonzero(np.diff(partition.offsets) > 2)
    first, end = partition.offsets[customers], partition.offsets[customers + 1]
    half = encode_states(trained.model, partition, customers, first, end - 1)
    rolled = encode_states(trained.model, partition, customers, end - 1, end, initial=half)
    rows = np.sort(np.concatenate((end - 2, end - 1)))
    names = [field.name for field in fields(partition) if isinstance(getattr(partition, field.name), np.ndarray)]
    columns = {name: getattr(partition, name)[rows] for name in names if name != "offsets"}
    tails = replace(partition, offsets=2 * np.arange(len(customers) + 1), **columns)
    before = Before(num_events=end - 2 - first, first_us=partition.timestamp_us[first])
    begin = 2 * np.arange(len(customers)) + 1
    found = encode_states(trained.model, tails, np.arange(len(customers)), begin, begin + 1, initial=half, before=before)
    np.testing.assert_array_equal(found, rolled)


def test_states_and_situations_that_were_kept_give_the_curves_from_the_start(trained: TrainedModel, history: History) -> None:
    partition, activity = history.partition(0), history.activity()
    customers = np.arange(partition.num_customers)
    instants = np.full(len(customers), int(partition.timestamp_us.max()) + 1)
    states = encode_states(trained.model, partition, customers, partition.offsets[:-1], partition.offsets[1:])
    situation = describe_situation(partition, activity, customers, instants)
    expected = survival_curves(trained.model, partition, activity, customers, instants)
    assert np.abs(look_ahead(trained.model, states, situation).survival - expected).max() <= 1e-6


def test_a_kept_summary_gives_the_situation_that_the_events_give(history: History) -> None:
    partition, activity = history.partition(0), history.activity()
    customers = np.arange(partition.num_customers)
    instants = np.full(len(customers), int(partition.timestamp_us.max()) + 1)
    summary = compute_summary(partition, customers, instants)
    last_event_us = partition.timestamp_us[partition.offsets[1:] - 1]
    kept = situation_of(summary, last_event_us, instants, activity)
    np.testing.assert_array_equal(kept, describe_situation(partition, activity, customers, instants))


def test_states_do_not_depend_on_how_the_work_is_cut_or_shared(
    trained: TrainedModel, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition = history.partition(0)
    customers = np.arange(partition.num_customers)
    asked = (trained.model, partition, customers, partition.offsets[:-1], partition.offsets[1:])
    whole = encode_states(*asked)
    monkeypatch.setattr(states, "_CHUNK_EVENTS", 40)
    monkeypatch.setattr(states, "_LEAST_SEQUENCES", 6)
    np.testing.assert_array_equal(encode_states(*asked), whole)
    monkeypatch.setattr(threads.torch, "get_num_threads", lambda: 3)
    np.testing.assert_array_equal(encode_states(*asked), whole)


def test_the_outlook_from_summaries_is_that_from_situations(
    trained: TrainedModel, history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    partition, activity = history.partition(0), history.activity()
    customers = np.arange(partition.num_customers)
    instants = np.full(len(customers), int(partition.timestamp_us.max()) + 1)
    instants[::3] += 86_400_000_000
    state = np.random.default_rng(0).uniform(-1, 1, (len(customers), trained.model.state_size)).astype(np.float32)
    summary = compute_summary(partition, customers, instants)
    last_event_us = partition.timestamp_us[partition.offsets[1:] - 1]
    expected = look_ahead(trained.model, state, situation_of(summary, last_event_us, instants, activity)).survival
    monkeypatch.setattr(outlook, "_BATCH_CUSTOMERS", 17)
    found = look_ahead_from_summary(trained.model, state, summary, last_event_us, instants, activity).survival
    assert np.abs(found - expected).max() <= 1e-6
