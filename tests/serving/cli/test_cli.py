"""The command line as a person and as a program use it, from a purchase log to answers."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from rich.text import Text

from serving.cli import cli, main
from serving.cli.output import literal
from serving.risk import Grade

AS_OF = "2024-08-01"


def write_log(path: Path, *, num_customers: int = 240, seed: int = 5) -> Path:
    """Eight months of purchases: some customers come weekly, some monthly, and a third lapse on the way."""
    dice = random.Random(seed)
    start = datetime(2024, 1, 1)
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["card", "bought_at", "total", "shop"])
        for number in range(num_customers):
            gap_days = dice.choice([5, 9, 16, 28])
            last_day = dice.uniform(60, 243) if number % 3 == 0 else 243.0
            day = dice.uniform(0, gap_days)
            while day < last_day:
                moment = start + timedelta(days=day)
                rows.writerow(
                    [
                        f"card-{number:03d}",
                        moment.isoformat(sep=" ", timespec="seconds"),
                        f"{dice.uniform(5, 80):.2f}",
                        number % 4,
                    ]
                )
                day += dice.expovariate(1 / gap_days)
    return path


def run(*arguments: str | Path) -> int:
    return main([str(argument) for argument in arguments])


def run_json(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> dict[str, Any]:
    capsys.readouterr()
    assert run(*arguments, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert isinstance(document, dict)
    return document


COLUMNS = (
    "--column",
    "customer_id=card",
    "--column",
    "timestamp=bought_at",
    "--column",
    "amount=total",
    "--column",
    "store_id=shop",
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_log(tmp_path_factory.mktemp("log") / "till.csv")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Path:
    """Ingested, trained and rescored through the command line."""
    store = tmp_path_factory.mktemp("cli") / "store"
    assert run("ingest", "--store", store, *COLUMNS, log) == 0
    assert run("train", "--store", store, "--as-of", AS_OF) == 0
    assert run("rescore", "--store", store, "--as-of", AS_OF) == 0
    return store


@pytest.fixture(scope="module")
def target(store: Path) -> Iterator[str]:
    """A real `ebbtide serve` in a process of its own."""
    command = [sys.executable, "-m", "serving.cli", "serve", "--store", str(store), "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if " listening on " in line:
                yield line.partition(" listening on ")[2].split()[0]
                break
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert process.returncode == 0


@pytest.mark.parametrize("command", list(cli.commands))
def test_every_command_explains_itself(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(command, "--help") == 0
    text = capsys.readouterr().out
    assert "Usage: ebbtide" in text
    assert all(f"--{option.name.replace('_', '-')}" in text for option in cli.commands[command].params if option.name == "store")


def test_status_counts_what_was_ingested(store: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with log.open() as file:
        rows = list(csv.DictReader(file))
    document = run_json(capsys, "status", "--store", store)
    assert document["history"]["num_customers"] == len({row["card"] for row in rows})
    assert document["history"]["num_orders"] == len({(row["card"], row["bought_at"]) for row in rows})
    assert document["history"]["amount_minor_total"] == sum(round(100 * float(row["total"])) for row in rows)
    assert [bundle["is_champion"] for bundle in document["bundles"]] == [True]
    assert [snapshot["is_current"] for snapshot in document["snapshots"]] == [True]


def test_status_for_a_person_names_everything(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("status", "--store", store) == 0
    text = capsys.readouterr().out
    assert all(word in text for word in ("customers", "span", "rejected", "default/0001", "champion", "current"))


def test_ingesting_the_same_file_again_changes_nothing(store: Path, log: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = (store / "history" / "manifest.json").read_bytes()
    document = run_json(capsys, "ingest", "--store", store, *COLUMNS, log)
    assert [file["status"] for file in document["files"]] == ["skipped"]
    assert (store / "history" / "manifest.json").read_bytes() == before


def test_rescoring_again_is_the_same_snapshot_and_does_no_work(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = run_json(capsys, "rescore", "--store", store, "--as-of", AS_OF, "--device", "cpu")
    assert document["num_buckets_scored"] == 0
    assert document["num_customers"] > 0


def test_a_backtest_writes_predictions_and_metrics_of_every_model(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    options = ("--as-of", "2024-07-15", "--horizon-days", "30", "--active-within-days", "60")
    document = run_json(capsys, "backtest", "--store", store, *options, "--resamples", "50", "--out", out)
    predictions = pq.read_table(out / "predictions.parquet")
    assert predictions.column_names == ["customer_id", "churn_probability", "churned", "as_of", "horizon_days"]
    assert (out / "report.html").read_text().startswith("<!doctype html>")
    assert [grade["grade"] for grade in document["grades"]] == [grade.name for grade in Grade]
    assert json.loads((out / "metrics.json").read_text()).items() <= document.items()
    wanted = {"auc", "average_precision", "brier", "log_loss", "ece", "top_decile_lift", "num_customers", "base_rate"}
    for metrics in document["models"].values():
        assert wanted <= set(metrics)
        assert metrics["num_customers"] == predictions.num_rows


def test_scores_come_over_the_wire(target: str, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    at_risk = run_json(capsys, "at-risk", "--target", target, "--limit", "3")
    worst = at_risk["customers"][0]
    document = run_json(capsys, "score", "--target", target, worst["customer_id"], "card-000")
    score = document["customers"][0]
    # Points are equal up to the rounding of matrix products of other shapes.
    why, listed_why = score.pop("reasons"), worst.pop("reasons")
    assert score == {"eligible": True, "as_of": document["context"]["as_of"], "num_events_added": 0} | worst
    assert [reason["sentence"] for reason in why["strongest"]] == [reason["sentence"] for reason in listed_why["strongest"]]
    assert document["context"]["as_of"] == AS_OF
    assert run("score", "--target", target, worst["customer_id"]) == 0
    assert f"Customer {worst['customer_id']}: {worst['grade']}" in capsys.readouterr().out
    assert run("at-risk", "--target", target, "--limit", "3") == 0
    assert worst["customer_id"] in capsys.readouterr().out


def test_the_others_are_answered_where_one_is_unknown(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("score", "--target", target, "card-001", "nobody", "--json") == 1
    answers = json.loads(capsys.readouterr().out)["customers"]
    assert [(answer["customer_id"], answer.get("ineligible_reason")) for answer in answers] == [
        ("card-001", None),
        ("nobody", "UNKNOWN_CUSTOMER"),
    ]


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 0
    assert "Build and serve:\n  ingest" in capsys.readouterr().out


def test_data_is_printed_as_it_is() -> None:
    text = Text.from_markup(f"[bold]{literal('[/]7[x]' + chr(27))}[/]").plain
    assert text == "[/]7[x]\\x1b"


def test_an_unknown_customer_is_one_clear_line(target: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("score", "--target", target, "nobody") == 1
    assert "'nobody' is not in the history" in _only_line(capsys)


def test_a_name_that_the_terminal_cannot_show_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "käufe.csv"
    source.write_text("customer_id,timestamp\n日本,2024-01-01\n")
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, encoding="ascii", write_through=True))
    assert run("ingest", "--store", tmp_path / "läden", source) == 0
    assert run("indicators", "日本", "--store", tmp_path / "läden", "--as-of", "2024-01-02") == 0
    assert rb"l\xe4den holds 1 order," in shown.getvalue()
    assert rb"Customer \u65e5\u672c" in shown.getvalue()


MISTAKES = {
    "no store": (["status", "--store", "{tmp}/nowhere"], "run `ebbtide ingest"),
    "an empty store": (["ingest", "--store", "", "{log}"], "found an empty text"),
    "no file": (["ingest", "--store", "{tmp}/new", "{tmp}/absent.csv"], "absent.csv"),
    "no files at all": (["ingest", "--store", "{tmp}/new"], "expected one or more files"),
    "a column that is not there": (["ingest", "--store", "{tmp}/new", "--column", "customer_id=kunde", "{log}"], "kunde"),
    "a field that is not there": (["ingest", "--store", "{tmp}/new", "--column", "kunde=card", "{log}"], "kunde"),
    "half a column": (["ingest", "--store", "{tmp}/new", "--column", "card", "{log}"], "expected FIELD=NAME"),
    "an unknown data set": (["ingest", "--store", "{tmp}/new", "--dataset", "nope"], "complete-journey"),
    "a date before time": (["train", "--store", "{store}", "--as-of", "0001-01-01T00:00:00+14:00"], "expected a date"),
    "no target": (["score", "--target", "", "1"], "expected HOST:PORT"),
    "no date": (["train", "--store", "{store}", "--as-of", "soon"], "expected a date"),
    "an as-of after the data": (["rescore", "--store", "{store}", "--as-of", "2031-01-01"], "2024-0"),
    "an as-of before the data": (["train", "--store", "{store}", "--as-of", "1999-01-01"], "2024-01-"),
    "a horizon past the end": (
        ["backtest", "--store", "{store}", "--as-of", "2024-08-20", "--horizon-days", "60", "--out", "{tmp}/out"],
        "2024-0",
    ),
    "an option that is not there": (["rescore", "--store", "{store}", "--as-off", AS_OF], "--as-of"),
    "a baseline that is not there": (
        ["backtest", "--store", "{store}", "--as-of", "2024-07-15", "--baselines", "oracle", "--out", "{tmp}/out"],
        "lightgbm_tuned",
    ),
    "results below a file": (
        ["backtest", "--store", "{store}", "--as-of", "2024-07-15", "--out", "{log}/out"],
        "name a place whose path leads",
    ),
    "a second origin past the end": (
        ["backtest", "--store", "{store}", "--as-of", "2024-07-01", "--as-of", "2024-08-20", "--out", "{tmp}/out"],
        "2024-0",
    ),
    "a name that leaves the store": (
        ["train", "--store", "{store}", "--as-of", AS_OF, "--name", "../x"],
        "_ and -, beginning with a letter or digit",
    ),
    "no server": (["at-risk", "--target", "127.0.0.1:9", "--timeout-s", "2"], "127.0.0.1:9"),
}


@pytest.mark.parametrize("mistake", list(MISTAKES))
def test_a_mistake_is_one_clear_line_and_not_a_traceback(
    mistake: str, store: Path, log: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, expected = MISTAKES[mistake]
    values = {"tmp": tmp_path, "store": store, "log": log}
    assert run(*(argument.format(**values) for argument in arguments)) in (1, 2)
    assert expected in _only_line(capsys)
    assert not (tmp_path / "new").exists()


def test_a_full_disk_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device", "store/history/spill")

    monkeypatch.setattr("engine.ingest.ingest", refuse)
    assert run("ingest", "--store", tmp_path / "store", write_log(tmp_path / "log.csv")) == 1
    assert _only_line(capsys) == (
        "ebbtide: store/history/spill: No space left on device; "
        "free space on that disk, then run the same command again: what was finished is kept"
    )


def _only_line(capsys: pytest.CaptureFixture[str]) -> str:
    """The one line on standard error that is no progress."""
    is_progress = re.compile(r".* \.\.\.|\w+: [\d,]+ of .*").fullmatch
    lines = [line for line in capsys.readouterr().err.splitlines() if not is_progress(line)]
    assert len(lines) == 1, lines
    assert lines[0].startswith("ebbtide: ")
    return lines[0]
