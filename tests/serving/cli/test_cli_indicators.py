"""`ebbtide indicators` as a person and as a program use it."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from rich.console import Console

from engine.indicators import INDICATOR_COLUMNS, INDICATORS
from tests.serving.cli.test_cli import run, run_json

AS_OF = ("--as-of", "2024-03-01")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("indicators")
    log = folder / "log.csv"
    orders = [("a", "2024-01-05", 10), ("a", "2024-01-09", 20), ("b", "2024-02-29", 5), ("later", "2024-03-04", 5)]
    log.write_text("customer_id,timestamp,amount\n" + "".join(f"{who},{when},{worth}\n" for who, when, worth in orders))
    assert run("ingest", "--store", folder / "store", log) == 0
    return folder / "store"


def test_the_catalogue_needs_no_store(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("indicators") == 0
    text = capsys.readouterr().out
    rows = text.split("\n\n")[0].splitlines()[1:]
    assert len(rows) == len(INDICATORS) == 30
    for row, indicator in zip(rows, INDICATORS, strict=True):
        assert row.startswith(indicator.name)
        assert all(word in row for word in (indicator.level, indicator.factor, indicator.unit, indicator.meaning))
    assert "from 20" in rows[0]
    assert rows[1].startswith("orders_{7,14,30,60,90}d ")
    assert "below 1,1,1,2,3" in rows[1]
    assert "below 0.01 " in rows[2]
    assert "30 indicators" in text
    assert "38 columns" in text


def test_a_narrow_terminal_gets_names_thresholds_and_meanings(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("serving.cli.indicators.console", lambda: Console(width=80, soft_wrap=True))
    assert run("indicators") == 0
    text = capsys.readouterr().out
    lines = text.split("\n\n")[0].splitlines()
    assert max(map(len, lines)) <= 80
    assert "…" not in text
    assert all(any(line.startswith(indicator.name) for line in lines) for indicator in INDICATORS)
    assert "a width of 110 columns" in text


def test_a_program_reads_the_catalogue(capsys: pytest.CaptureFixture[str]) -> None:
    document = run_json(capsys, "indicators")
    assert [entry["name"] for entry in document["indicators"]] == [one.name for one in INDICATORS]
    assert document["indicators"][0] == {
        "name": "recency_days",
        "level": "behaviour",
        "factor": "time",
        "unit": "days",
        "meaning": "Time since the last purchase.",
        "worry": "above",
        "columns": [{"name": "recency_days", "window_days": None, "threshold": 20}],
    }
    assert [(column["name"], column["window_days"], column["threshold"]) for column in document["indicators"][1]["columns"]] == [
        ("orders_7d", 7, 1),
        ("orders_14d", 14, 1),
        ("orders_30d", 30, 1),
        ("orders_60d", 60, 2),
        ("orders_90d", 90, 3),
    ]
    columns = [column["name"] for entry in document["indicators"] for column in entry["columns"]]
    assert columns == list(INDICATOR_COLUMNS)


def test_one_customers_values_and_warnings(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = run_json(capsys, "indicators", "--store", store, "a", *AS_OF)
    entries = {column["name"]: column for entry in document["indicators"] for column in entry["columns"]}
    assert tuple(entries) == INDICATOR_COLUMNS
    assert (document["customer_id"], document["as_of"]) == ("a", "2024-03-01")
    assert (entries["recency_days"]["value"], entries["recency_days"]["warns"]) == (52, True)
    assert (entries["spend_90d"]["value"], entries["spend_90d"]["warns"]) == (30, False)
    assert (entries["orders_60d"]["value"], entries["orders_60d"]["warns"]) == (2, False)
    assert (entries["orders_90d"]["value"], entries["orders_90d"]["warns"]) == (2, True)
    for name in ("days_since_login", "logins_30d", "store_share_90d"):
        assert (entries[name]["value"], entries[name]["warns"]) == (None, False)
    warning = [entry for entry in document["indicators"] if any(column["warns"] for column in entry["columns"])]
    assert document["num_warnings"] == len(warning)

    assert run("indicators", "--store", store, "a", *AS_OF) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"{len(warning)} of 30 indicators warn" in lines[0]
    assert [line.split()[0] for line in lines[3:41]] == list(INDICATOR_COLUMNS)
    (recency,) = [line for line in lines if line.startswith("recency_days")]
    assert "52" in recency
    assert "! warning" in recency
    (login,) = [line for line in lines if line.startswith("days_since_login")]
    assert " - " in login
    assert "warning" not in login


def test_everybody_into_a_file(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "features.parquet"
    document = run_json(capsys, "indicators", "--store", store, "--all", *AS_OF, "--out", out)
    assert (document["num_customers"], document["num_later"], document["path"]) == (2, 1, str(out))
    assert set(document["seconds"]) == {"read", "compute", "write", "total"}
    assert sorted(pq.read_table(out)["customer_id"].to_pylist()) == ["a", "b"]

    assert run("indicators", "--store", store, "--all", *AS_OF, "--out", out) == 0
    text = capsys.readouterr().out
    assert "Wrote 2 customers with an event before 2024-03-01" in text
    assert "1 more joined later" in text
    assert "reading" in text
    assert "computing" in text
    assert "writing" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nobody", *AS_OF], "customer 'nobody' is not in the history"),
        (["later", *AS_OF], "nothing is known of customer 'later' before it"),
        (["a", "--as-of", "2025-01-01"], "expected a date from"),
        (["a"], "--as-of: found none"),
        ([], "CUSTOMER_ID: found none, expected one, or --all"),
        (["a", "--all", *AS_OF, "--out", "x.csv"], "--all: found it beside a CUSTOMER_ID"),
        (["--all", *AS_OF], "--out: found none"),
        (["--all", *AS_OF, "--out", "x.xlsx"], "expected a file that ends in .parquet, .csv, .arrow"),
        (["a", *AS_OF, "--out", "x.csv"], "--out: found it without --all"),
    ],
)
def test_a_mistake_is_told_in_one_line(
    store: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str
) -> None:
    assert run("indicators", "--store", store, *arguments) != 0
    err = capsys.readouterr().err
    assert message in err
    assert err.count("\n") == 1


def test_values_without_a_store_and_a_store_without_a_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("indicators", "a", *AS_OF) == 2
    assert "--store: found none" in capsys.readouterr().err
    assert run("indicators", "--store", tmp_path, "a", *AS_OF) == 1
    assert "run `ebbtide ingest" in capsys.readouterr().err
