"""An export holds what is served, as other readers read it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from engine.errors import IntegrityError, InvalidArgumentError
from engine.storage import Place
from serving.service.rows import score_batch
from serving.snapshots import MEMORY_COLUMNS, SnapshotManifest, export_snapshot, open_current, snapshot_folder, snapshot_schema
from tests.serving.made_snapshots import inputs_of, make_snapshot

PROBABILITIES = {f"c{number}": (1 + number * 37 % 99) / 100 for number in range(300)} | {"=1+1": 0.5, "-7": 0.25, "'": 0.75}
FORMATS = ["parquet", "csv", "arrow"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    make_snapshot(folder, PROBABILITIES, inputs_of())
    return folder


@pytest.fixture(scope="module")
def manifest(store: Path) -> SnapshotManifest:
    return open_current(store).manifest


def read_with_arrow(path: Path) -> pa.Table:
    match path.suffix:
        case ".parquet":
            return pq.read_table(path)
        case ".arrow":
            return pa.ipc.open_file(path).read_all()
        case _:
            convert = pa.csv.ConvertOptions(column_types={"store_id": pa.string()}, strings_can_be_null=True)
            return pa.csv.read_csv(path, convert_options=convert)


def read_with_duckdb(path: Path) -> pa.Table:
    if path.suffix == ".arrow":
        whole = pa.ipc.open_file(path).read_all()  # noqa: F841  (DuckDB finds it by its name)
        return duckdb.sql("select * from whole").to_arrow_table()
    return duckdb.sql(f"set timezone = 'UTC'; select * from '{path}'").to_arrow_table()


@pytest.mark.parametrize("read", [read_with_arrow, read_with_duckdb])
@pytest.mark.parametrize("file_format", FORMATS)
def test_every_reader_finds_what_is_served(
    store: Path, manifest: SnapshotManifest, tmp_path: Path, file_format: str, read: object
) -> None:
    path = tmp_path / f"scores.{file_format}"
    report = export_snapshot(store, manifest, path, horizon_days=[30, 7])
    assert callable(read)
    rows = {row["customer_id"].removeprefix("'" if file_format == "csv" else ""): row for row in read(path).to_pylist()}
    assert (report.num_customers, report.num_bytes) == (len(rows), path.stat().st_size) == (303, path.stat().st_size)
    snapshot = open_current(store)
    for horizon in (7, 30):
        for served in score_batch(snapshot, snapshot.slice(0, 303), horizon).to_pylist():
            row = rows[served["customer_id"]]
            assert row[f"churn_probability_{horizon}d"] == pytest.approx(served["churn_probability"], rel=1e-6)
            assert (row["grade"], row["tier"], row["num_orders"]) == (served["grade"], served["tier"], served["num_orders"])
            assert row["risk_score"] == pytest.approx(served["risk_score"], rel=1e-6)
            assert row["store_id"] == (served["store_id"] or None)
            bought_at = row["last_purchase"].astimezone(UTC) if row["last_purchase"].tzinfo else row["last_purchase"]
            moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=served["last_purchase_us"])
            assert bought_at.replace(tzinfo=UTC) == moment
    assert report.num_marked == (3 if file_format == "csv" else 0)


def test_every_score_of_the_schema_comes_along(store: Path, manifest: SnapshotManifest, tmp_path: Path) -> None:
    schema = snapshot_schema(len(manifest.inputs.edges_days), manifest.inputs.state_size)
    told = {"churn_probability": "churn_probability_30d"}
    expected = [told.get(name, name.removesuffix("_us")) for name in schema.names]
    usual = export_snapshot(store, manifest, tmp_path / "usual.arrow").columns
    made_of_others = {"risk_score", "grade", "tier"}
    kept_out = {name.removesuffix("_us") for name in MEMORY_COLUMNS} | {"survival"}
    assert [name for name in usual if name not in made_of_others] == [name for name in expected if name not in kept_out]
    everything = export_snapshot(store, manifest, tmp_path / "everything.arrow", with_states=True).columns
    assert [name for name in everything if name not in made_of_others] == expected
    table = pa.ipc.open_file(tmp_path / "everything.arrow").read_all()
    snapshot = open_current(store)
    assert table["state"].combine_chunks().equals(pa.chunked_array([file["state"] for file in snapshot.files]).combine_chunks())
    assert table.schema.metadata[b"ebbtide.as_of"] == b"2024-06-01"


def test_asked_for_columns_come_in_the_order_asked_for(store: Path, manifest: SnapshotManifest, tmp_path: Path) -> None:
    columns = ["grade", "churn_probability_90d", "customer_id", "grade"]
    export_snapshot(store, manifest, tmp_path / "some.csv", columns=columns, horizon_days=[90])
    assert (tmp_path / "some.csv").read_text().splitlines()[0] == '"grade","churn_probability_90d","customer_id"'
    export_snapshot(store, manifest, tmp_path / "memory.parquet", columns=["customer_id", "state"])
    assert pq.read_table(tmp_path / "memory.parquet").column_names == ["customer_id", "state"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"columns": ["riskiness"]}, "columns: found 'riskiness', expected some of customer_id, store_id"),
        ({"columns": ["churn_probability_60d"]}, "ask for other horizons with --horizon-days"),
        ({"columns": ["state"]}, "columns: found 'state', a list, which csv has not"),
        ({"with_states": True}, "with_states: found it with csv"),
        ({"horizon_days": [366]}, "horizon_days: found 366, expected 1 to 365"),
        ({"file_format": "arrow"}, r"expected \.arrow for the format arrow"),
    ],
)
def test_what_cannot_be_is_refused_before_a_file_is_there(
    store: Path, manifest: SnapshotManifest, tmp_path: Path, settings: dict[str, object], message: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        export_snapshot(store, manifest, tmp_path / "scores.csv", **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_an_old_file_stays_unless_it_may_be_replaced(store: Path, manifest: SnapshotManifest, tmp_path: Path) -> None:
    (tmp_path / "scores.parquet").write_bytes(b"old")
    with pytest.raises(InvalidArgumentError, match="there already; name another file, or replace it with --force"):
        export_snapshot(store, manifest, tmp_path / "scores.parquet")
    assert (tmp_path / "scores.parquet").read_bytes() == b"old"
    export_snapshot(store, manifest, tmp_path / "scores.parquet", may_replace=True)
    assert pq.read_metadata(tmp_path / "scores.parquet").num_rows == 303


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_damaged_bucket_is_named_and_the_old_file_stays(any_store: Place, tmp_path: Path, file_format: str) -> None:
    manifest = make_snapshot(any_store, PROBABILITIES, inputs_of())
    out = tmp_path / f"scores.{file_format}"
    export_snapshot(any_store, manifest, out)
    before = out.read_bytes()
    export_snapshot(any_store, manifest, out, may_replace=True)
    assert out.read_bytes() == before
    (snapshot_folder(any_store, manifest.snapshot_id) / manifest.files[2].path).unlink()
    with pytest.raises(IntegrityError, match=r"bucket=0002\.arrow is absent"):
        export_snapshot(any_store, manifest, out, may_replace=True)
    assert [entry.name for entry in tmp_path.iterdir() if entry.is_file()] == [out.name]
    assert out.read_bytes() == before


def test_naming_a_column_of_reasons_tells_how_to_have_them(store: Path, manifest: SnapshotManifest, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"'reason_1_sentence'.*--with-reasons"):
        export_snapshot(store, manifest, tmp_path / "x.csv", columns=["reason_1_sentence"])


def test_reasons_are_looked_for_only_where_a_column_of_them_is_written(
    store: Path, manifest: SnapshotManifest, tmp_path: Path
) -> None:
    def find_reasons() -> None:
        raise AssertionError("nobody needs them")

    export_snapshot(store, manifest, tmp_path / "x.csv", columns=["customer_id"], find_reasons=find_reasons)
    with pytest.raises(InvalidArgumentError, match="nowhere"):
        export_snapshot(store, manifest, tmp_path / "nowhere" / "x.csv", find_reasons=find_reasons)


def test_buckets_of_nobody_are_no_rows(tmp_path: Path) -> None:
    manifest = make_snapshot(tmp_path, {"only": 0.5}, inputs_of(num_buckets=8))
    assert export_snapshot(tmp_path, manifest, tmp_path / "one.parquet", horizon_days=[7]).num_customers == 1
    nobody = make_snapshot(tmp_path, {}, inputs_of(days_later=1))
    assert export_snapshot(tmp_path, nobody, tmp_path / "none.parquet").num_customers == 0
    assert np.all(pq.read_table(tmp_path / "one.parquet")["customer_id"].to_numpy() == ["only"])
