"""Baselines that learn from outcomes of the past: what they say, and that they are validated by time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from engine.errors import AsOfError, InvalidArgumentError
from engine.history import History
from engine.instants import DAY_US
from engine.labels import churned
from tests.training.conftest import AS_OF_US
from training.baselines import BASELINE_NAMES, QUICK_BASELINES, Question, ask_baseline, pose_question
from training.baselines.boosting import BoostingSettings, split_by_time, tune_lightgbm
from training.data.past import take_past


@pytest.fixture(scope="module")
def question(history: History) -> Question:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    return pose_question(past, as_of_us=AS_OF_US, horizon_days=14, active_within_days=60)


@pytest.fixture(scope="module")
def outcome(history: History, question: Question) -> np.ndarray:
    everything = take_past(history.partitions(), before_us=AS_OF_US + 100 * DAY_US)
    customers = [everything.customer_ids.to_pylist().index(name) for name in _names(question)]
    return churned(everything, np.asarray(customers), AS_OF_US, 14)


@pytest.mark.parametrize("name", QUICK_BASELINES)
def test_each_says_something_of_everybody_and_better_than_chance(name: str, question: Question, outcome: np.ndarray) -> None:
    probability = ask_baseline(name, question).probability
    assert probability.shape == question.customer_index.shape
    assert ((probability >= 0) & (probability <= 1)).all()
    if name == "constant":
        assert np.ptp(probability) == 0.0
        assert probability[0] == pytest.approx(question.outcomes.churned.mean())
    else:
        assert roc_auc_score(outcome, probability) > 0.6


def test_recency_is_rising_and_frequency_falling(question: Question) -> None:
    past = question.past
    ends = past.offsets[question.customer_index + 1] - 1
    days = (AS_OF_US - past.timestamp_us[ends]) / DAY_US
    by_recency = ask_baseline("recency", question).probability
    assert (np.diff(by_recency[np.argsort(days, kind="stable")]) >= 0).all()
    recent = past.timestamp_us >= AS_OF_US - 60 * DAY_US
    orders = np.add.reduceat(recent.astype(int), past.offsets[:-1])[question.customer_index]
    by_frequency = ask_baseline("frequency", question).probability
    assert (np.diff(by_frequency[np.argsort(orders, kind="stable")]) <= 0).all()


def test_outcomes_were_known_before_the_as_of(question: Question) -> None:
    outcomes = question.outcomes
    assert (outcomes.as_of_us + 14 * DAY_US <= AS_OF_US).all()
    assert len(np.unique(outcomes.as_of_us)) == 12


def test_settings_are_validated_on_later_instants_than_they_learn_from(question: Question) -> None:
    split = split_by_time(question)
    assert split is not None
    learn, validate = (question.outcomes.as_of_us[chosen] for chosen in split)
    assert len(np.unique(validate)) == 2
    assert learn.max() + 14 * DAY_US <= validate.min()


def test_a_search_is_repeatable_and_no_worse_than_the_defaults_it_starts_from(question: Question) -> None:
    tuned = tune_lightgbm(question, num_trials=2)
    assert tuned == tune_lightgbm(question, num_trials=2)
    usual = tune_lightgbm(question, num_trials=1)
    assert tuned.log_loss is not None
    assert usual.log_loss is not None
    assert tuned.log_loss <= usual.log_loss
    assert replace(usual.settings, num_rounds=200) == BoostingSettings()


def test_without_time_to_validate_on_the_defaults_stand(question: Question) -> None:
    latest = question.outcomes.as_of_us == question.outcomes.as_of_us.max()
    outcomes = replace(
        question.outcomes,
        **{name: getattr(question.outcomes, name)[latest] for name in ("customer_index", "as_of_us", "indicators", "churned")},
    )
    tuned = tune_lightgbm(replace(question, outcomes=outcomes), num_trials=3)
    assert (tuned.num_trials, tuned.settings) == (0, BoostingSettings())
    answer = ask_baseline("lightgbm_tuned", replace(question, outcomes=outcomes), num_trials=3)
    assert answer.details["num_trials"] == 0


@pytest.mark.parametrize("name", BASELINE_NAMES)
def test_a_past_in_which_nobody_churned_is_learnt_from_as_it_is(name: str, question: Question) -> None:
    outcomes = replace(question.outcomes, churned=np.zeros_like(question.outcomes.churned))
    probability = ask_baseline(name, replace(question, outcomes=outcomes), num_trials=2).probability
    assert ((probability >= 0) & (probability <= 1)).all()


def test_a_past_without_outcomes_is_refused(history: History) -> None:
    past = take_past(history.partitions(), before_us=AS_OF_US)
    with pytest.raises(AsOfError, match="past outcomes"):
        pose_question(past, as_of_us=AS_OF_US, horizon_days=300, active_within_days=60)


def test_a_name_that_there_is_not_is_refused(question: Question) -> None:
    with pytest.raises(InvalidArgumentError, match=BASELINE_NAMES[0]):
        ask_baseline("oracle", question)


def _names(question: Question) -> list[str]:
    ids = question.past.customer_ids.to_pylist()
    return [ids[customer] for customer in question.customer_index]
