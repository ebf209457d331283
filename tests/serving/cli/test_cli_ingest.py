"""`ebbtide ingest` as a person and as a program use it: kinds, and what comes next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.serving.cli.test_cli import run, run_json


def test_the_kind_of_a_file_is_said_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, till, stars = tmp_path / "store", tmp_path / "till.csv", tmp_path / "stars.csv"
    till.write_text("customer_id,timestamp,amount\na,2024-01-01,5\n")
    stars.write_text("customer_id,timestamp,stars\na,2024-01-02,4.5\n")
    assert run("ingest", "--store", store, till) == 0
    assert "holds 1 order, 0 returns of 1 customer," in capsys.readouterr().out
    document = run_json(capsys, "ingest", "--store", store, "--kind", "feedback", "--column", "rating=stars", stars)
    assert document["history"]["num_by_kind"]["feedback"] == 1
    assert document["history"]["amount_minor_total"] == 500
    assert run("status", "--store", store) == 0
    assert "1 order, 0 returns, 1 rating" in capsys.readouterr().out


def test_what_comes_next_is_said_once_there_are_orders(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store, till, visits = tmp_path / "store", tmp_path / "till.csv", tmp_path / "visits.csv"
    visits.write_text("customer_id,timestamp\na,2024-01-05\n")
    till.write_text("customer_id,timestamp\na,2024-01-01T23:59:59Z\n")
    assert run("ingest", "--store", store, "--kind", "visit", visits) == 0
    assert "Next:" not in capsys.readouterr().out
    assert run("ingest", "--store", store, till) == 0
    assert f"Next: ebbtide train --store {store} --as-of 2024-01-02\n" in capsys.readouterr().out
    (store / "models").mkdir()
    assert run("ingest", "--store", store, till) == 0
    assert f"Next: ebbtide rescore --store {store} --as-of 2024-01-02\n" in capsys.readouterr().out


def test_a_kind_that_there_is_not_is_one_line_with_those_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "t.csv"
    log.write_text("customer_id,timestamp\na,2024-01-01\n")
    assert run("ingest", "--store", tmp_path / "store", "--kind", "holiday", log) == 2
    assert "'visit'" in capsys.readouterr().err
