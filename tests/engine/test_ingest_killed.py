"""An ingest that is killed leaves the old manifest or the new one, and a rerun is as if nothing had happened."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from engine.history import History
from engine.ingest import ingest
from tests.engine.reference_history import Row, build_events, decode, write_rows

OLD = [Row(customer_id=f"c{index}", timestamp_us=index, amount=Decimal(index), order_id="old") for index in range(50)]
NEW = [Row(customer_id=f"c{index}", timestamp_us=index + 9, amount=Decimal(index) / 4, order_id="new") for index in range(90)]
NUM_BUCKETS = 4

# (function that ingest goes through, call at whose beginning the process dies, whether the new state is committed by then)
MOMENTS = {
    "while reading": ("engine.ingest.job.read_source", 1, False),
    "between two buckets": ("engine.ingest.storing.aggregate_lines", 2, False),
    "between the two files of a part": ("pathlib.Path.replace", 4, False),
    "before the manifest": ("engine.ingest.job.write_manifest", 1, False),
    "before the rename of the manifest": ("engine.files.os.fsync", 3 * NUM_BUCKETS + 1, False),
    "after the rename of the manifest": ("engine.files.sync_folder", 3 * NUM_BUCKETS + 1, True),
    "before the old parts are removed": ("engine.ingest.job.collect_garbage", 1, True),
}

# One process imports everything once, and a fork of it dies for each moment: it has no threads yet that a fork would lose.
PROGRAM = """
import importlib, json, os, pathlib, signal, sys
from engine.ingest import ingest
from kernels import resolve

resolve("cpu")  # Numba takes seconds to import

OWNERS = {"engine.files.os": os, "pathlib.Path": pathlib.Path}

def die_at(target, moment):
    module_name, _, function_name = target.rpartition(".")
    owner = OWNERS.get(module_name) or importlib.import_module(module_name)
    original, num_calls = getattr(owner, function_name), 0
    def dying(*args, **kwargs):
        nonlocal num_calls
        num_calls += 1
        if num_calls == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(owner, function_name, dying)

for store, source, target, moment in json.load(sys.stdin):
    child = os.fork()
    if child == 0:
        die_at(target, moment)
        ingest(store, [source])
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Path, History]]:
    """Moment -> (store in which an ingest was killed then, what it was ingesting, the history opened before)."""
    prepared = {}
    for name in MOMENTS:
        folder = tmp_path_factory.mktemp("killed")
        store = folder / "store"
        ingest(store, [write_rows(folder / "old.parquet", OLD)], num_buckets=NUM_BUCKETS)
        prepared[name] = (store, write_rows(folder / "new.parquet", NEW), History.open(store))
    tasks = [[str(store), str(new), *MOMENTS[name][:2]] for name, (store, new, _) in prepared.items()]
    run = subprocess.run([sys.executable, "-c", PROGRAM], input=json.dumps(tasks), capture_output=True, text=True, check=True)
    assert run.stdout.split() == [str(-signal.SIGKILL.value)] * len(tasks), run.stderr
    return prepared


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_ingest_leaves_a_whole_state_and_a_rerun_gives_exact_totals(
    killed: dict[str, tuple[Path, Path, History]], moment: str
) -> None:
    store, new, before = killed[moment]
    after = History.open(store)
    is_committed = MOMENTS[moment][2]
    assert (after.manifest != before.manifest) == is_committed
    assert after.verify() == []
    assert decode(after) == build_events(OLD + NEW if is_committed else OLD)
    assert decode(before) == build_events(OLD)

    ingest(store, [new])
    final = History.open(store)
    assert decode(final) == build_events(OLD + NEW)
    assert final.verify() == []
    assert final.manifest.amount_minor_total == sum(event.amount_minor for event in build_events(OLD + NEW))
    assert not (store / "history" / "staging").exists()
    assert not list((store / "history").rglob(".*.tmp"))
