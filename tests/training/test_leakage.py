"""Nothing from the as-of on reaches a score: with another future the scores are the same to the bit.

The future is replaced for everybody: other customers, other times, other amounts, customers who were never there before. What the
test is worth is shown by leaks put in on purpose, each of which it finds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

import training.backtest.run as run
import training.baselines.question as question
import training.network.situation as situation
import training.passes.trial_pass as trial_pass
from engine.history import History
from engine.instants import DAY_US
from tests.training.conftest import AS_OF_US, QUICK, MakeHistory, draw_orders
from training.backtest import BacktestConfig, Window, run_backtest
from training.bundles.bundle import Bundle
from training.registry import register
from training.train import train

_LEAK_US = 10 * DAY_US
_CONFIG = BacktestConfig(
    as_of_us=(AS_OF_US,), train=QUICK, baselines=("logistic", "mbg_nbd", "recency", "frequency"), num_resamples=10
)


@pytest.fixture(scope="module")
def futures(make_history: MakeHistory) -> tuple[History, History]:
    """The same past with two futures."""
    orders = pa.table(draw_orders(num_customers=160))
    instants = pc.cast(orders["timestamp"], pa.int64()).to_numpy()
    past, future = orders.filter(pa.array(instants < AS_OF_US)), orders.filter(pa.array(instants >= AS_OF_US))
    random = np.random.default_rng(5)
    num = future.num_rows
    shuffled = pa.table(
        {
            "customer_id": pa.array(random.integers(0, 200, 2 * num)),  # 160 and more are new
            "timestamp": pa.array(AS_OF_US + random.integers(0, 39 * DAY_US, 2 * num)).cast(pa.timestamp("us")),
            "amount": pa.array(np.round(random.lognormal(6, 2, 2 * num), 2)),
            "store_id": pa.array(random.integers(0, 9, 2 * num)),
        }
    )
    last = future.slice(int(np.argmax(pc.cast(future["timestamp"], pa.int64()).to_numpy())), 1)
    return tuple(
        make_history(dict(zip(orders.column_names, pa.concat_tables([past, after]).combine_chunks().columns, strict=True)))
        for after in (future, pa.concat_tables([shuffled, last]))
    )


@pytest.fixture(scope="module")
def bundle(futures: tuple[History, History], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    trained = train(futures[0], as_of_us=AS_OF_US, config=QUICK)
    return register(tmp_path_factory.mktemp("store"), trained)


def test_scores_do_not_change_by_a_bit(futures: tuple[History, History]) -> None:
    one, other = _check_blind(futures)
    assert (one.churned != other.churned).any()  # or nothing would have been shown


def test_trees_do_not_change_by_a_bit(futures: tuple[History, History], bundle: Bundle) -> None:
    _check_blind(futures, bundle, replace(_CONFIG, baselines=("lightgbm",)))


def _train_on_later_events(monkeypatch: pytest.MonkeyPatch) -> None:
    _later(monkeypatch, trial_pass, "take_past", "before_us")


def _learn_outcomes_not_known_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    _later(monkeypatch, run, "take_past", "before_us")
    _later(monkeypatch, question, "queries_at", "known_until_us")


def _count_later_events(monkeypatch: pytest.MonkeyPatch) -> None:
    own = situation.compute_summary
    monkeypatch.setattr(
        situation, "compute_summary", lambda partition, customers, as_of_us: own(partition, customers, as_of_us + _LEAK_US)
    )


def _count_the_chains_later_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    own = run.outlook_at

    class Ahead:
        def __init__(self, activity: Any) -> None:
            self._activity = activity

        def orders_before(self, as_of_us: Any, window_days: int) -> Any:
            return self._activity.orders_before(as_of_us + _LEAK_US, window_days)

        def season_ahead(self, as_of_us: Any, num_days: int, **known: Any) -> Any:
            return self._activity.season_ahead(as_of_us, num_days, **known)

        def days_before(self, as_of_us: Any) -> Any:
            return self._activity.days_before(as_of_us)

    monkeypatch.setattr(
        run, "outlook_at", lambda model, partition, activity, *rest: own(model, partition, Ahead(activity), *rest)
    )


def _read_later_events(monkeypatch: pytest.MonkeyPatch) -> None:
    own = run.outlook_at
    monkeypatch.setattr(
        run,
        "outlook_at",
        lambda model, partition, activity, customers, instants: own(model, partition, activity, customers, instants + _LEAK_US),
    )


def test_a_training_that_leaks_is_found(futures: tuple[History, History], monkeypatch: pytest.MonkeyPatch) -> None:
    _train_on_later_events(monkeypatch)
    with pytest.raises(AssertionError, match="ebbtide saw the future"):
        _check_blind(futures)


@pytest.mark.filterwarnings("ignore:invalid value encountered")  # a leak may give a baseline times below zero
@pytest.mark.parametrize(
    "leak",
    [
        _learn_outcomes_not_known_yet,
        _count_later_events,
        _count_the_chains_later_orders,
        _read_later_events,
    ],
)
def test_a_scoring_that_leaks_is_found(
    leak: Any, futures: tuple[History, History], bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    leak(monkeypatch)
    with pytest.raises(AssertionError, match="saw the future"):
        _check_blind(futures, bundle)


def _check_blind(
    futures: tuple[History, History], bundle: Bundle | None = None, config: BacktestConfig = _CONFIG
) -> tuple[Window, Window]:
    one, other = (run_backtest(history, config, bundle=bundle).windows[0] for history in futures)
    assert one.customer_ids.equals(other.customer_ids)
    for model, scores in one.probability.items():
        assert (scores == other.probability[model]).all(), f"{model} saw the future"
    return one, other


def _later(monkeypatch: pytest.MonkeyPatch, module: Any, function: str, argument: str) -> None:
    own = getattr(module, function)

    def leaking(*arguments: Any, **named: Any) -> Any:
        return own(*arguments, **{**named, argument: named[argument] + _LEAK_US})

    monkeypatch.setattr(module, function, leaking)
