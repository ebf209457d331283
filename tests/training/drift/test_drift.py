"""Drift is none from the chain itself, and is found where customers, promises or churn have changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from engine.errors import AsOfError, InvalidArgumentError
from engine.history import History
from engine.indicators import INDICATOR_COLUMNS, NUM_COLUMNS
from engine.instants import DAY_US, parse_instant
from tests.training.conftest import AS_OF_US, FIRST_US, MakeHistory, draw_orders
from training.bundles.bundle import Bundle
from training.data.panel import ask_panel
from training.drift.measuring import DriftConfig, measure_drift
from training.drift.reference import measure_reference
from training.registry import register
from training.trained import TrainedModel

LATER_US = AS_OF_US + 35 * DAY_US


@pytest.fixture(scope="module")
def bundle(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return register(tmp_path_factory.mktemp("store"), trained)


def with_reference(bundle: Bundle, **changes: float) -> Bundle:
    trained = bundle.trained
    return replace(bundle, trained=replace(trained, reference=replace(trained.reference, **changes)))


def test_a_chain_has_not_moved_from_itself(history: History, bundle: Bundle) -> None:
    report = measure_drift(history, bundle, as_of_us=AS_OF_US)
    assert report.num_customers == report.num_customers_before
    assert report.shifts[0].name == "score"
    assert len(report.shifts) == 1 + NUM_COLUMNS
    # A score on the border of two bins may round to either side when other customers are asked beside.
    assert max(shift.psi for shift in report.shifts) < 1e-3
    assert (report.windows, report.calls_for_training) == ((), False)
    assert "no window has been completed" in report.not_judged[0]
    assert np.isnan(report.repurchase_fall)


def test_windows_are_newest_first_and_never_older_than_the_reference(history: History, bundle: Bundle) -> None:
    report = measure_drift(history, bundle, as_of_us=LATER_US, config=DriftConfig(psi=100, months_over=6))
    assert [window.as_of_us for window in report.windows] == [LATER_US - 14 * DAY_US, LATER_US - 44 * DAY_US]
    assert [window.is_seen for window in report.windows] == [False, True]
    newest = report.windows[0]
    assert report.repurchase_fall == pytest.approx(1 - (1 - newest.churn_rate) / (1 - bundle.trained.reference.churn_rate))
    assert 0 < report.calibration_error < 1
    assert not report.calls_for_training


def test_more_leaving_than_before_calls_for_training(history: History, bundle: Bundle) -> None:
    config = DriftConfig(psi=100, months_over=2)
    report = measure_drift(history, with_reference(bundle, churn_rate=0.15), as_of_us=LATER_US, config=config)
    assert report.num_months_over == 2
    assert [reason.split()[1] for reason in report.reasons] == ["repurchase", "churn"]
    assert report.calls_for_training
    # One month more is asked for than there is, and more of a fall than there was.
    calm = DriftConfig(psi=100, months_over=3, repurchase_fall=0.9)
    assert not measure_drift(history, with_reference(bundle, churn_rate=0.15), as_of_us=LATER_US, config=calm).reasons


def test_a_little_more_churn_is_taken_for_chance(history: History, bundle: Bundle) -> None:
    rate = measure_drift(history, bundle, as_of_us=LATER_US).windows[0].churn_rate
    report = measure_drift(history, with_reference(bundle, churn_rate=rate - 0.01), as_of_us=LATER_US)
    assert not report.windows[0].is_over


def test_other_baskets_are_noticed_and_may_be_let_pass(make_history: MakeHistory, bundle: Bundle) -> None:
    orders = draw_orders()
    is_late = np.asarray(orders["timestamp"].cast(pa.int64())) >= parse_instant("2024-05-01")
    orders["amount"] = pa.array(np.round(np.asarray(orders["amount"]) * np.where(is_late, 3.0, 1.0), 2))
    history = make_history(orders)
    report = measure_drift(history, bundle, as_of_us=LATER_US)
    over = {shift.name for shift in report.shifts if shift.is_over}
    assert {"spend_90d", "basket_90d"} <= over
    assert "orders_90d" not in over
    assert any("basket_90d is" in reason for reason in report.reasons)
    quiet = measure_drift(history, bundle, as_of_us=LATER_US, config=DriftConfig(ignored=tuple(over)))
    assert not any("stability" in reason for reason in quiet.reasons)


def test_a_chain_that_only_gets_older_has_not_moved(make_history: MakeHistory, bundle: Bundle) -> None:
    random = np.random.default_rng(3)
    customers = np.repeat(np.arange(600), 40)
    # Everybody was there before the log began, and buys as ever.
    days = np.concatenate([np.cumsum(random.exponential(gap, 40)) for gap in random.uniform(8, 30, 600)]) - 60
    kept = (days >= 0) & (days < 320)
    amounts = np.round(random.lognormal(3, 0.6, len(days)), 2)
    times = pa.array(FIRST_US + (days[kept] * DAY_US).astype(np.int64), pa.timestamp("us"))
    chain = make_history({"customer_id": pa.array(customers[kept]), "timestamp": times, "amount": pa.array(amounts[kept])})
    then_us, now_us = FIRST_US + 75 * DAY_US, FIRST_US + 300 * DAY_US
    then = ask_panel(chain, {"score": bundle.model}, as_of_us=then_us, horizon_days=14, active_within_days=60)
    reference = measure_reference(then.indicators, then.probability["score"], then.churned, log_days=75)
    old = replace(bundle, trained=replace(bundle.trained, as_of_us=then_us, first_event_us=FIRST_US, reference=reference))
    report = measure_drift(chain, old, as_of_us=now_us)
    found = {shift.name: shift for shift in report.shifts}
    assert max(found[name].psi for name in INDICATOR_COLUMNS) < 0.1
    assert found["basket_change_90d"].unknown_before == found["basket_change_90d"].unknown_now == 1.0


def test_too_few_customers_are_not_judged(history: History, bundle: Bundle) -> None:
    report = measure_drift(history, bundle, as_of_us=LATER_US, config=DriftConfig(least_customers=100_000))
    assert (report.shifts, report.windows, report.reasons, report.is_judged) == ((), (), (), False)
    assert len(report.not_judged) == 2


def test_nothing_after_the_as_of_is_looked_at(make_history: MakeHistory, history: History, bundle: Bundle) -> None:
    orders = pa.table(draw_orders())
    early = orders.filter(pa.compute.less(orders["timestamp"], pa.scalar(LATER_US, pa.timestamp("us"))))
    cut = make_history(dict(zip(early.column_names, early.columns, strict=True)))
    assert measure_drift(cut, bundle, as_of_us=LATER_US) == measure_drift(history, bundle, as_of_us=LATER_US)


def test_a_date_before_the_training_is_refused(history: History, bundle: Bundle, tmp_path: Path) -> None:
    with pytest.raises(AsOfError, match="choose a later date"):
        measure_drift(history, bundle, as_of_us=AS_OF_US - DAY_US)


@pytest.mark.parametrize("changes", [{"psi": 0}, {"repurchase_fall": 1.5}, {"months_over": 0}, {"ignored": ("shoe_size",)}])
def test_thresholds_have_limits(changes: dict[str, object]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(changes))):
        DriftConfig(**changes)  # type: ignore[arg-type]
