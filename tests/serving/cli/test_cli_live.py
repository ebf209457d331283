"""`ebbtide score` with events, an instant and files: what a person and a program read, and what is refused."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.errors import InvalidArgumentError, SourceError
from engine.executors import InlineExecutor
from engine.history import History
from engine.instants import parse_instant
from engine.schema import EventKind
from serving.answers import CustomerEvent
from serving.cli import main
from serving.cli.event_option import parse_event, read_histories
from serving.rescoring.rescore import rescore
from serving.service.server import Server, ServerConfig
from tests.serving.conftest import TRAINED_AS_OF_US
from tests.serving.server_thread import ServerThread

NOON_US = parse_instant("2024-01-01T12:00:00Z")


@pytest.fixture(scope="module")
def live_server(trained_store: Path, tmp_path_factory: pytest.TempPathFactory, server_thread: ServerThread) -> Iterator[Server]:
    store = tmp_path_factory.mktemp("cli-live") / "store"
    shutil.copytree(trained_store, store, ignore=shutil.ignore_patterns("snapshots"))
    with InlineExecutor() as executor:
        rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu")
    server = server_thread.start(ServerConfig(store=store, listen="127.0.0.1:0", stop_grace_s=1.0))
    yield server
    server_thread.stop(server)


def test_an_event_is_read_from_words() -> None:
    settings = "'store=north east' channel=web order=A1 discount=1.05 quantity=2.5 lines=3 products=2"
    text = f"Purchase 2024-01-01T12:00:00Z 12.50 {settings}"
    assert parse_event(text) == CustomerEvent(
        time_us=NOON_US,
        amount_minor=1250,
        store_id="north east",
        channel="web",
        order_id="A1",
        discount_minor=105,
        quantity=2.5,
        num_lines=3,
        num_products=2,
    )
    assert parse_event("feedback 2024-01-01T12:00 rating=4.5") == CustomerEvent(
        time_us=NOON_US, kind=EventKind.FEEDBACK, rating=4.5
    )
    assert parse_event("return 2024-01-01T12:00 -3").amount_minor == -300


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected KIND TIME"),
        ("purchase", "expected KIND TIME"),
        ("bought 2024-01-01 1", "found kind 'bought'"),
        ("purchase soon 1", "found 'soon', expected a date"),
        ("purchase 2024-01-01 1 2", "amount is there twice"),
        ("purchase 2024-01-01 amount=much", "'much', which is no amount of money"),
        ("purchase 2024-01-01 nan", "no amount of money"),
        ("purchase 2024-01-01 1e400", "'1e400', which is no amount of money"),
        ("purchase 2024-01-01 1e999999", "no amount of money"),
        ("purchase 2024-01-01 1.005", "fractions of a cent"),
        ("purchase 2024-01-01 1 lines=few", "found lines 'few', which is no number"),
        ("purchase 2024-01-01 1 shop=7", "found shop= in .* expected one of store, channel"),
        ("purchase 2024-01-01 'x", "No closing quotation"),
    ],
)
def test_words_that_are_no_event_are_refused(text: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message) as caught:
        parse_event(text)
    assert caught.value.field == "--event"


def test_the_lines_of_a_file_become_the_events_that_ingest_would_make(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text(
        "who,timestamp,amount,order_id,product_id,store_id,kind,rating\n"
        "ann,2024-01-01T12:00,1.50,A,milk,north,,\n"
        "ann,2024-01-01T12:00,2.50,A,bread,north,,\n"
        "ann,2024-01-03,,,,,feedback,4\n"
        "bob,2024-01-01T12:00,7,B,milk,,,\n"
    )
    histories = read_histories(log, {"customer_id": "who"}, None)
    assert list(histories) == ["ann", "bob"]
    by_time = sorted(histories["ann"], key=lambda event: event.time_us)
    assert by_time[0] == CustomerEvent(
        time_us=NOON_US, amount_minor=400, quantity=2.0, num_lines=2, num_products=2, store_id="north", order_id="A"
    )
    assert (by_time[1].kind, by_time[1].rating, by_time[1].quantity) == (EventKind.FEEDBACK, 4.0, 0.0)
    log.write_text("customer_id,timestamp,amount\nann,2024-01-01,1\nann,tomorrow,1\n")
    with pytest.raises(SourceError, match=r"row 2 cannot be used \(timestamp unreadable\)"):
        read_histories(log, {}, None)


def test_a_person_is_told_that_a_score_was_computed_live(live_server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["score", "--target", live_server.target, "customer 17"]
    assert main([*arguments, "--event", "purchase 2024-01-01T12:00 12.50 store=west"]) == 0
    out = capsys.readouterr().out
    assert "last bought less than a day ago at store west" in out
    assert "As of 2024-01-01T12:00:00.000001Z, computed live with 1 new event, model default/0001" in out
    assert main([*arguments, "--as-of", "2024-11-01"]) == 0
    assert "no score, no purchase in the last 90 days" in capsys.readouterr().out


def test_customers_of_a_file_are_told_of_together(
    live_server: Server, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    log = tmp_path / "log.csv"
    log.write_text("customer_id,timestamp,amount\nann,2023-12-01,5\nann,2023-12-20,6\nbob,2024-01-02T10:00,7\n")
    asked = ["score", "--target", live_server.target, "--history", str(log)]
    assert main(asked) == 0
    assert "As of 2024-01-01 to 2024-01-02T10:00:00.000001Z, computed live with 3 new events, model" in capsys.readouterr().out
    assert main([*asked, "--json"]) == 0
    told = [(one["num_events_added"], one["as_of"]) for one in json.loads(capsys.readouterr().out)["customers"]]
    assert told == [(2, "2024-01-01"), (1, "2024-01-02T10:00:00.000001Z")]


def test_a_history_from_a_file_scores_as_the_store_does(
    live_server: Server, trained_store: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    partition, row = History.open(trained_store).find("customer 17")
    known = slice(*partition.offsets[row : row + 2])
    lines = [
        f"customer 17,{time_us},12.50,{partition.store_names[code] if code >= 0 else ''}"
        for time_us, code in zip(partition.timestamp_us[known] // 1_000_000, partition.store_code[known], strict=True)
        if time_us < TRAINED_AS_OF_US // 1_000_000
    ]
    log = tmp_path / "log.csv"
    log.write_text("\n".join(["customer_id,timestamp,amount,store_id", *lines, "other,0,1,"]) + "\n")
    asked = ["score", "--target", live_server.target, "--json"]
    assert main([*asked, "--history", str(log), "--timestamp-format", "%s", "customer 17"]) == 0
    from_file = json.loads(capsys.readouterr().out)
    assert main([*asked, "customer 17"]) == 0
    from_store = json.loads(capsys.readouterr().out)
    assert from_file["context"]["is_live"]
    (mine,), (theirs,) = from_file["customers"], from_store["customers"]
    assert mine["churn_probability"] == pytest.approx(theirs["churn_probability"], abs=2e-3)  # to the second, and not finer
    assert (mine["num_orders"], mine["store_id"]) == (theirs["num_orders"], theirs["store_id"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "CUSTOMER_ID: found none"),
        (["a", "b", "--event", "visit 2024-01-01"], "speaks of one customer, found 2"),
        (["a", "--column", "x=y"], "only with --history"),
        (["--history", "LOG", "--event", "visit 2024-01-01"], "cannot be combined with --history"),
        (["--history", "LOG", "nobody"], "found no customer 'nobody', expected one of its 101"),
        (["--history", "LOG"], "found 101 customers, expected at most 100"),
        (["--history", "nowhere.csv"], "nowhere.csv"),
        (["a", "--as-of", "soon"], "--as-of: found 'soon'"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_one_line(
    arguments: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log.csv"
    log.write_text("customer_id,timestamp,amount\n" + "".join(f"c{number},2024-01-01,1\n" for number in range(101)))
    asked = [str(log) if argument == "LOG" else argument for argument in arguments]
    assert main(["score", "--target", "127.0.0.1:1", *asked]) != 0
    err = capsys.readouterr().err
    assert message in err
    assert "Traceback" not in err
