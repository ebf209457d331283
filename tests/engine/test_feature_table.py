"""The feature table says what `compute_indicators` says, of everybody who was seen by then, in every format."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from engine.errors import AsOfError, InvalidArgumentError
from engine.feature_table import FeatureTableReport, write_feature_table
from engine.history import History
from engine.indicators import INDICATOR_COLUMNS, INDICATORS, compute_indicators
from engine.ingest import ingest
from engine.instants import DAY_US, format_instant, parse_instant

AS_OF_US = parse_instant("2024-05-01")
NUM_CUSTOMERS = 120


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> History:
    """Eight buckets of 120 customers with purchases; c000 to c009 have bought nothing before the instant."""
    folder = tmp_path_factory.mktemp("features")
    random = np.random.default_rng(0)
    lines = ["customer_id,timestamp,amount,discount,store_id"]
    for customer in range(NUM_CUSTOMERS):
        earliest = 121 if customer < 10 else 0
        for day in random.integers(earliest, 140, 12):
            time = format_instant(parse_instant("2024-01-01") + int(day) * DAY_US + int(random.integers(DAY_US)))
            lines.append(f"c{customer:03d},{time},{random.integers(100, 9000) / 100},0.5,{random.integers(3)}")
    (folder / "log.csv").write_text("\n".join(lines) + "\n")
    ingest(folder / "store", [folder / "log.csv"], num_buckets=8)
    return History.open(folder / "store")


def read(path: Path) -> pa.Table:
    if path.suffix.lower() == ".parquet":
        return pa.parquet.read_table(path)
    if path.suffix == ".csv":
        types = {name: pa.float32() for name in INDICATOR_COLUMNS} | {"customer_id": pa.string()}
        return pa.csv.read_csv(path, convert_options=pa.csv.ConvertOptions(column_types=types))
    return pa.ipc.open_file(path).read_all()


@pytest.mark.parametrize("name", ["features.parquet", "features.csv", "features.arrow", "FEATURES.PARQUET"])
def test_the_file_holds_what_compute_indicators_says(history: History, tmp_path: Path, name: str) -> None:
    report = write_feature_table(history, tmp_path / name, as_of_us=AS_OF_US)
    table = read(tmp_path / name)
    assert table.column_names == ["customer_id", *INDICATOR_COLUMNS]
    assert set(table.schema.types[1:]) == {pa.float32()}
    ids = table["customer_id"].to_pylist()
    assert sorted(ids) == [f"c{customer:03d}" for customer in range(10, NUM_CUSTOMERS)]
    assert (report.num_customers, report.num_later, report.num_bytes) == (110, 10, (tmp_path / name).stat().st_size)
    found = np.stack([table[column].to_numpy() for column in INDICATOR_COLUMNS], axis=1)
    for row, customer_id in enumerate(ids):
        partition, index = history.find(customer_id)
        expected = compute_indicators(partition, np.array([index]), AS_OF_US)[0]
        np.testing.assert_array_equal(found[row], expected)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["features.parquet", "features.arrow"])
def test_what_is_not_known_is_null_and_the_metadata_say_what_the_numbers_are(history: History, tmp_path: Path, name: str) -> None:
    write_feature_table(history, tmp_path / name, as_of_us=AS_OF_US)
    table = read(tmp_path / name)
    assert table["days_since_login"].null_count == table.num_rows
    assert not any(table[column].to_pylist().count(float("nan")) for column in INDICATOR_COLUMNS)
    metadata = {key.decode(): value.decode() for key, value in table.schema.metadata.items()}
    assert metadata["ebbtide.as_of"] == "2024-05-01"
    assert metadata["ebbtide.history"] == history.manifest_hash
    assert json.loads(metadata["ebbtide.units"]) == {
        column.name: indicator.unit for indicator in INDICATORS for column in indicator.columns
    }


@pytest.mark.parametrize("name", ["features.parquet", "features.csv", "features.arrow"])
def test_equal_inputs_give_equal_bytes(history: History, tmp_path: Path, name: str) -> None:
    contents = []
    for _ in range(2):
        write_feature_table(history, tmp_path / name, as_of_us=AS_OF_US)
        contents.append((tmp_path / name).read_bytes())
    assert contents[0] == contents[1]


def test_the_report_says_where_the_time_went(history: History, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    report = write_feature_table(
        history, tmp_path / "f.parquet", as_of_us=AS_OF_US, progress=lambda done, total: seen.append((done, total))
    )
    assert isinstance(report, FeatureTableReport)
    assert min(report.read_s, report.compute_s, report.write_s, report.total_s) > 0
    assert seen == [(done, 8) for done in range(1, 9)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("features.xlsx", r"expected a file that ends in \.parquet, \.csv, \.arrow"),
        ("features", r"expected a file that ends in"),
        ("nowhere/features.csv", "make it first"),
    ],
)
def test_a_file_that_cannot_be_is_refused_before_any_work(history: History, tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        write_feature_table(history, tmp_path / name, as_of_us=AS_OF_US)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_its_place_is_refused(history: History, tmp_path: Path) -> None:
    (tmp_path / "f.csv").mkdir()
    with pytest.raises(InvalidArgumentError, match="is a folder"):
        write_feature_table(history, tmp_path / "f.csv", as_of_us=AS_OF_US)


def test_an_unknown_backend_and_an_instant_after_the_log_are_refused(history: History, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="backend: found 'abacus'"):
        write_feature_table(history, tmp_path / "f.csv", as_of_us=AS_OF_US, backend="abacus")
    with pytest.raises(AsOfError, match="expected a date from"):
        write_feature_table(history, tmp_path / "f.csv", as_of_us=AS_OF_US + 400 * DAY_US)


def test_what_fails_midway_leaves_the_old_file_and_nothing_beside_it(history: History, tmp_path: Path) -> None:
    (tmp_path / "f.parquet").write_bytes(b"old")

    def fail(done: int, total: int) -> None:
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_feature_table(history, tmp_path / "f.parquet", as_of_us=AS_OF_US, progress=fail)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"f.parquet": b"old"}
