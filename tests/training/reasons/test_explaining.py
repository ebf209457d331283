"""The strongest reasons: they add up, go the customer's way first, and speak of what differs from what is usual."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from engine.indicators import INDICATOR_COLUMNS
from kernels import SUMMARY_COLUMNS
from tests.training.conftest import AS_OF_US
from tests.training.reasons.conftest import Customers
from training.inference import FittedModel
from training.network.situation import NUM_SITUATION_FEATURES, SITUATION_NAMES
from training.reasons import (
    NUM_REASONS,
    NUM_SUBJECTS,
    RECENT_EVENTS,
    SEGMENT,
    SUBJECTS,
    Explainer,
    Explanations,
    measure_usual,
    write_sentences,
)
from training.reasons.segments import CHAIN
from training.reasons.subjects import subject_of_inputs
from training.reasons.wording import WORDINGS


@pytest.fixture(scope="module")
def explainer(model: FittedModel, customers: Customers) -> Explainer:
    usual = measure_usual(customers.summary, customers.states, customers.last_event_us, customers.num_events)
    return Explainer(model, horizon_days=14, usual=usual, as_of_us=AS_OF_US, activity=customers.activity)


def _explain(explainer: Explainer, customers: Customers) -> Explanations:
    return explainer.explain(customers.states, customers.summary, customers.last_event_us, customers.num_events)


def _sentences(explainer: Explainer, customers: Customers, found: Explanations) -> list[str]:
    last_purchase_us = customers.last_event_us
    written = write_sentences(found, explainer.usual, num_orders=customers.num_events, last_purchase_us=last_purchase_us)
    assert isinstance(written, pa.StringArray)
    sentences: list[str] = written.to_pylist()
    return sentences


def test_baseline_reasons_and_the_rest_add_up_to_the_risk(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    assert np.ptp(found.probability) > 0.1
    total = found.baseline + found.points.sum(axis=1) + found.other
    assert np.abs(total - 100 * found.probability).max() <= 0.1
    by_subject, _, probability = explainer.contributions(customers.states, customers.summary, customers.last_event_us)
    assert np.abs(by_subject.sum(axis=1) - (probability - found.baseline / 100)).max() <= 1e-3


def test_what_goes_the_customers_way_comes_first_and_the_strongest_of_it(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    by_subject, *_ = explainer.contributions(customers.states, customers.summary, customers.last_event_us)
    with_direction = by_subject * np.where(100 * found.probability >= found.baseline, 1, -1)[:, None]
    for row in range(len(by_subject)):
        going = sorted((value for value in with_direction[row] if value > 0), reverse=True)[:NUM_REASONS]
        chosen = with_direction[row, found.subject[row]]
        np.testing.assert_allclose(chosen[: len(going)], going)


def test_who_has_all_that_is_usual_in_the_segment_differs_by_the_segment_alone(explainer: Explainer) -> None:
    usual = explainer.usual
    place = usual.segment_of(usual.summary)
    by_subject, segment, _ = explainer.contributions(usual.states[place], usual.summary[place], usual.last_event_us[place])
    own = (segment == place) & (segment != CHAIN)
    assert own.any()
    assert not np.delete(by_subject[own], SEGMENT, axis=1).any()


def test_values_are_the_customers_and_the_segments(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    for row, place in np.ndindex(found.subject.shape):
        subject = found.subject[row, place]
        if subject in (SEGMENT, RECENT_EVENTS):
            continue
        column = SUMMARY_COLUMNS.index(SUBJECTS[subject].name)
        np.testing.assert_equal(found.value[row, place], customers.summary[row, column])
        np.testing.assert_equal(found.usual[row, place], explainer.usual.summary[found.segment[row], column])


def test_every_input_but_what_all_customers_share_belongs_to_a_reason() -> None:
    subjects = subject_of_inputs(5)
    assert len(subjects) == 5 + NUM_SITUATION_FEATURES
    shared = {SITUATION_NAMES[place - 5].removesuffix("_missing") for place in np.flatnonzero(subjects < 0)}
    assert shared == {
        "weekday_sin",
        "weekday_cos",
        "year_sin",
        "year_cos",
        "log_chain_week_over_month",
        "log_chain_month_over_quarter",
    }
    for name in INDICATOR_COLUMNS:
        assert SUBJECTS[subjects[5 + SITUATION_NAMES.index(name)]].name == name


def test_sentences_carry_value_and_usual_value(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    sentences = _sentences(explainer, customers, found)
    assert len(sentences) == len(customers.states) * NUM_REASONS
    assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in sentences)
    assert all(sentence.endswith(".") and "nan" not in sentence and "{" not in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("name", "value", "usual", "expected"),
    [
        ("recency_days", 41.2, 9.04, "Last bought 41 days ago; customers like this one usually did 9 days ago."),
        ("recency_days", 0.2, 1.0, "Last bought less than a day ago; customers like this one usually did 1 day ago."),
        ("orders_30d", 0.0, 4.0, "No order in the last 30 days; customers like this one usually have 4 orders."),
        ("orders_30d", 1.0, 1.0, "1 order in the last 30 days, which is usual for customers like this one."),
        (
            "gap_mean_days",
            np.nan,
            9.0,
            "Has bought on one day only, so there is no rhythm yet; customers like this one usually buy every 9 days.",
        ),
        (
            "orders_change_30d",
            -1.0,
            0.0,
            "Orders of the last 30 days against the 30 before: none, after some; customers like this one usually have as many.",
        ),
        (
            "spend_change_30d",
            -1 / 3,
            0.5,
            "Spending of the last 30 days against the 30 before: 50 % less; "
            "customers like this one usually spend 3 times as much.",
        ),
        (
            "rating_mean_180d",
            2.0,
            np.nan,
            "Rated 2 on average in the last 180 days; of most customers like this one that is not known.",
        ),
        ("rating_mean_180d", np.nan, np.nan, "No rating in the last 180 days."),
        (
            "discount_share_90d",
            0.41,
            0.1,
            "41 % of the price was discounted in the last 90 days; customers like this one usually get 10 %.",
        ),
        ("spend_7d", 0.0, 12.5, "Spent nothing in the last 7 days; customers like this one usually spend 12.50."),
        (
            "visits_30d",
            0.0,
            4.0,
            "No visit to a store in the last 30 days; customers like this one usually make 4 visits to a store.",
        ),
        ("logins_30d", 2.0, 1.0, "2 logins in the last 30 days; customers like this one usually have 1 login."),
        (
            "contacts_90d",
            14.0,
            3.0,
            "14 contacts by the chain in the last 90 days; customers like this one usually have 3 contacts.",
        ),
        (
            "store_share_90d",
            0.4,
            0.9,
            "40 % of the last 90 days' orders were at the latest one's store; customers like this one usually have 90 % there.",
        ),
        ("channel_switch_rate_90d", np.nan, np.nan, "No two orders in a row with a known channel in the last 90 days."),
        ("spend_90d", 1234.5, 12.5, "Spent 1,234 in the last 90 days; customers like this one usually spend 12.50."),
    ],
)
def test_a_sentence_for_a_shop_manager(
    explainer: Explainer, customers: Customers, name: str, value: float, usual: float, expected: str
) -> None:
    found = _explain(explainer, customers)
    place = [subject.name for subject in SUBJECTS].index(name)
    one = replace(
        found,
        segment=np.array([2]),
        subject=np.full((1, 1), place),
        points=np.ones((1, 1), np.float32),
        value=np.full((1, 1), value, np.float32),
        usual=np.full((1, 1), usual, np.float32),
    )
    written = write_sentences(one, explainer.usual, num_orders=np.ones(1, np.int32), last_purchase_us=np.zeros(1, np.int64))
    assert written.to_pylist() == [expected]


def test_every_reason_has_words_for_every_value() -> None:
    names = {subject.name for subject in SUBJECTS[: NUM_SUBJECTS - 2]}
    assert set(WORDINGS) == names
    for wording in WORDINGS.values():
        for value in (-1.0, -0.3, 0.0, 0.004, 0.3, 1.0, 2.0, 37.2, 12_345.6):
            assert wording.render(value)
            assert wording.own.format(wording.render(value))
            assert "customers" in wording.usual.format(wording.render(value), who="customers like this one")
