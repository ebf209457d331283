"""`ebbtide tune`, and `ebbtide train --tuned` after it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from serving.cli import main
from training.baselines.boosting import BoostingSettings, Tuned
from training.config import TrainConfig
from training.registry import find_version, list_bundles
from training.tuning.space import SPACE, values_of
from training.tuning.study import read_study, study_folder

AS_OF = ("--as-of", "2024-01-01")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def tuned_store(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A store with a study of two trials of an epoch each, to be trained an epoch at a time."""
    store = Path(shutil.copytree(trained_store, tmp_path_factory.mktemp("tuned") / "store"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(TrainConfig.__init__.__kwdefaults__, "num_epochs", 1)
        assert run("tune", "--store", store, *AS_OF, "--trials", 2) == 0
        yield store


def test_a_person_is_told_the_best_trial_and_what_comes_next(tuned_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tune", "--store", tuned_store, *AS_OF, "--trials", 2) == 0
    text, error = capsys.readouterr()
    for words in (
        "2 trials, 2 completed",
        "Best: trial",
        "default settings",
        "learning_rate",
        "LightGBM",
        "--tuned",
        "study.html",
    ):
        assert words in text
    assert "Importances need 10 completed trials; there are 2." in text
    assert "importance" not in text
    assert "[I " not in error  # Optuna's own lines


def test_where_lightgbm_ends_ahead_it_is_said(
    tuned_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    best = read_study(study_folder(tuned_store, "default")).best
    assert best is not None
    assert best.loss is not None
    for ahead in (0.01, -0.01):
        loss = best.loss - ahead
        peer = Tuned(settings=BoostingSettings(), num_trials=2, log_loss=loss, usual_log_loss=loss)
        monkeypatch.setattr("training.tuning.peer.tune_peer", lambda *_, peer=peer: peer)
        capsys.readouterr()
        assert run("tune", "--store", tuned_store, *AS_OF, "--trials", 2) == 0
        text = capsys.readouterr().out
        page = (study_folder(tuned_store, "default") / "study.html").read_text()
        assert ("LightGBM is ahead of the best trial by 0.01000. More --trials may change that" in text) is (ahead > 0)
        assert ("0.01000 ahead of the best trial" in page) is (ahead > 0)


def test_a_program_gets_one_object_and_the_report_is_written(tuned_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("tune", "--store", tuned_store, *AS_OF, "--trials", 1, "--json") == 0
    text, error = capsys.readouterr()
    document = json.loads(text)
    assert document["num_trials"] == 2
    assert document["best"]["cross_entropy"] <= document["usual"]["cross_entropy"]
    assert set(document["best"]["settings"]) == {one.name for one in SPACE}
    assert document["lightgbm"]["num_trials"] in (1, 2)  # as many, and no more time
    assert document["lightgbm"]["cross_entropy"] <= document["lightgbm"]["usual_cross_entropy"]
    assert Path(document["report"]).read_text().startswith("<!doctype html>")
    assert all(json.loads(line)["event"] == "progress" for line in error.splitlines())


def test_training_uses_the_best_settings_when_asked(
    tuned_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Path(shutil.copytree(tuned_store, tmp_path / "store"))
    assert run("train", "--store", store, *AS_OF, "--tuned", "--as", "challenger", "--json") == 0
    version = json.loads(capsys.readouterr().out)["model_version"].partition("/")[2]
    found = next(info for info in list_bundles(store) if info.folder == find_version(store, version, "default"))
    best = read_study(study_folder(store, "default")).best
    assert found.description is not None
    assert best is not None
    config = found.description.config
    model = config["model"]
    assert {name: model.get(name, config.get(name)) for name in best.values} == best.values
    assert config["adapt_size"] is False
    assert values_of(TrainConfig()) != best.values


def test_a_back_test_of_a_study_gives_lightgbm_as_many_trials(
    tuned_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--tuned", "default", "--baselines", "recency", "--resamples", 10, "--out", tmp_path / "out", "--json")
    assert run("backtest", "--store", tuned_store, *AS_OF, "--horizon-days", 30, *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["baselines"]["lightgbm_tuned"]["num_trials"] == 2
    assert set(document["differences"]) == {"recency", "lightgbm_tuned"}


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("tune", *AS_OF, "--trials", 0), 2, "--trials"),
        (("tune", *AS_OF, "--trials", 1, "--timeout-min", 0), 2, "--timeout-min"),
        (("tune", *AS_OF, "--trials", 1, "--executor", "dask"), 2, "--executor"),
        (("tune", *AS_OF, "--trials", 1, "--ray-workers", 2), 2, "only with --executor ray"),
        (("tune", *AS_OF, "--trials", 1, "--name", "../x"), 2, "name"),
        (("tune", "--as-of", "2023-12-30", "--trials", 1), 2, "tune under another --name"),
        (("tune", *AS_OF, "--trials", 1, "--horizon-days", 20), 2, "horizon_days 30 there, 20 here"),
        (("tune", "--as-of", "2023-02-01", "--trials", 1, "--name", "short"), 2, "one horizon to learn from"),
        (("train", *AS_OF, "--tuned", "--name", "other"), 1, "run `ebbtide tune` with --name other"),
        (("train", *AS_OF, "--tuned", "--horizon-days", 20), 2, "is of 30"),
        (("train", "--as-of", "2023-12-01", "--tuned"), 2, "what came later"),
        (("backtest", "--as-of", "2023-12-01", "--tuned", "default", "--out", "x"), 2, "what came later"),
        (("backtest", *AS_OF, "--tuned", "other", "--out", "x"), 1, "run `ebbtide tune` with --name other"),
    ],
)
def test_a_mistake_is_one_line(
    tuned_store: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[object, ...], status: int, words: str
) -> None:
    verb, *rest = arguments
    assert run(verb, "--store", tuned_store, *rest) == status
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_damaged_study_is_one_line_and_stays_as_it_is(
    tuned_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store = Path(shutil.copytree(tuned_store, tmp_path / "store"))
    path = store / "studies" / "default" / "study.json"
    path.write_bytes(path.read_bytes()[:100])
    for arguments in (("tune", "--trials", 3), ("train", "--tuned")):
        assert run(arguments[0], "--store", store, *AS_OF, *arguments[1:]) == 1
        error = capsys.readouterr().err
        assert "is not a study, or is damaged" in error
        assert error.count("\n") == 1
    assert path.stat().st_size == 100
