"""Files as batches, and every way in which a file is not what it should be."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.errors import SourceError
from engine.sources import readers
from engine.sources.readers import format_of, read_batches, read_header

TABLE = pa.table({"customer_id": ["a", "b", None], "amount": [1.5, 2.5, 3.5]})
TEXT = "customer_id,amount\na,1.5\nb,2.5\n,3.5\n"


def write_all_formats(folder: Path) -> list[Path]:
    pq.write_table(TABLE, folder / "t.parquet")
    for name in ("t.arrow", "t.feather", "t.ipc"):
        with pa.ipc.new_file(folder / name, TABLE.schema) as writer:
            writer.write_table(TABLE)
    with pa.ipc.new_stream(folder / "t.arrows", TABLE.schema) as stream_writer:
        stream_writer.write_table(TABLE)
    (folder / "t.csv").write_text(TEXT)
    (folder / "T2.CSV").write_bytes(b"\xef\xbb\xbf" + TEXT.replace("\n", "\r\n").encode())
    (folder / "semicolon.csv").write_text(TEXT.replace(",", ";"))
    (folder / "t.tsv").write_text(TEXT.replace(",", "\t"))
    with gzip.open(folder / "t.csv.gz", "wt") as compressed:
        compressed.write(TEXT)
    return sorted(folder.iterdir())


def read_all(path: Path, columns: list[str]) -> dict[str, list[object]]:
    return pa.Table.from_batches(read_batches(read_header(path), columns)).to_pydict()


def test_every_format_gives_the_same_rows(tmp_path: Path) -> None:
    paths = write_all_formats(tmp_path)
    assert len(paths) == 10
    for path in paths:
        rows = read_all(path, ["amount", "customer_id"])
        assert rows["customer_id"] == ["a", "b", None]
        assert [float(str(amount)) for amount in rows["amount"]] == [1.5, 2.5, 3.5]
        header = read_header(path)
        assert header.schema.names == ["customer_id", "amount"]
        assert header.num_rows == (3 if path.suffix in (".parquet", ".arrow", ".feather", ".ipc") else None)
        assert header.estimated_rows > 0


def test_a_stream_of_an_old_writer_has_no_mark_and_is_read(tmp_path: Path) -> None:
    options = pa.ipc.IpcWriteOptions(use_legacy_format=True)
    with pa.ipc.new_stream(tmp_path / "t.arrows", TABLE.schema, options=options) as writer:
        writer.write_table(TABLE)
    assert not (tmp_path / "t.arrows").read_bytes().startswith(b"\xff\xff\xff\xff")
    assert read_all(tmp_path / "t.arrows", ["amount"]) == {"amount": [1.5, 2.5, 3.5]}


def test_large_batches_come_in_slices(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "_BATCH_ROWS", 2)
    for path in write_all_formats(tmp_path):
        if "csv" not in path.name.lower() and path.suffix != ".tsv":
            assert [batch.num_rows for batch in read_batches(read_header(path), ["amount"])] == [2, 1]


def test_blank_lines_of_a_csv_are_nothing_wherever_they_stand(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("\r\n\ncustomer_id,amount\n\n\na,1.5\n\nb,2.5\n\n")
    assert read_all(path, ["customer_id", "amount"]) == {"customer_id": ["a", "b"], "amount": ["1.5", "2.5"]}


def test_csv_quoting_newlines_and_words_for_nothing(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text('customer_id,"am,ount"\n"a ""b""\nc",NULL\nNA,\\N\n"NA",""\nn/a,NaN\n')
    rows = read_all(path, ["customer_id", "am,ount"])
    assert rows == {"customer_id": ['a "b"\nc', None, "NA", None], "am,ount": [None, None, "", "NaN"]}


def test_columns_that_are_not_asked_for_need_not_be_utf8(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes("customer_id,name\na,Müller\n".encode("latin-1"))
    header = readers.Header(path=path, format="CSV", schema=pa.schema([]), num_rows=None, estimated_rows=1, delimiter=",")
    assert pa.Table.from_batches(read_batches(header, ["customer_id"])).num_rows == 1


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("missing.csv", None, "found no such file"),
        ("t.xlsx", b"PK\x03\x04", r"found a name ending in '.xlsx', expected one of .parquet"),
        ("t.csv", b"", r"found an empty file \(0 bytes\), expected CSV"),
        ("t.parquet", b"", "found an empty file"),
        ("t.csv", b"customer_id,amount\n", r"found no rows \(columns: customer_id, amount\)"),
        ("t.csv", b"\n\n", "found blank lines only"),
        ("t.csv", b"PAR1\x15\x04", "found a file of the kind Parquet, expected CSV by its name"),
        ("t.csv", b"PK\x03\x04....", "found a file of the kind Zip or Excel, expected CSV"),
        ("t.csv", b"a\x00b\x01", "found a file of the kind binary, expected CSV"),
        ("t.csv", gzip.compress(TEXT.encode(), mtime=0), "found a file of the kind gzip, expected CSV"),
        ("t.csv.gz", TEXT.encode(), "found a file that is not gzip"),
        ("t.csv.gz", gzip.compress(b"PAR1....", mtime=0), "found a file of the kind Parquet, expected CSV"),
        ("t.csv.gz", gzip.compress(TEXT.encode() * 999, mtime=0)[:-30], "is no readable CSV file"),
        ("t.parquet", TEXT.encode(), "found a file that is not Parquet, expected Parquet"),
        ("t.parquet", b"PAR1 and then nothing of the kind", "is no readable Parquet file"),
        ("t.arrow", TEXT.encode(), "found a file that is not Arrow, expected Arrow by its name; rename it to what it is"),
        ("t.arrows", b"\x10\x01\0\0 an old stream, cut short", "is no readable Arrow file"),
        ("t.arrow", b"ARROW1\0\0 cut short", "is no readable Arrow file"),
        ("t.feather", b"FEA1....", "found a file of the kind Feather version 1, expected Arrow"),
        ("t.csv", "customer_id,amount\né,1\n".encode("utf-16"), "found UTF-16, expected UTF-8; convert it: iconv"),
        (
            "t.csv",
            "customer_id,amount\nMüller,1\n".encode("latin-1"),
            "bytes that are not UTF-8, .* convert it, for example: iconv",
        ),
        ("t.csv", b"customer_id,amount\na,1,2\nb,1\n", "Expected 2 columns, got 3.*as many fields as the header"),
        ("t.csv", b"customer_id,amount\na,1\nb\n", "Expected 2 columns, got 1.*as many fields as the header"),
    ],
)
def test_what_is_refused_and_how(tmp_path: Path, name: str, data: bytes | None, message: str) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SourceError, match=message) as refused:
        read_all(path, ["customer_id", "amount"])
    assert str(refused.value).startswith(f"{path}: ")


def test_bytes_that_are_not_utf8_far_down_are_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(TEXT.encode() * 1 + b"c,1\n" * 30_000 + "Müller,1\n".encode("latin-1"))
    with pytest.raises(SourceError, match="not UTF-8"):
        read_all(path, ["customer_id"])


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow"])
def test_typed_text_that_is_not_utf8_is_refused(tmp_path: Path, name: str) -> None:
    """Writers of Parquet do not look; a history that took it in could not be read any more."""
    latin = pa.array(["Müller".encode("latin-1"), b"b"])
    text = pa.Array.from_buffers(pa.string(), 2, latin.buffers())
    path = tmp_path / name
    if name == "t.parquet":
        pq.write_table(pa.table({"customer_id": text}), path)
    else:
        with pa.ipc.new_file(path, pa.schema({"customer_id": pa.string()})) as writer:
            writer.write_table(pa.table({"customer_id": text}))
    with pytest.raises(SourceError, match=r"not UTF-8, .*; export it again as UTF-8"):
        read_all(path, ["customer_id"])


def test_a_column_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.arrow"
    with pa.ipc.new_file(path, pa.schema({"Verkaeufer": pa.string()})) as writer:
        writer.write_table(pa.table({"Verkaeufer": ["a"]}))
    path.write_bytes(path.read_bytes().replace(b"Verkaeufer", b"Verk\xe4\xe4ufer"))
    with pytest.raises(SourceError, match="not UTF-8"):
        read_header(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.arrows"])
def test_typed_files_without_rows(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    if name == "t.parquet":
        pq.write_table(TABLE.slice(0, 0), path)
    else:
        make_writer = pa.ipc.new_file if name == "t.arrow" else pa.ipc.new_stream
        with make_writer(path, TABLE.schema) as writer:
            writer.write_table(TABLE.slice(0, 0))
    with pytest.raises(SourceError, match="found no rows"):
        read_header(path)


def test_a_stream_cut_short_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.arrows"
    with pa.ipc.new_stream(path, TABLE.schema) as writer:
        writer.write_table(TABLE)
        writer.write_table(TABLE)
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(SourceError, match="is no readable Arrow file"):
        read_all(path, ["customer_id"])


def test_the_longest_ending_names_the_format() -> None:
    assert format_of(Path("a.b.CSV.GZ")) == "CSV"
    assert format_of(Path("a.gz")) is None
