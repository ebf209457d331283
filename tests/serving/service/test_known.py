"""Who is known beyond the snapshot, while the history goes on."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from engine.errors import IntegrityError
from engine.history import History
from engine.ingest import ingest
from engine.upkeep import compact, erase_from_history
from serving.answers import IneligibleReason
from serving.service.known import KnownCustomers
from tests.serving.conftest import INPUTS


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """Forty customers in four buckets of two parts each."""
    for day in (1, 2):
        source = tmp_path / f"{day}.csv"
        lines = [f"c{number},2017-01-0{day},1" for number in range(40)]
        source.write_text("\n".join(["customer_id,timestamp,amount", *lines]))
        ingest(tmp_path / "store", [source], num_buckets=4)
    return tmp_path / "store"


class SweptMeanwhile(KnownCustomers):
    """The parts are folded, and c3 erased, between the first look at the manifest and the first look at a part."""

    def __init__(self, store: Path) -> None:
        super().__init__(store)
        self._is_swept = False

    def _current(self) -> History | None:
        history = super()._current()
        if not self._is_swept:
            self._is_swept = True
            compact(self._store)
            erase_from_history(self._store, "c3")
        return history


def test_parts_that_are_swept_under_a_question_are_no_damage(store: Path) -> None:
    asked = pa.array(["c1", "c2", "c3", "stranger"])
    assert SweptMeanwhile(store).contains(asked).tolist() == [True, True, False, False]
    assert SweptMeanwhile(store).why_unscored("c1", INPUTS) is IneligibleReason.NO_RECENT_PURCHASE


def test_a_part_that_is_gone_from_the_newest_history_is_damage(store: Path) -> None:
    known = KnownCustomers(store)
    assert known.contains(pa.array([], pa.string())).tolist() == []
    for path in (store / "history").glob("bucket=*/*.customers.arrow"):
        path.unlink()
    with pytest.raises(IntegrityError, match=r"customers\.arrow"):
        known.why_unscored("c1", INPUTS)
