"""Lead time on customers whose story is written by hand: days from 0, a walk every 30 days from day 100 to day 400."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import InvalidArgumentError
from engine.instants import DAY_US
from engine.partition import Partition
from engine.schema import NO_RATING, EventKind
from training.evaluation.lead_time import LeadTimeConfig, Ranker, Walk, walk, why_no_walk

_START, _END = 100, 400
_CONFIG = LeadTimeConfig(alarmed_share=0.25)


def _partition(days: list[list[float]]) -> Partition:
    lengths = [len(own) for own in days]
    times = np.asarray([day for own in days for day in own])
    size = len(times)
    zeros = np.zeros(size, np.int64)
    return Partition(
        customer_ids=pa.array([f"c{number}" for number in range(len(days))]),
        offsets=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        timestamp_us=(times * DAY_US).astype(np.int64),
        kind=np.full(size, EventKind.PURCHASE, np.uint8),
        amount_minor=zeros,
        discount_minor=zeros,
        quantity_milli=zeros,
        num_lines=zeros.astype(np.int32),
        num_products=zeros.astype(np.int32),
        num_categories=zeros.astype(np.int32),
        store_code=zeros.astype(np.int32),
        channel_code=zeros.astype(np.int32),
        rating_milli=np.full(size, NO_RATING, np.int32),
        store_names=(),
        channel_names=(),
    )


def _weekly(stop: float) -> list[float]:
    return [float(day) for day in np.arange(3, stop, 7)]


def _walk(days: list[list[float]], ranker: Ranker, *, active_within_days: int = 90) -> Walk:
    starts = [_START * DAY_US]
    return walk(
        _partition(days), [{"a": ranker}], starts, end_us=_END * DAY_US, active_within_days=active_within_days, config=_CONFIG
    )


def _always(customer: int) -> Ranker:
    """Points at one customer of four, whatever happened."""
    return lambda partition, customers, instant: (customers == customer).astype(np.float64)


def test_an_alarm_on_who_left_is_right_and_leads_the_rule() -> None:
    # Customer 0 buys last on day 150; the rule speaks on day 240. The walk stands at 100, 130, 160, …: the first alarm of the
    # last spell comes at 160. The alarms of the spells before it, at 100 and 130, were followed by purchases.
    days = [[*_weekly(145), 150.0], *(_weekly(_END) for _ in range(3))]
    found = _walk(days, _always(0)).by_ranker["a"]
    assert found.num_left == 1
    assert list(found.lead_days) == [80.0]
    assert (found.num_right, found.num_right_in_time) == (1, 1)
    # At 100 the customer's spell had begun before the walk, on day 94: it does not count. The one of 130 does. From 250 on the
    # customer is not eligible any more, and at five instants one of the others is alarmed in vain.
    assert (found.num_false, found.num_undecided) == (6, 0)
    assert found.median_lead_days == 80.0
    assert found.share_in_time == 1.0
    assert found.accuracy == pytest.approx(1 / 7)
    assert found.false_alarms_per_right == 6.0


def test_who_left_unseen_has_no_lead() -> None:
    days = [[*_weekly(145), 150.0], *(_weekly(_END) for _ in range(3))]
    found = _walk(days, _always(1)).by_ranker["a"]
    assert (found.num_left, found.num_right, found.median_lead_days, found.share_in_time) == (1, 0, 0.0, 0.0)
    assert math.isnan(found.false_alarms_per_right)
    assert found.num_false > 5


def test_silence_at_the_end_of_the_log_is_undecided() -> None:
    days = [_weekly(350), *(_weekly(_END) for _ in range(3))]
    found = _walk(days, _always(0)).by_ranker["a"]
    assert found.num_left == 0
    assert found.num_undecided == 1
    assert math.isnan(found.median_lead_days)


def test_an_alarm_after_the_rule_spoke_is_no_alarm() -> None:
    days = [[*_weekly(145), 150.0], *(_weekly(_END) for _ in range(3))]

    def late(partition: Partition, customers: np.ndarray, instant: int) -> np.ndarray:
        return (customers == (0 if instant >= 250 * DAY_US else 1)).astype(np.float64)

    assert _walk(days, late, active_within_days=365).by_ranker["a"].num_right == 0


def test_the_rule_itself_is_counted() -> None:
    gone = [*_weekly(145), 150.0]
    back = [*_weekly(145), 150.0, 260.0, *(float(day) for day in np.arange(262, _END, 7))]
    found = _walk([gone, back, _weekly(_END), _weekly(_END)], _always(0))
    assert (found.rule_right, found.rule_false) == (1, 1)


def test_each_start_brings_its_own_ranker() -> None:
    days = [[*_weekly(145), 150.0], *(_weekly(_END) for _ in range(3))]
    starts = [_START * DAY_US, 200 * DAY_US]
    found = walk(
        _partition(days),
        [{"a": _always(1)}, {"a": _always(0)}],
        starts,
        end_us=_END * DAY_US,
        active_within_days=90,
        config=_CONFIG,
    )
    assert list(found.by_ranker["a"].lead_days) == [20.0]  # at day 220, the first instant of the second ranker


def test_another_way_to_rank_is_allowed_as_many_false_alarms() -> None:
    # The first alarms one of four at each step. The second finds who left at once, and alarms a second in vain.
    days = [[*_weekly(145), 150.0], *(_weekly(_END) for _ in range(7))]

    def blunt(partition: Partition, customers: np.ndarray, instant: int) -> np.ndarray:
        return np.where(customers == 0, 2.0, np.where(customers == 1, 1.0, 0.0))

    found = walk(
        _partition(days),
        [{"sharp": _always(0), "blunt": blunt}],
        [_START * DAY_US],
        end_us=_END * DAY_US,
        active_within_days=90,
        config=LeadTimeConfig(alarmed_share=0.125),
    )
    sharp, matched = found.by_ranker["sharp"], found.matched["blunt"]
    assert set(found.matched) == {"blunt"}
    assert 0 < matched.num_false <= sharp.num_false
    assert matched.num_right == sharp.num_right == 1
    wide = walk(
        _partition(days),
        [{"sharp": _always(0), "blunt": blunt}],
        [_START * DAY_US],
        end_us=_END * DAY_US,
        active_within_days=90,
        config=LeadTimeConfig(alarmed_share=0.5),
    )
    assert wide.matched["blunt"].num_false == pytest.approx(wide.by_ranker["sharp"].num_false, abs=8)


def test_a_history_too_short_says_how_much_is_needed() -> None:
    assert why_no_walk(0, 120 * DAY_US, LeadTimeConfig()) is None
    reason = why_no_walk(0, 119 * DAY_US, LeadTimeConfig())
    assert reason is not None
    assert "needs 120 days" in reason
    assert "found 119" in reason


@pytest.mark.parametrize("wrong", [{"rule_days": 0}, {"step_days": -1}, {"alarmed_share": 1.0}])
def test_settings_out_of_their_limits_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(wrong))):
        LeadTimeConfig(**wrong)
