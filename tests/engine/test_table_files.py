"""Tables as files: whole or not at all, the same bytes however they are cut, and no formulas for spreadsheets."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InvalidArgumentError
from engine.table_files import FORMATS, check_table_path, table_file

SCHEMA = pa.schema([pa.field("id", pa.string()), pa.field("number", pa.int64(), nullable=False)])
NUM_ROWS = 150_000


def rows(begin: int, end: int) -> pa.RecordBatch:
    return pa.record_batch([pa.array([f"c{number}" for number in range(begin, end)]), pa.array(range(begin, end))], schema=SCHEMA)


@pytest.mark.parametrize("file_format", ["parquet", "csv"])
def test_equal_rows_give_equal_bytes_however_they_are_cut(tmp_path: Path, file_format: str) -> None:
    contents = []
    for number, cuts in enumerate([(0, NUM_ROWS), (0, 1, 65_536, 65_537, 140_000, NUM_ROWS)]):
        path = tmp_path / f"{number}.{file_format}"
        with table_file(path, SCHEMA) as table:
            for begin, end in pairwise(cuts):
                table.write(rows(begin, end))
        assert table.num_rows == NUM_ROWS
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_table_of_nobody_has_its_columns(tmp_path: Path, file_format: str) -> None:
    path = tmp_path / f"empty.{file_format}"
    with table_file(path, SCHEMA) as table:
        table.write(rows(0, 0))
    if file_format == "arrow":
        found = pa.ipc.open_file(path).read_all()
    else:
        found = duckdb.sql(f"select * from '{path}'").to_arrow_table()
    assert (found.column_names, found.num_rows) == (["id", "number"], 0)


TEXTS = ["=1+1", "+49", "-5", "@SUM", "\tx", "\rx", "'quoted", "＝1", "", None, "plain", "a=b", "a,=b", 'q"=', "x\n=1"]


def test_a_csv_holds_no_text_that_a_spreadsheet_runs(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    batch = pa.record_batch([pa.array(TEXTS), pa.array([-1] * len(TEXTS))], schema=SCHEMA)
    with table_file(path, SCHEMA) as table:
        table.write(batch)
    assert table.num_marked == 8
    lines = path.read_text()
    assert all(f'"\'{text}"' in lines for text in ["=1+1", "+49", "-5", "@SUM", "'quoted"])
    assert '"plain",-1' in lines  # numbers are numbers
    with table_file(tmp_path / "verbatim.csv", SCHEMA, marks_formulas=False) as table:
        table.write(batch)
    assert '"=1+1"' in (tmp_path / "verbatim.csv").read_text()
    with table_file(tmp_path / "texts.parquet", SCHEMA) as table:
        table.write(batch)
    assert pq.read_table(tmp_path / "texts.parquet")["id"].to_pylist() == TEXTS


@given(texts=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=4), min_size=1, max_size=20))
def test_one_mark_off_gives_back_every_text(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    path = tmp_path_factory.mktemp("marks") / "texts.csv"
    with table_file(path, SCHEMA) as table:
        table.write(pa.record_batch([pa.array(texts), pa.array(range(len(texts)))], schema=SCHEMA))
    parse = pa.csv.ParseOptions(newlines_in_values=True)
    convert = pa.csv.ConvertOptions(column_types=SCHEMA, strings_can_be_null=True, quoted_strings_can_be_null=False)
    found = pa.csv.read_csv(path, parse_options=parse, convert_options=convert)["id"].to_pylist()
    assert [text.removeprefix("'") for text in found] == texts
    assert not any(text.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for text in found)


def test_what_breaks_off_leaves_the_old_file_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("old")

    def break_off() -> None:
        with table_file(path, SCHEMA) as table:
            table.write(rows(0, 70_000))
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        break_off()
    assert {entry.name: entry.read_text() for entry in tmp_path.iterdir()} == {"t.csv": "old"}


def test_a_format_may_be_named_or_read_off_the_ending_but_not_contradict_it(tmp_path: Path) -> None:
    assert check_table_path(tmp_path / "a.PARQUET") == "parquet"
    assert check_table_path(tmp_path / "a.dat", file_format="csv") == "csv"
    with pytest.raises(InvalidArgumentError, match=r"expected \.csv for the format csv"):
        check_table_path(tmp_path / "a.arrow", file_format="csv")
    (tmp_path / "a.csv").touch()
    assert check_table_path(tmp_path / "a.csv") == "csv"
    with pytest.raises(InvalidArgumentError, match="there already"):
        check_table_path(tmp_path / "a.csv", may_replace=False)
    with pytest.raises(InvalidArgumentError, match="not UTF-8"):
        check_table_path(tmp_path / "k\udce4ufe.csv")
