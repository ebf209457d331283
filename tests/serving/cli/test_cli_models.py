"""`ebbtide models` and `train --as`: what a person and a program see, and what is refused in one line."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from engine.instants import DAY_US, format_instant
from serving.cli import main
from tests.serving.conftest import TRAINED_AS_OF_US
from training.bundles.bundle import WEIGHTS_FILE
from training.network.calibration import Calibration
from training.registry import champion, register


@pytest.fixture
def store(trained_store: Path, tmp_path: Path) -> Path:
    """A champion, and a version 0002 that was champion before it, which tells everybody to stay."""
    store = tmp_path / "store"
    shutil.copytree(trained_store, store)
    trained = champion(store).trained
    register(store, replace(trained, model=replace(trained.model, calibration=Calibration(shift=2.0))))
    register(store, trained)
    return store


def run(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    capsys.readouterr()
    assert main([str(argument) for argument in arguments]) == status
    captured = capsys.readouterr()
    if status:
        assert captured.err.startswith("ebbtide: ")
        assert captured.err.count("\n") == 1
        return captured.err
    return captured.out


def test_list_shows_every_version_with_its_alias(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "models/default/0001/bundle.json").write_text("{}")
    text = run(capsys, "models", "list", "--store", store)
    assert "is not a bundle's description" in text
    lines = [line.split()[:2] for line in text.splitlines()[1:]]
    assert lines[2] == ["default/0003", "champion"]
    document = json.loads(run(capsys, "models", "list", "--store", store, "--json"))
    assert [bundle["is_champion"] for bundle in document["bundles"]] == [False, False, True]
    assert [bool(bundle["problem"]) for bundle in document["bundles"]] == [True, False, False]
    assert "is not a bundle's description" in run(capsys, "status", "--store", store)
    (store / "empty").mkdir()
    assert run(capsys, "models", "list", "--store", store / "empty").startswith("No model yet.")


def test_list_of_a_name_that_there_is_not_tells_which_there_are(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    register(store, champion(store).trained, "north")
    told = run(capsys, "models", "list", "--store", store, "--name", "nope")
    assert told.startswith("No model named nope; ")
    assert told.endswith(" has models named default, north.\n")
    assert json.loads(run(capsys, "models", "list", "--store", store, "--name", "nope", "--json"))["bundles"] == []


def test_where_the_champion_is_damaged_the_way_back_is_named(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "models/default/0003" / WEIGHTS_FILE).write_bytes(b"damaged")
    for command in (("drift",), ("rescore", "--as-of", format_instant(TRAINED_AS_OF_US))):
        refused = run(capsys, *command, "--store", store, status=1)
        assert "train again, or let another version serve: `ebbtide models rollback` (to 0002)" in refused
        assert "`ebbtide models promote VERSION` (0001, 0002)" in refused
    assert main(["verify", "--store", str(store)]) == 1
    assert capsys.readouterr().out.count("found sha256:") == 1
    assert run(capsys, "models", "rollback", "--store", store).startswith("default/0002 is champion again")


def test_show_prints_the_card(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "models", "show", "--store", store).startswith("# default/0003\n")
    assert run(capsys, "models", "show", "2", "--store", store).startswith("# default/0002\n")
    document = json.loads(run(capsys, "models", "show", "--store", store, "--json"))
    assert (document["model_version"], document["is_champion"]) == ("default/0003", True)
    assert document["as_of"] == format_instant(TRAINED_AS_OF_US)
    assert document["log"][0]["action"] == "registered"
    assert "the versions of 'default' are 0001, 0002, 0003" in run(capsys, "models", "show", "7", "--store", store, status=1)
    assert "has no challenger" in run(capsys, "models", "show", "challenger", "--store", store, status=1)


def test_promote_and_rollback_move_the_champion(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused = run(capsys, "models", "promote", "0002", "--store", store, status=1)
    assert all(words in refused for words in ("0002 against 0003", "95 % interval", "--force"))
    assert champion(store).version == "0003"
    document = json.loads(run(capsys, "models", "promote", "0001", "--store", store, "--json"))
    assert (document["model_version"], document["before"]) == ("default/0001", "default/0003")
    assert document["comparison"]["is_worse"] is False
    assert "default/0002 is champion: forced" in run(capsys, "models", "promote", "2", "--store", store, "--force")
    for version in ("0001", "0003", "0002"):
        assert f"default/{version} is champion again" in run(capsys, "models", "rollback", "--store", store)


def test_promote_and_drift_end_knowledge_at_the_same_midnight(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    newest = json.loads(run(capsys, "models", "promote", "0001", "--store", store, "--json"))["comparison"]
    main(["drift", "--store", str(store), "--json"])
    drift = json.loads(capsys.readouterr().out)
    assert format_instant(newest["as_of_us"] + newest["horizon_days"] * DAY_US) == drift["as_of"]
    assert format_instant(newest["as_of_us"]) == drift["windows"][0]["as_of"]


def test_a_damaged_alias_file_is_told_before_an_hour_of_training(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (store / "models/default/aliases.json").write_text("{")
    for command in (("train", "--as-of", "2024-01-01"), ("models", "list"), ("models", "rollback"), ("status",)):
        assert 'such as {"champion": "0001"}' in run(capsys, *command, "--store", store, status=1)


def test_train_registers_a_challenger_where_it_is_asked_to(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = champion(store).trained
    monkeypatch.setattr("training.train.train", lambda *_, **__: trained)
    arguments = ("train", "--store", store, "--as-of", "2024-01-01")
    text = run(capsys, *arguments, "--as", "challenger")
    assert "Note: the champion stays. It is the challenger: as asked; " in text
    assert champion(store).version == "0003"
    document = json.loads(run(capsys, *arguments, "--json"))
    assert (document["alias"], document["comparison"]["challenger"]) == ("champion", "0005")
    assert champion(store).version == "0005"
