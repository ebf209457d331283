"""Sentences: facts and what is usual, in words that a shop manager would use."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pyarrow as pa
import pytest

from engine.instants import parse_instant
from tests.training.reasons.conftest import Customers
from training.reasons import NUM_REASONS, SUBJECTS, Explainer, Explanations, Usual, write_sentences
from training.reasons.wording import WORDINGS

DAY_OF_ORDER_US = parse_instant("2017-11-03T17:00:00Z")


def _explain(explainer: Explainer, customers: Customers) -> Explanations:
    return explainer.explain(customers.kept)


def _sentences(explainer: Explainer, found: Explanations, customers: Customers) -> list[str]:
    kept = customers.kept
    written = write_sentences(found, explainer.usual, num_orders=kept.num_orders, last_purchase_us=kept.last_purchase_us)
    assert isinstance(written, pa.StringArray)
    sentences: list[str] = written.to_pylist()
    return sentences


def _write(
    usual: Usual,
    name: str,
    value: float,
    usually: float,
    *,
    points: float = 1.0,
    aside: float = np.nan,
    is_timely: bool = False,
    num_orders: int = 1,
) -> str:
    """The sentence of one reason of one customer of a segment."""
    number, place = np.full((1, 1), np.float32(0)), [subject.name for subject in SUBJECTS].index(name)
    found = Explanations(
        chain=3.0,
        baseline=np.ones(1, np.float32),
        segment=np.array([2]),
        probability=np.ones(1, np.float32),
        theme=np.zeros((1, 1), np.int64),
        subject=np.full((1, 1), place),
        points=number + np.float32(points),
        value=number + np.float32(value),
        usual=number + np.float32(usually),
        aside=number + np.float32(aside),
        is_timely=np.full((1, 1), is_timely),
        other=np.zeros(1, np.float32),
    )
    (sentence,) = write_sentences(
        found, usual, num_orders=np.full(1, num_orders, np.int32), last_purchase_us=np.array([DAY_OF_ORDER_US])
    ).to_pylist()
    assert isinstance(sentence, str)
    return sentence


def test_sentences_carry_value_and_usual_value(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    sentences = _sentences(explainer, found, customers)
    assert len(sentences) == len(customers.kept.states) * NUM_REASONS
    assert all(sentence[0].isupper() or sentence[0].isdigit() for sentence in sentences)
    assert all(sentence.endswith(".") and "nan" not in sentence and "{" not in sentence for sentence in sentences)


@pytest.mark.parametrize(
    ("name", "value", "usually", "expected"),
    [
        ("recency_days", 41.97, 9.04, "Last bought 41 days ago; for customers like this one it is usually 9 days."),
        ("recency_days", 0.2, 1.0, "Last bought less than a day ago; for customers like this one it is usually 1 day."),
        ("orders_30d", 0.0, 4.0, "No order in the last 30 days; customers like this one usually have 4 orders."),
        ("orders_30d", 1.0, 1.0, "1 order in the last 30 days, which is usual for customers like this one."),
        (
            "gap_mean_days",
            np.nan,
            9.0,
            "Has bought on one day only; customers like this one usually buy every 9 days.",
        ),
        (
            "orders_change_30d",
            -1.0,
            0.0,
            "Orders in the last 30 days against the 30 before: none, after some; customers like this one usually have as many.",
        ),
        (
            "spend_change_30d",
            -1 / 3,
            0.5,
            "Spending in the last 30 days against the 30 before: 50 % less; "
            "customers like this one usually spend 3 times as much.",
        ),
        (
            "rating_mean_180d",
            2.0,
            np.nan,
            "Rated 2 on average in the last 180 days; for most customers like this one this is unknown.",
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
            "40 % of the orders in the last 90 days were at the store of the latest one; "
            "customers like this one usually have 90 % there.",
        ),
        ("store_switch_rate_90d", np.nan, 0.2, "No two orders in a row with a known store in the last 90 days."),
        ("gap_spread_days", np.nan, 9.0, "Has bought on two days only, too few to show a rhythm."),
        (
            "gap_spread_days",
            12.0,
            np.nan,
            "The time between purchases varies by 12 days; most customers like this one have bought on two days only.",
        ),
        ("shopping_weeks_13w", 1.0, 5.0, "Bought in 1 of the last 13 weeks; customers like this one usually do in 5."),
        (
            "lines_per_order_90d",
            1.0,
            7.04,
            "1 line per order on average in the last 90 days; customers like this one usually have 7 lines.",
        ),
        ("orders_365d", 1.0, 12.0, "1 order in the last 365 days; customers like this one usually have 12 orders."),
        ("channel_switch_rate_90d", np.nan, np.nan, "No two orders in a row with a known channel in the last 90 days."),
        ("spend_90d", 1234.5, 12.5, "Spent 1,234 in the last 90 days; customers like this one usually spend 12.50."),
    ],
)
def test_a_sentence_for_a_shop_manager(usual: Usual, name: str, value: float, usually: float, expected: str) -> None:
    assert _write(usual, name, value, usually) == expected


@pytest.mark.parametrize(
    ("points", "aside", "is_timely", "expected"),
    [
        (9, np.nan, False, "Last bought 41 days ago; for customers like this one it is usually 9 days."),
        (
            9,
            6.2,
            False,
            "Last bought 41 days ago, after buying every 6.2 days on average; for customers like this one it is usually 9 days.",
        ),
        (
            -9,
            45,
            True,
            "Last bought 41 days ago, after buying every 45 days on average: the next purchase is due; "
            "for customers like this one it is usually 9 days.",
        ),
        (
            9,
            90,
            True,
            "Last bought 41 days ago, after buying every 90 days on average: the next purchase is not due yet; "
            "for customers like this one it is usually 9 days.",
        ),
    ],
)
def test_a_silence_is_told_with_the_rhythm(usual: Usual, points: float, aside: float, is_timely: bool, expected: str) -> None:
    written = _write(usual, "recency_days", 41.2, 9.04, points=points, aside=aside, is_timely=is_timely)
    assert written == expected


def test_of_who_bought_on_one_day_it_is_told_when(usual: Usual) -> None:
    written = _write(usual, "gap_mean_days", np.nan, 29.2, aside=58.9)
    assert written == "Has bought on one day only, 58 days ago; customers like this one usually buy every 29 days."


@pytest.mark.parametrize(
    ("name", "value", "usually", "aside", "expected"),
    [
        (
            "last_order_amount",
            12.3,
            250.4,
            2,
            "Spent 12.30 in the last order, on 2 lines; customers like this one usually spend 250.",
        ),
        ("last_order_amount", 12.3, 250.4, np.nan, "Spent 12.30 in the last order; customers like this one usually spend 250."),
        ("last_order_lines", 1, 5, 0.59, "1 line in the last order, for 0.59; customers like this one usually have 5 lines."),
        ("last_order_lines", 1, 5, np.nan, "1 line in the last order; customers like this one usually have 5 lines."),
        (
            "last_order_quantity",
            12,
            160,
            1393,
            "12 items in the last order, for 1,393; customers like this one usually buy 160 items.",
        ),
        (
            "last_order_discount_share",
            0.3,
            0,
            np.nan,
            "30 % of the price of the last order was discounted; customers like this one usually get 0 %.",
        ),
    ],
)
@pytest.mark.parametrize("num_orders", [2, 1])
def test_the_last_order_is_told_with_what_it_came_to(
    usual: Usual, num_orders: int, name: str, value: float, usually: float, aside: float, expected: str
) -> None:
    written = _write(usual, name, value, usually, aside=aside, num_orders=num_orders)
    assert written == (expected.replace("last order", "only order so far") if num_orders == 1 else expected)


@pytest.mark.parametrize(
    ("num_orders", "points", "hours", "expected"),
    [
        (2, 3, 17.9, "The last order was on a Monday at about 17:00 UTC, which is more common among customers who stop buying."),
        (2, -3, 144, "The last order was on a Sunday, which is more common among customers who keep coming."),
        (1, 3, 144, "The only order so far was on a Sunday, which is more common among customers who do not come back."),
        (
            1,
            -3,
            25,
            "The only order so far was on a Tuesday at about 1:00 UTC, which is more common among customers who come back.",
        ),
    ],
)
def test_the_time_of_the_last_order_is_told_with_who_else_buys_then(
    usual: Usual, num_orders: int, points: float, hours: float, expected: str
) -> None:
    assert _write(usual, "last_order_time", hours, np.nan, points=points, num_orders=num_orders) == expected


@pytest.mark.parametrize(
    ("num_orders", "points", "expected"),
    [
        (1, 3, "The only order so far (2017-11-03) is, on the whole, like that of customers who do not come back."),
        (1, -3, "The only order so far (2017-11-03) is, on the whole, like that of customers who come back."),
        (
            1234,
            3,
            "The pattern of the 1,234 orders so far, the latest on 2017-11-03, is like that of customers who stop buying.",
        ),
        (2, -3, "The pattern of the 2 orders so far, the latest on 2017-11-03, is like that of customers who keep coming."),
    ],
)
def test_recent_events_are_told_by_how_the_orders_followed_each_other(
    usual: Usual, num_orders: int, points: float, expected: str
) -> None:
    assert _write(usual, "recent_events", 7, 9, points=points, num_orders=num_orders) == expected


def test_many_customers_have_the_sentences_that_each_has_alone(explainer: Explainer, customers: Customers) -> None:
    found = _explain(explainer, customers)
    together = _sentences(explainer, found, customers)
    for row in range(0, len(customers.kept.states), 9):
        one = slice(row, row + 1)
        few = replace(found, **{field.name: getattr(found, field.name)[one] for field in fields(found) if field.name != "chain"})
        alone = write_sentences(
            few, explainer.usual, num_orders=customers.kept.num_orders[one], last_purchase_us=customers.kept.last_purchase_us[one]
        )
        assert alone.to_pylist() == together[NUM_REASONS * row : NUM_REASONS * (row + 1)]


def test_every_reason_has_words_for_every_value() -> None:
    assert set(WORDINGS) == {subject.name for subject in SUBJECTS} - {"last_order_time", "recent_events"}
    for wording in WORDINGS.values():
        for value in (-1.0, -0.3, 0.0, 0.004, 0.3, 1.0, 2.0, 37.2, 12_345.6):
            assert wording.render(value)
            assert wording.own.format(wording.render(value))
            assert "customers" in wording.unusual.format(who="customers like this one")
            assert "customers" in wording.usual.format(wording.render(value), who="customers like this one")
