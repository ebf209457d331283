"""`ebbtide forget`: the whole store, and words about what it did."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from engine.errors import ExecutionError, UnknownCustomerError
from engine.executors import InlineExecutor
from engine.history import History
from engine.upkeep import erase_from_history
from serving.rescoring.rescore import RescoreProgress, rescore
from serving.snapshots import open_current, snapshots_folder
from tests.engine.test_erasure import traces
from tests.serving.cli.test_cli import run, run_json
from tests.serving.conftest import TRAINED_AS_OF_US

WHO = "customer 17"


@pytest.fixture
def scored(trained_store: Path, tmp_path: Path) -> Path:
    store = tmp_path / "store"
    shutil.copytree(trained_store, store, ignore=shutil.ignore_patterns("orders.csv"))
    assert run("rescore", "--store", store, "--as-of", "2024-01-01", "--device", "cpu") == 0
    return store


def test_a_customer_leaves_the_store_and_the_rest_is_sound(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    was_scored = open_current(scored).lookup(WHO) is not None
    num_events = History.open(scored).manifest.num_events
    document = run_json(capsys, "forget", "--store", scored, WHO)
    assert document["num_events"] == num_events - History.open(scored).manifest.num_events > 0
    assert len(document["snapshots_rewritten"]) == was_scored
    assert traces(scored, WHO) == []
    with pytest.raises(UnknownCustomerError):
        History.open(scored).find(WHO)
    assert run("verify", "--store", scored) == 0

    capsys.readouterr()
    assert run("forget", "--store", scored, WHO) == 1
    assert "No trace of customer 'customer 17'" in capsys.readouterr().out
    assert run("forget", "--store", scored, "customer 18") == 0
    assert "would bring them back" in capsys.readouterr().out
    assert run("rescore", "--store", scored, "--as-of", "2024-01-01", "--device", "cpu") == 0
    assert open_current(scored).lookup(WHO) is None


def test_a_rescoring_that_has_the_customer_is_not_committed(trained_store: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    shutil.copytree(trained_store, store, ignore=shutil.ignore_patterns("orders.csv"))

    def forget_meanwhile(at: RescoreProgress) -> None:
        if at.num_buckets_done == at.num_buckets:
            erase_from_history(store, WHO)

    with InlineExecutor() as executor, pytest.raises(ExecutionError, match="erased from the history meanwhile"):
        rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu", progress=forget_meanwhile)
    assert traces(store, WHO) == []
    assert not list(snapshots_folder(store).glob("*/manifest.json"))


def test_a_store_that_there_is_not_is_one_clear_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("forget", "--store", tmp_path / "nowhere", "x") == 2
    assert "nowhere is not a folder" in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_a_program_reads_that_nothing_was_found(scored: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    assert run("forget", "--store", scored, "nobody", "--json") == 1
    assert json.loads(capsys.readouterr().out)["found_any"] is False
