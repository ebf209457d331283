"""`ebbtide export` as a person and as a program use it."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from tests.serving.cli.test_cli import run, run_json
from tests.serving.cli.test_cli_refusals import run_limited
from tests.serving.made_snapshots import inputs_of, make_snapshot

WHO = {f"c{number}": 0.5 for number in range(40)} | {"=HYPERLINK(1)": 0.9}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    make_snapshot(tmp_path / "store", {"old": 0.1}, inputs_of())
    make_snapshot(tmp_path / "store", WHO, inputs_of(days_later=7))
    return tmp_path / "store"


def test_a_person_is_told_rows_and_bytes(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "scores.csv"
    assert run("export", "--store", store, "--out", out) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert f"Wrote 41 customers, {len(out.read_text().splitlines()[0].split(','))} columns, to {out} (csv, " in text
    assert f"{out.stat().st_size:,} bytes" in text
    assert "1 text got a leading '" in text
    assert '"\'=HYPERLINK(1)"' in out.read_text()
    assert run("export", "--store", store, "--out", out) == 2
    assert "replace it with --force" in capsys.readouterr().err
    assert run("export", "--store", store, "--out", out, "--force", "--verbatim") == 0
    assert '"=HYPERLINK(1)"' in out.read_text()


def test_a_program_gets_the_report_and_the_file_that_it_asked_for(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.bin"
    wanted = ("--columns", "customer_id, churn_probability_90d,grade", "--horizon-days", "90")
    document = run_json(
        capsys, "export", "--store", store, "--format", "parquet", "--out", out, "--snapshot", "previous", *wanted
    )
    assert document["columns"] == ["customer_id", "churn_probability_90d", "grade"]
    assert (document["num_customers"], document["num_bytes"], document["format"]) == (1, out.stat().st_size, "parquet")
    ((customer_id, probability, grade),) = duckdb.sql(f"select * from read_parquet('{out}')").fetchall()
    assert (customer_id, probability, grade) == ("old", pytest.approx(0.1**3, rel=1e-4), "B2")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "scores.xlsx"), "expected a file that ends in .parquet, .csv, .arrow"),
        (("--out", "nowhere/scores.csv"), "make it first"),
        (("--out", "-", "--format", "csv"), "found '-', expected a file"),
        (("--out", "scores.csv", "--columns", "customer"), "found 'customer', expected some of customer_id"),
        (("--out", "scores.csv", "--snapshot", "1999"), "found no snapshot '1999'"),
        (("--out", "scores.csv", "--horizon-days", "0"), "0 is not in the range"),
        (("--out", "scores.csv", "--with-states"), "expected parquet or arrow"),
        ((), "Missing option '--out'"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("export", "--store", store, *arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert [entry.name for entry in tmp_path.iterdir()] == ["store"]


def test_a_full_disk_is_one_line_that_names_the_file_and_leaves_the_old_one(tmp_path: Path) -> None:
    make_snapshot(tmp_path / "store", {f"customer {number}": 0.5 for number in range(3000)}, inputs_of())
    (tmp_path / "scores.csv").write_text("old")
    result = run_limited(50_000, "export", "--store", tmp_path / "store", "--out", tmp_path / "scores.csv", "--force")
    assert result.returncode == 1
    assert f"{tmp_path / 'scores.csv'}: File too large" in result.stderr
    assert "Traceback" not in result.stderr
    assert (tmp_path / "scores.csv").read_text() == "old"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["scores.csv", "store"]
