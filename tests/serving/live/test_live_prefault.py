"""Prefaulting of what live scores look at: of what is in use, not longer than that, and never at a call's expense."""

from __future__ import annotations

import asyncio
import logging
import shutil
import threading
from pathlib import Path

import pytest

from serving.service.live import source as module
from serving.service.live.desk import LiveDesk
from serving.service.live.source import LiveSource
from serving.service.live.state import LiveState
from serving.snapshots import open_current


@pytest.fixture
def source(scored_store: Path) -> LiveSource:
    snapshot = open_current(scored_store)
    return LiveSource(scored_store, lambda: snapshot)


def test_before_anything_is_taken_up_there_is_nothing_to_map(source: LiveSource, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    source.prefault()
    assert not caplog.records


def test_what_is_in_use_is_mapped_and_told(source: LiveSource, caplog: pytest.LogCaptureFixture) -> None:
    assert source.refresh()
    caplog.set_level(logging.INFO)
    source.prefault()
    assert "mapped for live scores" in caplog.text


def test_closing_and_newer_states_end_it(source: LiveSource, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted: list[bool] = []

    def prefault(state: LiveState, *, most_bytes: int, is_wanted: module.Callable[[], bool]) -> int:
        wanted.append(is_wanted())
        source.close()
        wanted.append(is_wanted())
        return 0

    assert source.refresh()
    monkeypatch.setattr(LiveState, "prefault", prefault)
    source.prefault()
    assert wanted == [True, False]


def test_a_part_that_is_gone_meanwhile_is_no_failure(
    scored_store: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    store = tmp_path / "store"
    shutil.copytree(scored_store, store)
    snapshot = open_current(store)
    source = LiveSource(store, lambda: snapshot)
    assert source.refresh()
    for part in (store / "history").glob("bucket=*/*.arrow"):
        part.unlink()
    caplog.set_level(logging.INFO)
    source.prefault()
    assert "not all of the history could be mapped" in caplog.text


@pytest.mark.parametrize("is_news", [True, False])
def test_the_desk_has_it_done_when_something_new_is_taken_up(is_news: bool) -> None:
    done = threading.Event()

    class Source(LiveSource):
        def __init__(self) -> None:
            self.num_closed = 0

        def refresh(self) -> bool:
            return is_news

        def prefault(self) -> None:
            done.set()

        def close(self) -> None:
            self.num_closed += 1

    async def look() -> int:
        source = Source()
        desk = LiveDesk(source, num_threads=1, max_calls=1)
        await desk.refresh()
        was_done = await asyncio.to_thread(done.wait, 10 if is_news else 0.1)
        desk.close()
        assert was_done == is_news
        return source.num_closed

    assert asyncio.run(look()) == 1


def test_what_nobody_foresaw_is_told_as_nobody_waits_for_it(
    source: LiveSource, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def prefault(state: LiveState, *, most_bytes: int, is_wanted: module.Callable[[], bool]) -> int:
        raise MemoryError

    assert source.refresh()
    monkeypatch.setattr(LiveState, "prefault", prefault)
    source.prefault()
    assert "mapping the history failed" in caplog.text
    assert "MemoryError" in caplog.text
