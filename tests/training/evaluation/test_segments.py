"""Segments: everybody is in one of each dimension, and judged only where there is something to tell."""

from __future__ import annotations

import numpy as np
import pytest

from engine.history import History
from engine.labels import eligible
from tests.training.conftest import AS_OF_US
from training.evaluation.profit import ProfitConfig
from training.evaluation.segments import Traits, describe_customers, judge_segments


def _traits(num: int) -> Traits:
    random = np.random.default_rng(0)
    return Traits(
        tenure_days=random.uniform(0, 400, num),
        amount_minor=random.integers(0, 100_000, num),
        num_orders=random.integers(1, 60, num),
        store=np.asarray([f"s{code}" if code else "" for code in random.integers(0, 9, num)], object),
    )


def test_every_customer_is_in_one_segment_of_each_dimension() -> None:
    random = np.random.default_rng(1)
    probability = random.random(600)
    churned = random.random(600) < probability
    segments = judge_segments(
        churned, {"ebbtide": probability}, np.arange(600), _traits(600), profit=ProfitConfig(), num_resamples=20
    )
    dimensions = dict.fromkeys(segment.dimension for segment in segments)
    assert list(dimensions) == ["tenure", "value", "orders", "store"]
    for dimension in dimensions:
        members = [segment for segment in segments if segment.dimension == dimension]
        assert sum(segment.num_customers for segment in members) == 600
        assert sum(segment.num_customers * segment.base_rate for segment in members) == pytest.approx(churned.sum())
    assert [segment.name for segment in segments if segment.dimension == "store"][-2:] == ["3 other stores", "store not known"]


def test_a_segment_with_too_few_of_an_outcome_is_counted_and_not_judged() -> None:
    churned = np.arange(300) % 2 == 0
    traits = _traits(300)
    traits.num_orders[:] = 50
    traits.num_orders[:12] = 1
    segments = judge_segments(
        churned, {"ebbtide": np.linspace(0.1, 0.9, 300)}, np.arange(300), traits, profit=ProfitConfig(), num_resamples=20
    )
    by_name = {segment.name: segment for segment in segments}
    assert by_name["1 order"].num_customers == 12
    assert by_name["1 order"].estimates is None
    assert by_name["more than 30 orders"].estimates is not None


def test_a_log_without_amounts_or_stores_has_no_such_segments() -> None:
    traits = _traits(200)
    traits.amount_minor[:] = 0
    traits.store[:] = ""
    segments = judge_segments(
        np.arange(200) % 3 == 0, {"ebbtide": np.full(200, 0.3)}, np.arange(200), traits, profit=ProfitConfig(), num_resamples=20
    )
    assert {segment.dimension for segment in segments} == {"tenure", "orders"}


def test_traits_are_those_of_the_events_before_the_as_of(history: History) -> None:
    for partition in history.partitions():
        customers = eligible(partition, AS_OF_US, 60)
        traits = describe_customers(partition, customers, AS_OF_US)
        for place, customer in enumerate(customers[:20]):
            rows = np.arange(partition.offsets[customer], partition.offsets[customer + 1])
            rows = rows[partition.is_purchase[rows] & (partition.timestamp_us[rows] < AS_OF_US)]
            assert traits.num_orders[place] == len(rows)
            assert traits.amount_minor[place] == partition.amount_minor[rows].sum()
            assert traits.tenure_days[place] == (AS_OF_US - partition.timestamp_us[rows[0]]) / 86_400_000_000
            assert traits.store[place] == partition.store_names[partition.store_code[rows[-1]]]
