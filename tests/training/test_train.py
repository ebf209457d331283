"""Training sees the past alone, repeats itself to the bit, takes whatever a chain has, and refuses what cannot be learnt from."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
import torch

from engine.errors import AsOfError, InvalidArgumentError
from engine.history import History
from engine.instants import DAY_US
from engine.labels import eligible
from tests.training.conftest import AS_OF_US, FIRST_US, QUICK, MakeHistory, draw_orders
from training.config import ModelConfig, TrainConfig
from training.inference import survival_curves
from training.network.calibration import Calibration
from training.network.tokens import TOKEN_NAMES
from training.train import train
from training.trained import TrainedModel, TrainProgress


def assert_same_bits(one: TrainedModel, other: TrainedModel) -> None:
    first, second = one.model.network.state_dict(), other.model.network.state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert one.model.calibration == other.model.calibration
    assert one.validation == other.validation
    assert one.reference == other.reference
    for name in ("token_normaliser", "situation_normaliser"):
        a, b = getattr(one.model, name), getattr(other.model, name)
        assert a.mean.tobytes() == b.mean.tobytes()
        assert a.scale.tobytes() == b.scale.tobytes()


def scores(trained: TrainedModel, history: History) -> dict[str, bytes]:
    found = {}
    for partition in history.partitions():
        customers = eligible(partition, AS_OF_US, 60)
        curves = survival_curves(trained.model, partition, history.activity(), customers, np.full(len(customers), AS_OF_US))
        ids = partition.customer_ids.take(pa.array(customers)).to_pylist()
        found.update(zip(ids, (row.tobytes() for row in curves), strict=True))
    return found


def test_nothing_at_or_after_the_as_of_changes_a_bit(trained: TrainedModel, history: History, make_history: MakeHistory) -> None:
    orders = pa.table(draw_orders())
    as_of = pa.scalar(AS_OF_US, pa.timestamp("us"))
    before = orders.filter(pc.less(orders["timestamp"], as_of))
    later = orders.filter(pc.greater_equal(orders["timestamp"], as_of))
    other = later.set_column(2, "amount", pc.multiply(later["amount"], 1000.0)).set_column(
        0, "customer_id", pc.add(later["customer_id"], 100_000)
    )
    removed = make_history(dict(zip(before.column_names, before.columns, strict=True)))
    changed_orders = pa.concat_tables([before, other])
    changed = make_history(dict(zip(changed_orders.column_names, changed_orders.columns, strict=True)))
    expected = scores(trained, history)
    for altered in (removed, changed):
        again = train(altered, as_of_us=AS_OF_US, config=QUICK)
        assert_same_bits(trained, again)
        assert scores(again, altered) == expected


def test_the_seed_decides_and_nothing_else(trained: TrainedModel, history: History) -> None:
    torch.manual_seed(12345)
    state = torch.random.get_rng_state()
    again = train(history, as_of_us=AS_OF_US, config=QUICK)
    assert_same_bits(trained, again)
    assert torch.equal(torch.random.get_rng_state(), state)
    other = train(history, as_of_us=AS_OF_US, config=replace(QUICK, seed=1))
    assert not torch.equal(other.model.network.rates.weight, trained.model.network.rates.weight)


def test_threads_are_as_before(history: History) -> None:
    before = torch.get_num_threads()
    train(history, as_of_us=AS_OF_US, config=replace(QUICK, num_epochs=1))
    assert torch.get_num_threads() == before


def test_every_epoch_is_told(history: History) -> None:
    told: list[TrainProgress] = []
    train(history, as_of_us=AS_OF_US, config=QUICK, progress=told.append)
    assert [at.epoch for at in told] == list(range(1, told[-1].num_epochs + 1))
    assert all(np.isfinite(at.loss) for at in told)
    assert told[0].validation is not None


def test_it_learns_more_than_the_base_rate(history: History) -> None:
    trained = train(history, as_of_us=AS_OF_US, config=replace(QUICK, num_epochs=10, instants_per_epoch=12))
    base_rate = trained.validation["base_rate"]
    assert trained.validation["auc"] > 0.6
    assert trained.validation["brier"] < base_rate * (1 - base_rate)


@pytest.mark.parametrize("columns", [("customer_id", "timestamp"), ("customer_id", "timestamp", "amount")])
def test_missing_sources_do_not_matter(make_history: MakeHistory, columns: tuple[str, ...]) -> None:
    orders = draw_orders(integer_ids=False)
    trained = train(make_history({name: orders[name] for name in columns}), as_of_us=AS_OF_US, config=QUICK)
    assert np.isfinite(trained.validation["log_loss"])


def test_one_time_buyers_alone_can_be_learnt_from(make_history: MakeHistory) -> None:
    history = make_history(draw_orders(num_customers=600, one_time_share=0.9))
    trained = train(history, as_of_us=AS_OF_US, config=QUICK)
    assert np.isfinite(trained.validation["log_loss"])


def test_a_large_history_is_learnt_from_a_sample(history: History, trained: TrainedModel) -> None:
    sampled = train(history, as_of_us=AS_OF_US, config=replace(QUICK, max_events=1500))
    assert sampled.num_customers < trained.num_customers


def test_bins_beyond_the_data_keep_the_last_known_rate(trained: TrainedModel) -> None:
    rates = trained.model.network.rates
    # 365 days cannot be seen in half a year.
    assert torch.equal(rates.weight[-1], rates.weight[-2])
    assert torch.equal(rates.bias[-1], rates.bias[-2])


def test_a_short_past_teaches_no_time_of_the_year(trained: TrainedModel) -> None:
    scale = trained.model.token_normaliser.scale
    for name in ("year_sin", "year_cos"):
        assert scale[TOKEN_NAMES.index(name)] == 0
    assert scale[TOKEN_NAMES.index("weekday_sin")] > 0


def test_too_short_a_past_is_refused_with_what_is_needed(history: History) -> None:
    with pytest.raises(AsOfError, match=r"found 5 days of events before 2024-01-07.*expected at least 14.*baseline recency"):
        train(history, as_of_us=FIRST_US + 20 * DAY_US, config=QUICK)


def test_the_as_of_to_wait_for_is_told_from_one_that_the_log_has(history: History) -> None:
    with pytest.raises(AsOfError) as early:
        train(history, as_of_us=FIRST_US + 20 * DAY_US, config=QUICK)
    assert "choose an as-of from 2024-01-30 on, or a shorter horizon" in str(early.value)
    with pytest.raises(AsOfError, match="on, once the log goes as far, or a shorter horizon"):
        train(history, as_of_us=FIRST_US + 20 * DAY_US, config=replace(QUICK, horizon_days=300))


def test_too_few_customers_are_refused_with_what_is_needed_and_offered_the_recency_baseline(make_history: MakeHistory) -> None:
    history = make_history(draw_orders(num_customers=5))
    with pytest.raises(AsOfError, match=r"found \d customers .*expected at least 20 to learn from.*baseline recency"):
        train(history, as_of_us=AS_OF_US, config=QUICK)


def test_a_chain_to_which_nobody_came_back_is_refused_and_offered_the_recency_baseline(make_history: MakeHistory) -> None:
    orders = pa.table(draw_orders(num_customers=60, one_time_share=1.0))
    # A second till receipt a minute later is no second visit.
    again = orders.slice(0, 5)
    again = again.set_column(1, "timestamp", pc.add(again["timestamp"], pa.scalar(60_000_000, pa.duration("us"))))
    both = pa.concat_tables([orders, again])
    history = make_history(dict(zip(both.column_names, both.columns, strict=True)))
    with pytest.raises(AsOfError, match=r"found \d+ customers before 2024-04-16.*none of whom .* second day.*baseline recency"):
        train(history, as_of_us=FIRST_US + 120 * DAY_US, config=QUICK)


def test_an_as_of_before_the_data_is_refused(history: History) -> None:
    with pytest.raises(AsOfError, match="2024-01-02"):
        train(history, as_of_us=FIRST_US - DAY_US, config=QUICK)


def test_a_chain_too_small_to_choose_on_is_learnt_from_by_the_defaults(make_history: MakeHistory) -> None:
    history = make_history(draw_orders(num_customers=30))
    trained = train(history, as_of_us=AS_OF_US, config=QUICK)
    assert trained.validation == {}
    assert trained.model.calibration == Calibration()
    partition = next(part for part in history.partitions() if part.num_customers)
    survival = survival_curves(trained.model, partition, history.activity(), np.zeros(1, np.int64), np.array([AS_OF_US]))
    assert np.isfinite(survival).all()


def test_a_past_in_which_nobody_was_active_is_refused(make_history: MakeHistory) -> None:
    days = [0, 1, 2, 181]  # nothing in the months before the held-out window
    history = make_history(
        {
            "customer_id": pa.array([1, 2, 3, 1]),
            "timestamp": pa.array([FIRST_US + day * DAY_US for day in days], pa.timestamp("us")),
        }
    )
    with pytest.raises(AsOfError, match=r"found no customer with a purchase in the \d+ days before"):
        train(history, as_of_us=AS_OF_US, config=QUICK)


@pytest.mark.parametrize(
    ("setting", "value"), [("horizon_days", 0), ("horizon_days", 366), ("num_epochs", 0), ("learning_rate", float("nan"))]
)
def test_settings_out_of_their_limits_are_refused(setting: str, value: float) -> None:
    with pytest.raises(InvalidArgumentError, match=setting):
        TrainConfig(**{setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("edges_days", [(), (1.0,), (0.0, 1.0), (2.0, 1.0), (1.0, 1.0)])
def test_edges_have_to_ascend(edges_days: tuple[float, ...]) -> None:
    with pytest.raises(InvalidArgumentError, match="edges_days"):
        ModelConfig(edges_days=edges_days)
