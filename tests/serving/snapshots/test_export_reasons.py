"""An export with reasons says in plain columns what a batch over the wire says."""

from __future__ import annotations

import shutil
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import NoBundleError
from engine.executors import InlineExecutor
from engine.instants import DAY_US
from serving.rescoring.rescore import rescore
from serving.service.bundles import find_bundle
from serving.service.reasoning import reasons_of, stored_reasons
from serving.service.rows import score_batch
from serving.snapshots import Snapshot, export_snapshot, flat_reasons, open_current
from serving.wire.batches import customer_scores
from tests.serving.cli.test_cli import run
from tests.serving.conftest import TRAINED_AS_OF_US
from tests.serving.made_snapshots import inputs_of, make_snapshot


@pytest.fixture(scope="module")
def store(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("reasoned") / "store"
    shutil.copytree(trained_store, store, ignore=shutil.ignore_patterns("snapshots"))
    with InlineExecutor() as executor:
        rescore(store, as_of_us=TRAINED_AS_OF_US + 30 * DAY_US, executor=executor, device="cpu")
    return store


@pytest.fixture(scope="module")
def snapshot(store: Path) -> Snapshot:
    return open_current(store)


@pytest.mark.parametrize("file_format", ["parquet", "csv", "arrow"])
def test_the_columns_are_the_reasons_of_a_batch(
    store: Path, snapshot: Snapshot, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file_format: str
) -> None:
    monkeypatch.setattr(flat_reasons, "_ROWS_PER_STEP", 7)
    out = tmp_path / f"scores.{file_format}"
    assert run("export", "--store", store, "--out", out, "--with-reasons") == 0
    table = pa.ipc.open_file(out).read_all() if file_format == "arrow" else duckdb.sql(f"select * from '{out}'").to_arrow_table()
    reasons = reasons_of(snapshot, find_bundle(store, snapshot.inputs))
    rows = snapshot.slice(0, snapshot.num_customers, with_memory=True)
    scores = customer_scores(score_batch(snapshot, rows, snapshot.inputs.horizon_days, reasons))
    assert len(table) == len(scores) > 100
    for told, score in zip(table.to_pylist(), scores, strict=True):
        assert score.reasons is not None
        assert (told["customer_id"], told["segment"]) == (score.customer_id, score.reasons.segment)
        points = told["other_points"] + sum(told[f"reason_{number}_points"] for number in (1, 2, 3))
        assert 100 * told["baseline_churn_probability"] + points == pytest.approx(told["risk_score"], abs=0.1)
        for number, reason in enumerate(score.reasons.strongest, start=1):
            for name in ("theme", "indicator", "sentence", "unit"):
                assert told[f"reason_{number}_{name}"] == getattr(reason, name)
            assert told[f"reason_{number}_points"] == pytest.approx(reason.points, abs=1e-4)


def test_without_the_model_it_is_refused_and_no_file_appears(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(store / "snapshots", tmp_path / "replica" / "snapshots")
    out = tmp_path / "scores.csv"
    assert run("export", "--store", tmp_path / "replica", "--out", out, "--with-reasons") == 1
    error = capsys.readouterr().err
    assert "holds no bundle default/0001" in error
    assert "reasons" in error
    assert not out.exists()
    with pytest.raises(NoBundleError):
        stored_reasons(tmp_path / "replica", open_current(store).manifest)
    assert run("export", "--store", tmp_path / "replica", "--out", out) == 0


def test_asked_for_columns_may_be_reasons(store: Path, tmp_path: Path) -> None:
    out = tmp_path / "crm.parquet"
    wanted = "reason_1_sentence,customer_id"
    assert run("export", "--store", store, "--out", out, "--with-reasons", "--columns", wanted) == 0
    assert pq.read_table(out).column_names == wanted.split(",")


def test_a_snapshot_of_nobody_has_the_columns_and_no_rows(tmp_path: Path) -> None:
    manifest = make_snapshot(tmp_path, {}, inputs_of())
    export_snapshot(tmp_path, manifest, tmp_path / "x.parquet", find_reasons=lambda: None)
    table = pq.read_table(tmp_path / "x.parquet")
    assert (table.num_rows, "reason_3_sentence" in table.column_names) == (0, True)
