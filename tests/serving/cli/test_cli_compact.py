"""`ebbtide compact` as a person and as a program use it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.history import History
from engine.ingest import bucket_number
from tests.serving.cli.test_cli import run, run_json


@pytest.fixture
def grown(tmp_path: Path) -> Path:
    for day in (1, 2):
        log = tmp_path / f"{day}.csv"
        log.write_text(f"customer_id,timestamp,amount\na,2024-01-0{day},5\n")
        assert run("ingest", "--store", tmp_path / "store", "--buckets", "1", log) == 0
    return tmp_path / "store"


def test_a_program_reads_what_was_folded(grown: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = run_json(capsys, "compact", "--store", grown)
    assert (document["num_buckets_folded"], document["num_parts_before"], document["num_parts"]) == (1, 2, 1)
    assert len(History.open(grown).manifest.parts) == 1


def test_a_person_is_told_and_a_second_time_there_is_nothing_to_do(grown: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compact", "--store", grown) == 0
    assert "2 parts are now 1" in capsys.readouterr().out
    assert run("compact", "--store", grown) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_history_is_split_and_says_so(grown: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compact", "--store", grown, "--buckets", "4") == 0
    assert "4 buckets now, 1 before." in capsys.readouterr().out
    document = run_json(capsys, "compact", "--store", grown, "--buckets", "8")
    assert (document["num_buckets_before"], document["num_buckets"], document["num_buckets_advised"]) == (4, 8, None)
    assert run("compact", "--store", grown, "--buckets", "12") == 2
    assert "found 12, expected a multiple of the 8" in capsys.readouterr().err


def test_a_history_that_has_outgrown_its_buckets_is_told_of_by_compact_and_ingest(
    grown: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bucket_number, "_ROWS_PER_BUCKET", 1)
    log = tmp_path / "3.csv"
    log.write_text("customer_id,timestamp,amount\nb,2024-01-03,5\n")
    for command in (("ingest", "--store", grown, log), ("compact", "--store", grown)):
        assert run(*command) == 0
        told = " ".join(capsys.readouterr().out.split())
        assert "3 events in 1 bucket" in told
        assert f"ebbtide compact --store {grown} --buckets 4" in told
    assert run_json(capsys, "compact", "--store", grown)["num_buckets_advised"] == 4
    assert run("compact", "--store", grown, "--buckets", "4") == 0
    assert "Note" not in capsys.readouterr().out


def test_without_a_history_it_says_what_to_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("compact", "--store", tmp_path / "nowhere") == 1
    assert "run `ebbtide ingest" in capsys.readouterr().err
