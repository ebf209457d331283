"""`ebbtide drift`: the exit status is for a scheduler, the table for a person."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from engine.history import History
from engine.indicators import INDICATOR_COLUMNS
from engine.instants import DAY_US, format_instant, next_midnight
from serving.cli import main
from training.drift.measuring import DriftConfig
from training.registry import champion, register

CALM = ("--psi-limit", "1000", "--repurchase-fall-limit", "1", "--months-limit", "24")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in ("drift", *arguments)])


def test_no_limit_crossed_is_status_0(trained_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--store", trained_store, *CALM) == 0
    text = capsys.readouterr().out
    for words in (
        "default/0001, trained as of 2024-01-01",
        "stability index",
        "recency_days",
        "predicted",
        "reference",
        "No limit",
    ):
        assert words in text


def test_a_crossed_limit_is_status_3_and_says_which(trained_store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--store", trained_store, *CALM[2:], "--psi-limit", "0.001", "--json") == 3
    document = json.loads(capsys.readouterr().out)
    assert document["train_again"] is True
    assert {shift["name"] for shift in document["stability"]} == {*INDICATOR_COLUMNS, "score"}
    over = {shift["name"] for shift in document["stability"] if shift["psi"] > 0.001}
    assert over == {shift["name"] for shift in document["stability"] if shift["is_over"]}
    assert all("the stability index of" in reason for reason in document["reasons"])
    quiet = [word for name in over for word in ("--ignore", name)]
    assert run("--store", trained_store, *CALM[2:], "--psi-limit", "0.001", *quiet) == 0
    assert run("--store", trained_store, *CALM[2:], "--psi-limit", "0.001") == 3
    assert "It is time to retrain." in capsys.readouterr().out


def test_it_looks_from_the_last_whole_day_and_no_earlier_than_the_training(
    trained_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    last_us = History.open(trained_store).manifest.last_order_us
    assert last_us is not None
    run("--store", trained_store, *CALM, "--json")
    assert json.loads(capsys.readouterr().out)["as_of"] == format_instant(last_us // DAY_US * DAY_US)
    store = Path(shutil.copytree(trained_store, tmp_path / "store"))
    register(store, replace(champion(store).trained, as_of_us=next_midnight(last_us)))
    assert run("--store", store, *CALM, "--json") == 0
    assert json.loads(capsys.readouterr().out)["as_of"] == format_instant(next_midnight(last_us))


def test_where_nothing_could_be_judged_it_says_so(
    trained_store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    few = partial(DriftConfig, least_customers=100_000)
    monkeypatch.setattr("training.drift.measuring.DriftConfig", few)
    assert run("--store", trained_store) == 0
    text = capsys.readouterr().out
    assert "Nothing could be judged: too little data to say whether it is time to retrain." in " ".join(text.split())
    assert "No limit" not in text
    assert run("--store", trained_store, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert (document["train_again"], document["is_judged"], len(document["not_judged"])) == (False, False, 2)


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (("--as-of", "2023-12-01"), 2, "choose a later date"),
        (("--as-of", "2030-01-01"), 2, "is not possible"),
        (("--ignore", "shoe_size"), 2, "expected one of recency_days"),
        (("--psi-limit", "0"), 2, "psi-limit"),
        (("--name", "other"), 1, "holds no bundle named 'other'"),
    ],
)
def test_a_mistake_is_one_line_and_never_status_3(
    trained_store: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], status: int, words: str
) -> None:
    assert run("--store", trained_store, *arguments) == status
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1
