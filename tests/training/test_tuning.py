"""Tuning begins with the usual settings, goes on where it was cut off, and mixes no two questions."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import AsOfError, IntegrityError, InvalidArgumentError, NoStudyError
from engine.executors import Executor
from engine.history import History
from engine.instants import DAY_US
from engine.sealed import seal
from engine.storage import Place
from tests.training.conftest import AS_OF_US, QUICK, MakeHistory, draw_orders
from training.config import TrainConfig
from training.report.tuning import draw_study
from training.train import train
from training.trained import TrainProgress
from training.tuning.best import tuned_config
from training.tuning.peer import tune_peer
from training.tuning.run import TuneConfig, importances, tune
from training.tuning.space import SPACE, describe_space, space_as_markdown, values_of, with_values
from training.tuning.study import (
    COMPLETE,
    DIVERGED,
    PRUNED,
    STUDY_FILE,
    Study,
    Subject,
    Trial,
    read_study,
    study_folder,
    write_study,
)
from training.tuning.trial import run_trial

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tuned_store(make_history: MakeHistory) -> Place:
    """A store with a study of three trials."""
    store = make_history(draw_orders(num_customers=200)).store
    tune(store, as_of_us=AS_OF_US, config=TuneConfig(num_trials=3), base=QUICK)
    return store


@pytest.fixture
def study(tuned_store: Place, store: Path) -> Study:
    """The same study in a store of the test's own."""
    found = read_study(study_folder(tuned_store, "default"))
    write_study(study_folder(store, "default"), found)
    return found


def synthetic(study: Study, num_trials: int) -> Study:
    trials = []
    for number in range(num_trials):
        share = (number * 7 % num_trials + 0.5) / num_trials
        values = {one.name: one.low + share * (one.high - one.low) for one in SPACE}
        values |= {"state_size": 8 * (1 + number % 12), "batch_customers": 16 + number, "learn_days": 60 + 7 * number}
        state = PRUNED if number == 3 else DIVERGED if number == 4 else COMPLETE
        curve = () if state == DIVERGED else (0.7, 0.5 + 0.1 * (share - 0.4) ** 2)
        trials.append(Trial(number=number, values=values, state=state, curve=curve, seconds=1.0))
    return replace(study, trials=tuple(trials))


def test_the_usual_settings_are_tried_first_and_judged_as_training_judges_them(tuned_store: Place) -> None:
    study = read_study(study_folder(tuned_store, "default"))
    assert [trial.number for trial in study.trials] == [0, 1, 2]
    first, best = study.first, study.best
    assert first is not None
    assert best is not None
    assert first.number == 0
    assert first.loss is not None
    assert best.loss is not None
    assert best.loss <= first.loss
    for chosen, config in ((first, QUICK), (best, with_values(QUICK, best.values))):
        told: list[TrainProgress] = []
        train(History.open(tuned_store), as_of_us=AS_OF_US, config=config, progress=told.append)
        assert tuple(at.validation for at in told if at.validation is not None) == chosen.curve


def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(tuned_store: Place) -> None:
    def cut_off(so_far: Study) -> None:
        if len(so_far.trials) == 2:
            raise KeyboardInterrupt

    ask = {"as_of_us": AS_OF_US, "config": TuneConfig(num_trials=3), "base": QUICK}
    with pytest.raises(KeyboardInterrupt):
        tune(tuned_store, **ask, name="cut", progress=cut_off)  # type: ignore[arg-type]
    assert len(read_study(study_folder(tuned_store, "cut")).trials) == 2
    again = tune(tuned_store, **ask, name="cut")  # type: ignore[arg-type]
    whole = read_study(study_folder(tuned_store, "default"))
    assert [(trial.values, trial.curve) for trial in again.trials] == [(trial.values, trial.curve) for trial in whole.trials]
    assert tune(tuned_store, **ask, name="cut") == again  # type: ignore[arg-type]


def test_trials_run_on_every_executor(tuned_store: Place, executor: Executor) -> None:
    base = replace(QUICK, num_epochs=1)
    config = TuneConfig(num_trials=2)
    study = tune(tuned_store, as_of_us=AS_OF_US, config=config, base=base, name=executor.name, executor=executor)
    assert len(study.trials) == 2
    assert study.first is not None
    assert read_study(study_folder(tuned_store, executor.name)) == study


def test_what_is_behind_half_of_the_others_is_given_up(tuned_store: Place) -> None:
    base = replace(QUICK, num_epochs=4)
    ask = {"store": tuned_store, "history_hash": History.open(tuned_store).manifest_hash, "as_of_us": AS_OF_US, "config": base}
    for level, state, num_epochs in ((0.01, PRUNED, 2), (9.0, COMPLETE, 4)):
        trial = run_trial(**ask, number=9, values=values_of(base), earlier=[(level,) * 4] * 4)  # type: ignore[arg-type]
        assert (trial.state, len(trial.curve)) == (state, num_epochs)
    assert run_trial(**ask, number=9, values=values_of(base), earlier=[(0.01,) * 4] * 3).state == COMPLETE  # type: ignore[arg-type]


def test_a_search_goes_on_from_trials_that_were_given_up_or_diverged(tuned_store: Place) -> None:
    folder = study_folder(tuned_store, "mixed")
    whole = read_study(study_folder(tuned_store, "default"))
    write_study(folder, replace(synthetic(whole, 12), name="mixed"))
    again = tune(tuned_store, as_of_us=AS_OF_US, config=TuneConfig(num_trials=13), base=QUICK, name="mixed")
    assert again.trials[-1].number == 12
    assert again.trials[-1].values == whole.usual  # no trial had them
    assert again.best is not None
    assert again.best.state == COMPLETE


def test_no_trial_begins_when_the_time_is_up(tuned_store: Place) -> None:
    config = TuneConfig(num_trials=2, limit_s=1e-9)
    assert tune(tuned_store, as_of_us=AS_OF_US, config=config, base=QUICK, name="hurried").trials == ()


@pytest.mark.parametrize(
    ("as_of_us", "changes", "words"),
    [
        (AS_OF_US - DAY_US, {}, "as_of_us 2024-07-01 there, 2024-06-30 here"),
        (AS_OF_US, {"horizon_days": 15}, "horizon_days 14 there, 15 here"),
        (AS_OF_US, {"seed": 3}, "seed 0 there, 3 here"),
    ],
)
def test_a_study_of_something_else_is_refused(tuned_store: Place, as_of_us: int, changes: dict[str, int], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        tune(tuned_store, as_of_us=as_of_us, config=TuneConfig(num_trials=4), base=replace(QUICK, **changes))  # type: ignore[arg-type]
    assert len(read_study(study_folder(tuned_store, "default")).trials) == 3


def test_a_damaged_study_or_one_of_another_version_is_refused_with_the_way_out(study: Study, store: Path) -> None:
    path = store / "studies" / "default" / STUDY_FILE
    data = path.read_bytes()
    content = json.loads(data)["content"]
    other_space = [{**one, "high": 1.0} if one["name"] == "dropout" else one for one in describe_space()]
    for damaged, error, words in (
        (b"", IntegrityError, "not a study"),
        (data[:-40], IntegrityError, "not a study"),
        (data.replace(b"complete", b"compiete", 1), IntegrityError, "not as it was written"),
        (seal([]), IntegrityError, "not a study"),
        (seal({**content, "trials": [{"number": 1}]}), IntegrityError, "no study of this version"),
        (seal({**content, "schema_version": 99}), InvalidArgumentError, "found schema 99, expected 3"),
        (seal({**content, "space": other_space}), InvalidArgumentError, r"another search space \(dropout differ\)"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(error, match=f"{words}.*another --name"):
            read_study(path.parent)
    path.write_bytes(data)
    assert read_study(path.parent) == study


def test_training_takes_the_best_settings_and_no_others(study: Study, store: Path) -> None:
    assert study.best is not None
    config = tuned_config(store, as_of_us=AS_OF_US + DAY_US, config=replace(QUICK, seed=5))
    assert values_of(config) == study.best.values
    assert (config.seed, config.num_epochs, config.horizon_days) == (5, QUICK.num_epochs, QUICK.horizon_days)
    assert config.sized_for(10) == config
    with pytest.raises(InvalidArgumentError, match=r"horizon_days: found 30, the study .* is of 14"):
        tuned_config(store, as_of_us=AS_OF_US, config=replace(QUICK, horizon_days=30))
    with pytest.raises(AsOfError, match="judged on what came later"):
        tuned_config(store, as_of_us=AS_OF_US - DAY_US, config=QUICK)
    with pytest.raises(NoStudyError, match="run `ebbtide tune`"):
        tuned_config(store, as_of_us=AS_OF_US, config=QUICK, name="other")
    write_study(study_folder(store, "default"), replace(study, trials=()))
    with pytest.raises(NoStudyError, match="no completed trial"):
        tuned_config(store, as_of_us=AS_OF_US, config=QUICK)


def test_too_small_a_window_to_compare_by_is_refused(make_history: MakeHistory) -> None:
    store = make_history(draw_orders(num_customers=30)).store
    with pytest.raises(AsOfError, match="expected 50 or more"):
        tune(store, as_of_us=AS_OF_US, config=TuneConfig(num_trials=1), base=QUICK)


@pytest.mark.parametrize(
    ("changes", "words"), [({"learning_rate": 0.5}, "learning_rate: found 0.5"), ({"batch_customers": 8}, "batch_customers")]
)
def test_usual_settings_outside_of_the_search_are_refused(changes: dict[str, float], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        values_of(replace(TrainConfig(), **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("changes", [{"num_trials": 0}, {"limit_s": 0.0}, {"limit_s": float("nan")}])
def test_limits_out_of_reason_are_refused(changes: dict[str, float]) -> None:
    with pytest.raises(InvalidArgumentError, match=next(iter(changes))):
        TuneConfig(**{"num_trials": 1, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("num_customers", [400, 1000, 100_000])
def test_a_search_can_begin_with_the_size_for_any_chain(num_customers: int) -> None:
    config = TrainConfig().sized_for(num_customers)
    assert replace(with_values(config, values_of(config)), adapt_size=True, adapt_rate=True) == config


def test_importances_add_up_to_1_and_few_trials_have_none(study: Study) -> None:
    shares = importances(synthetic(study, 30))
    assert set(shares) == {one.name for one in SPACE}
    assert sum(shares.values()) == pytest.approx(1.0)
    assert importances(study) == {}


def test_the_page_has_every_plot_and_fetches_nothing(study: Study) -> None:
    many = synthetic(study, 30)
    page = draw_study(many, importances(many))
    for title in ("Optimisation history", "Parameter importances", "Intermediate values", *(one.name for one in SPACE)):
        assert f'aria-label="{title}"' in page
    assert "src=" not in page
    assert "href=" not in page
    assert "Needs 10 completed trials." in draw_study(study, {})
    empty = replace(study, trials=())
    assert "0 trials" in draw_study(empty, {})


def test_lightgbm_gets_the_trials_of_the_study_and_no_more_time(tuned_store: Place, study: Study) -> None:
    slow = replace(study, trials=tuple(replace(trial, seconds=100.0) for trial in study.trials))
    peer = tune_peer(tuned_store, slow, QUICK)
    assert peer is not None
    assert peer.num_trials == 3
    assert peer == tune_peer(tuned_store, slow, QUICK)
    assert peer.log_loss is not None
    assert peer.usual_log_loss is not None
    assert peer.log_loss <= peer.usual_log_loss
    fast = replace(study, trials=tuple(replace(trial, seconds=1e-9) for trial in study.trials))
    in_no_time = tune_peer(tuned_store, fast, QUICK)
    assert in_no_time is not None
    assert in_no_time.num_trials == 1
    assert tune_peer(tuned_store, replace(study, trials=()), QUICK) is None
    assert 'aria-label="Optimisation history"' in (page := draw_study(study, {}, peer))
    assert f"{peer.log_loss:.5f}" in page


def test_the_documented_search_is_the_one_that_runs() -> None:
    assert space_as_markdown() in (ROOT / "docs" / "tuning.md").read_text()


def test_a_study_lies_in_any_store(study: Study, any_store: Place) -> None:
    folder = study_folder(any_store, "default")
    with pytest.raises(NoStudyError):
        read_study(folder)
    write_study(folder, study)
    assert read_study(folder) == study


def test_a_study_names_no_customer(study: Study, store: Path) -> None:
    content = json.loads((store / "studies" / "default" / STUDY_FILE).read_bytes())["content"]
    assert set(content) == {"schema_version", "space", "subject", "trials", "usual"}
    assert set(content["subject"]) == set(Subject.__dataclass_fields__)
