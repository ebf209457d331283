"""Columns in every dress of Arrow come to the same rows, the rejected ones too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from engine.errors import SourceError
from engine.history import History
from engine.ingest import ingest
from engine.sources.plain import plain
from tests.engine.reference_history import decode

TEXTS = {
    "customer_id": ["a", "b", None, "d"],
    "timestamp": ["2017-01-01", "never", "2017-01-03", "2017-01-04"],
    "amount": ["1.5", "2", "3", "none"],
    "quantity": ["1", "1", "1", "1"],
    "kind": ["purchase", "visit", "purchase", "purchase"],
    "is_return": ["no", "no", "no", "yes"],
    "store_id": ["s", None, "s", "t"],
}
DRESSES: dict[str, Callable[[pa.StringArray], pa.Array]] = {
    "large text": lambda texts: texts.cast(pa.large_string()),
    "views": lambda texts: texts.cast(pa.string_view()),  # as Polars writes text
    "bytes": lambda texts: texts.cast(pa.binary()),
    "views of bytes": lambda texts: texts.cast(pa.binary_view()),
    "dictionary": lambda texts: texts.dictionary_encode(),
    "dictionary of bytes": lambda texts: texts.cast(pa.binary()).dictionary_encode(),
    "dictionary of views": lambda texts: texts.cast(pa.string_view()).dictionary_encode(),
    "dictionary with a null": lambda texts: texts.dictionary_encode(null_encoding="encode"),
}


def write_arrow(path: Path, table: pa.Table) -> Path:
    with pa.ipc.new_file(path, table.schema) as writer:
        writer.write_table(table)
    return path


def take_in(folder: Path, dress: Callable[[pa.StringArray], pa.Array]) -> tuple[object, bytes]:
    """What the history holds, and the quarantine file, of the texts in a dress."""
    folder.mkdir()
    table = pa.table({name: dress(pa.array(texts, pa.string())) for name, texts in TEXTS.items()})
    report = ingest(folder / "store", [write_arrow(folder / "t.arrow", table)])
    (quarantine,) = (folder / "store" / "history" / "quarantine").iterdir()
    assert sum(report.bad_rows.values()) == 3
    return decode(History.open(folder / "store")), quarantine.read_bytes()


@pytest.mark.parametrize("dress", DRESSES)
def test_rows_are_the_same_in_every_dress(tmp_path: Path, dress: str) -> None:
    assert take_in(tmp_path / "dressed", DRESSES[dress]) == take_in(tmp_path / "plain", lambda texts: texts)


def test_a_dictionary_of_instants_that_there_are_not_is_refused_in_words(tmp_path: Path) -> None:
    instants = pa.array([10**15, 10**15], pa.timestamp("s")).dictionary_encode()
    path = write_arrow(tmp_path / "t.arrow", pa.table({"customer_id": ["a", "b"], "timestamp": instants}))
    with pytest.raises(SourceError, match="none of its 2 rows can be used: 2 x timestamp unreadable"):
        ingest(tmp_path / "store", [path])


def test_what_is_plain_stays_as_it_is() -> None:
    column = pa.array([1, None])
    assert plain(column) is column
