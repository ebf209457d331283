"""Rescoring: after 1 % new orders beside DuckDB with LightGBM, in full, on Ray with one worker and with two, and its memory.

Every run is a process of its own with two threads, start-up apart; the median counts, of five in turn with the peer, or of three.
Both sides begin with their data at rest and a loaded model. ebbtide writes and commits its snapshot inside the clock, the peer
keeps its answers in memory.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from benchmarks import boosted_windows
from benchmarks.conftest import Report
from benchmarks.standard_chain import (
    Chain,
    boost_in_child,
    copy_store,
    ingest_in_child,
    remove_store,
    rescore_in_child,
)
from engine.history import History
from engine.instants import DAY_US, next_midnight
from training.config import TrainConfig
from training.registry import champion, register
from training.train import train

_LEAST_TIMES_FASTER = 10.0
_LEAST_TIMES_ONE_WORKER = 1.7
_MOST_MIB = 2048
_STAGES = ("prepare_s", "read_s", "match_s", "states_s", "summaries_s", "head_s", "write_s", "commit_s")
# What the model is fitted on; how well it predicts does not matter for how fast.
_CONFIG = TrainConfig(num_epochs=1, instants_per_epoch=4, max_events=200_000, adapt_size=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Night:
    """A store that was rescored at the end of its log and has taken in the orders after it.

    full : what that first rescoring took
    """

    store: Path
    as_of_us: int
    active_within_days: float
    full: dict[str, Any]


@pytest.fixture(scope="module")
def night(chain: Chain) -> Night:
    """The standard chain, and a hundredth of its orders once more, behind its end."""
    store = _trained(chain, chain.scratch / "store-rescore")
    full = rescore_in_child(store, chain.as_of_us)
    ingest_in_child(store, [chain.next_orders()])
    last_us = History.open(store).manifest.last_order_us
    assert last_us is not None
    return Night(
        store=store,
        as_of_us=next_midnight(last_us),
        active_within_days=champion(store).active_within_days,
        full=full,
    )


def test_a_night_beside_window_features_and_trees(chain: Chain, night: Night, quick: bool, report: Report) -> None:
    events, model = chain.next_events_file(), chain.scratch / "boosted.txt"
    boosted_windows.fit(events, night.as_of_us, night.active_within_days, model)
    pairs = [
        (_rescore_again(night), boost_in_child(events, night.as_of_us, night.active_within_days, model))
        for _ in range(1 if quick else 5)
    ]
    ours, theirs = (_median(list(runs)) for runs in zip(*pairs, strict=True))
    assert ours["num_customers"] == theirs["num_customers"]
    assert ours["begun_from"] == night.full["snapshot_id"]
    rows = [
        {"what": "ebbtide, incremental", **_taken(ours)},
        {"what": "ebbtide, full", **_taken(night.full)},
        {"what": "DuckDB and LightGBM", **_taken(theirs)},
    ]
    for row in rows:
        row |= {"times_faster": theirs["seconds"] / row["seconds"], "of_cpu": theirs["cpu_s"] / row["cpu_s"]}
        row |= {"at_least": _LEAST_TIMES_FASTER if row is rows[0] else "", "mib_at_most": "" if row is rows[2] else _MOST_MIB}
    report("rescore_nightly", f"Rescoring after 1 % new orders, {chain.name}", rows)
    stages = [
        {"what": what, "events_read": run["num_events_read"], "events_per_s": run["num_events_read"] / run["seconds"]}
        | {name: run[name] for name in _STAGES}
        for what, run in (("incremental", ours), ("full", night.full))
    ]
    report("rescore_stages", "Seconds by stage, of both threads together but for the first and the last", stages)


def test_two_workers_against_one(chain: Chain, rounds: int, report: Report) -> None:
    store = _trained(chain, chain.scratch / "store-rescore-ray")
    rows = []
    for num_workers in (1, 2):
        runs = []
        for _ in range(rounds):
            shutil.rmtree(store / "snapshots", ignore_errors=True)
            options = ("--full", "--ray", num_workers, "--warm-up-us", chain.as_of_us - 7 * DAY_US)
            runs.append(rescore_in_child(store, chain.as_of_us, *options))
        taken = _median(runs)
        rows.append({"workers": num_workers, "seconds": taken["seconds"], "score_s": taken["score_s"]})
    for row in rows:
        row["times_one"] = rows[0]["score_s"] / row["score_s"]
        row["at_least"] = _LEAST_TIMES_ONE_WORKER if row is rows[1] else ""
    remove_store(store)
    report("rescore_ray", f"A full rescoring on Ray, {chain.name}", rows)


@pytest.fixture
def rounds(quick: bool) -> int:
    """How often each run is made; the median counts."""
    return 1 if quick else 3


def _trained(chain: Chain, store: Path) -> Path:
    copy_store(chain.store(), store)
    register(store, train(History.open(store), as_of_us=chain.as_of_us - 60 * DAY_US, config=_CONFIG))
    return store


def _rescore_again(night: Night) -> dict[str, Any]:
    """From the snapshot of the night before, as if it had never been done."""
    for folder in (night.store / "snapshots").glob("*/"):
        if folder.name != night.full["snapshot_id"]:
            shutil.rmtree(folder)
    return rescore_in_child(night.store, night.as_of_us)


def _median(runs: list[dict[str, Any]]) -> dict[str, Any]:
    return sorted(runs, key=lambda run: float(run["seconds"]))[len(runs) // 2]


def _taken(run: dict[str, Any]) -> dict[str, Any]:
    return {name: run[name] for name in ("num_customers", "seconds", "cpu_s", "peak_mib")}
