"""A back-test of a small chain: files of the right shape, honest baselines, no look ahead."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import AsOfError, InvalidArgumentError
from engine.history import History
from engine.instants import DAY_US
from serving.risk import DEFAULT_THRESHOLDS
from tests.training.conftest import AS_OF_US, FIRST_US, QUICK, MakeHistory, draw_orders
from training.backtest import Backtest, BacktestConfig, BacktestProgress, run_backtest
from training.backtest.value import days_to_judge
from training.baselines import QUICK_BASELINES
from training.bundles.bundle import Bundle
from training.config import ModelConfig, TrainConfig
from training.evaluation.lead_time import LeadTimeConfig
from training.evaluation.metrics import FURTHER_METRIC_NAMES, METRIC_NAMES, metrics
from training.evaluation.value import VALUE_METRIC_NAMES
from training.registry import register
from training.report import describe_backtest, draw_report, write_backtest
from training.trained import TrainedModel


@pytest.fixture(scope="module")
def bundle(trained: TrainedModel, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return register(tmp_path_factory.mktemp("store"), trained)


@pytest.fixture(scope="module")
def result(history: History, bundle: Bundle) -> Backtest:
    return run_backtest(history, _config(AS_OF_US), bundle=bundle)


def test_the_files_hold_what_was_found(result: Backtest, bundle: Bundle, tmp_path: Path) -> None:
    write_backtest(result, tmp_path / "new" / "out")
    assert sorted(path.name for path in (tmp_path / "new" / "out").iterdir()) == [
        "metrics.json",
        "predictions.parquet",
        "report.html",
    ]
    predictions = pq.read_table(tmp_path / "new" / "out" / "predictions.parquet")
    assert predictions.schema.names == ["customer_id", "churn_probability", "churned", "as_of", "horizon_days"]
    assert predictions.schema.types[:3] == [pa.int64(), pa.float64(), pa.bool_()]
    document = json.loads((tmp_path / "new" / "out" / "metrics.json").read_text())
    assert (document["as_of"], document["horizon_days"], document["active_within_days"]) == ("2024-07-01", 14, 60)
    assert document["bundle"]["content_hash"] == bundle.content_hash
    assert set(document["models"]) == {"ebbtide", *QUICK_BASELINES}
    assert all(set(found) == {*METRIC_NAMES, *FURTHER_METRIC_NAMES} for found in document["models"].values())
    churned = predictions["churned"].to_numpy()
    recomputed = metrics(churned, predictions["churn_probability"].to_numpy())
    assert {name: document["models"]["ebbtide"][name] for name in METRIC_NAMES} == pytest.approx(recomputed)


def test_what_is_known_of_the_metrics_stands_beside_them(result: Backtest) -> None:
    document = describe_backtest(result)
    low, high = document["intervals"]["ebbtide"]["auc"]
    assert low < document["models"]["ebbtide"]["auc"] < high
    difference = document["differences"]["lightgbm"]["auc"]
    expected = document["models"]["ebbtide"]["auc"] - document["models"]["lightgbm"]["auc"]
    assert difference["difference"] == pytest.approx(expected)
    assert difference["low"] <= difference["difference"] <= difference["high"]
    assert document["best_baseline"] in QUICK_BASELINES
    assert {segment["dimension"] for segment in document["segments"]} == {"tenure", "value", "orders", "store"}
    assert sum(grade["num_churned"] + grade["num_retained"] for grade in document["grades"]) == result.predictions.num_rows
    assert document["lead_time"]["available"] is False
    assert "120 days" in document["lead_time"]["reason"]
    (value,) = document["value"]  # a quarter is not known to its end
    assert (value["days"], value["unit"], value["as_of"]) == (14, "currency", ["2024-07-01"])
    assert value["num_customers"] == result.predictions.num_rows
    assert set(value["models"]) == {"ebbtide", "past_rate", "mbg_nbd_gamma_gamma"}
    assert set(value["models"]["ebbtide"]) == set(VALUE_METRIC_NAMES)
    assert document["windows"][0]["models"] == document["models"] == document["pooled"][0]["models"]
    assert document["models"]["constant"]["calibration_slope"] is None


def test_origins_and_horizons_are_judged_apart_and_together(history: History, trained: TrainedModel, tmp_path: Path) -> None:
    early = register(tmp_path / "early", replace(trained, as_of_us=AS_OF_US - 60 * DAY_US))  # as if it had seen no more
    config = replace(_config(AS_OF_US, AS_OF_US - 60 * DAY_US), further_horizons_days=(30,), baselines=("recency", "frequency"))
    quick_walk = replace(config, lead_time=LeadTimeConfig(rule_days=30, step_days=15, goal_days=10))
    result = run_backtest(history, quick_walk, bundle=early)
    places = [(window.as_of_us[0], window.horizon_days) for window in result.windows]
    assert places == [(AS_OF_US - 60 * DAY_US, 14), (AS_OF_US, 14), (AS_OF_US - 60 * DAY_US, 30), (AS_OF_US, 30)]
    assert [window.horizon_days for window, _ in result.pooled] == [14, 30]
    assert result.predictions.num_rows == sum(len(window.churned) for window in result.windows)
    document = describe_backtest(result)
    assert document["as_of"] == ["2024-05-02", "2024-07-01"]
    assert document["horizon_days"] == 14
    assert document["models"]["ebbtide"]["num_customers"] == sum(len(window.churned) for window in result.windows[:2])
    assert [entry["as_of"] for entry in document["windows"]] == 2 * ["2024-05-02", "2024-07-01"]
    assert document["lead_time"]["available"] is True
    assert set(document["lead_time"]["models"]) == {"ebbtide", "recency"}
    assert document["lead_time"]["models"]["ebbtide"]["num_left"] > 0
    # Longer horizons are lived through by fewer: the curves of one training serve both.
    assert (result.windows[2].probability["ebbtide"] <= result.windows[0].probability["ebbtide"]).all()
    page = draw_report(result)
    assert "ROC-AUC by as-of" in page
    assert "Time of the first alarm" in page


def test_the_page_holds_everything_and_fetches_nothing(result: Backtest) -> None:
    page = draw_report(result)
    document = ElementTree.fromstring(
        page.removeprefix("<!doctype html>\n")
        .replace('<meta charset="utf-8">', "")
        .replace('<meta name="viewport" content="width=device-width, initial-scale=1">', "")
    )  # well-formed, so that no browser has to guess
    drawings = [drawing.get("aria-label") for drawing in document.iter("{http://www.w3.org/2000/svg}svg")]
    assert {"ROC curve", "Precision and recall", "Calibration", "Gain", "Lift by decile", "Scores of ebbtide"} <= set(drawings)
    assert not re.search(r"(src|href)=|url\(|@import|<script", page)
    assert "nan" not in re.sub(r"[a-z]*tenant|finance", "", re.sub(r"<style>.*?</style>", "", page, flags=re.S)).lower()
    assert "2024-07-01" in page


def test_names_from_the_data_cannot_steer_the_page(result: Backtest) -> None:
    window, judgement = result.pooled[0]
    segments = [replace(judgement.segments[0], name="store <script>alert(1)</script>"), *judgement.segments[1:]]
    page = draw_report(replace(result, pooled=((window, replace(judgement, segments=segments)),)))
    assert "<script" not in page
    assert "&lt;script&gt;" in page


def test_each_customer_is_asked_about_once_and_labelled_by_what_happened(result: Backtest) -> None:
    orders = pa.table(draw_orders()).select(["customer_id", "timestamp"])
    instants: dict[int, list[int]] = {}
    for customer, at in zip(orders[0].to_pylist(), orders[1].cast(pa.int64()).to_pylist(), strict=True):
        instants.setdefault(customer, []).append(at)
    expected = {
        customer: not any(AS_OF_US <= at < AS_OF_US + 14 * DAY_US for at in found)
        for customer, found in instants.items()
        if any(AS_OF_US - 60 * DAY_US <= at < AS_OF_US for at in found)
    }
    rows = result.predictions.to_pylist()
    assert len(rows) == len(expected)
    assert {row["customer_id"]: row["churned"] for row in rows} == expected


def test_ids_that_no_int64_holds_stay_texts(result: Backtest) -> None:
    """As a history has them that was ingested when such ids still counted as integers."""
    ids = pa.array([str(2**63 + number) for number in range(len(result.windows[0].churned))])
    predictions = replace(result, windows=(replace(result.windows[0], customer_ids=ids),)).predictions
    assert predictions["customer_id"].to_pylist() == ids.to_pylist()


@pytest.mark.parametrize(("known_days", "expected"), [(29, ()), (45, (30,)), (364, (30, 90)), (365, (30, 90, 365))])
def test_spend_is_judged_for_the_quarter_and_the_year_that_are_known(known_days: float, expected: tuple[int, ...]) -> None:
    assert days_to_judge(BacktestConfig(as_of_us=(AS_OF_US,)), known_days) == expected


def test_spend_is_judged_no_further_than_the_curves_reach() -> None:
    short = TrainConfig(model=ModelConfig(edges_days=(1, 30, 180)))
    assert days_to_judge(BacktestConfig(as_of_us=(AS_OF_US,), train=short), 400) == (30, 90)


def test_without_a_bundle_it_trains_first(make_history: MakeHistory) -> None:
    history = make_history(draw_orders(num_customers=150, num_days=120, integer_ids=False))
    told: list[BacktestProgress] = []
    config = BacktestConfig(as_of_us=(AS_OF_US - 80 * DAY_US,), train=QUICK, baselines=("recency",), num_resamples=10)
    result = run_backtest(history, config, progress=told.append)
    assert any("epochs" in at.step for at in told)
    assert result.pooled[0][0].bundle == {"version": None, "content_hash": None, "seed": 0}
    assert result.predictions.schema.field("customer_id").type == pa.string()


def test_a_bundle_that_saw_the_outcome_is_refused(history: History, bundle: Bundle) -> None:
    with pytest.raises(InvalidArgumentError, match="2024-07-01"):
        run_backtest(history, _config(AS_OF_US, AS_OF_US - DAY_US), bundle=bundle)


def test_a_horizon_past_the_data_is_refused_before_any_training(history: History) -> None:
    config = replace(_config(AS_OF_US - 60 * DAY_US, AS_OF_US), further_horizons_days=(300,))
    told: list[BacktestProgress] = []
    with pytest.raises(AsOfError, match="horizon of 300 days"):
        run_backtest(history, config, progress=told.append)
    assert not told


def test_a_past_too_short_to_learn_from_is_refused_before_anything_is_told(make_history: MakeHistory) -> None:
    history = make_history(draw_orders(num_customers=150, num_days=120))
    told: list[BacktestProgress] = []
    config = BacktestConfig(as_of_us=(FIRST_US + 22 * DAY_US,), train=QUICK, baselines=("recency",), num_resamples=10)
    with pytest.raises(AsOfError, match="one horizon to learn from and one to check with"):
        run_backtest(history, config, progress=told.append)
    assert not told


@pytest.mark.parametrize(
    ("setting", "value"), [("as_of_us", ()), ("further_horizons_days", (400,)), ("baselines", ("oracle",)), ("num_resamples", 1)]
)
def test_settings_out_of_their_limits_are_refused(setting: str, value: tuple[object, ...]) -> None:
    with pytest.raises(InvalidArgumentError):
        replace(_config(AS_OF_US), **{setting: value})


def test_settings_are_put_in_order() -> None:
    config = replace(_config(2, 1, 2), further_horizons_days=(30, 14, 30), baselines=("constant", "lightgbm"))
    assert config.as_of_us == (1, 2)
    assert config.horizons_days == (14, 30)
    assert config.baselines == ("lightgbm", "constant")


def _config(*as_of_us: int) -> BacktestConfig:
    train = TrainConfig(horizon_days=14, active_within_days=60)
    return BacktestConfig(as_of_us=as_of_us, train=train, num_resamples=50, grades=DEFAULT_THRESHOLDS.named())
