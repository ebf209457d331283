"""Whatever changes a history may be killed at any moment: the store opens, in the old state or the new, and a rerun is exact.

`pytest tests/engine/test_random_kills.py --kills 100` kills each kind of ingest a hundred times.
"""

from __future__ import annotations

import json
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import pytest

from engine.errors import NoHistoryError
from engine.files import sha256_file
from engine.history import History
from engine.ingest import ingest
from engine.upkeep import compact, erase_from_history
from tests.engine.reference_history import Row, write_rows

NUM_BUCKETS = 8
FORGOTTEN = "customer-who-left"
_MORE_KILLS = 6  # each twice as early as the one before, where none came before the job was done
_ROOT = Path(__file__).resolve().parents[2]

# Imports everything once; a fork does the work and dies. Arrow is not used before, as a fork would lose its threads.
PROGRAM = """
import json, os, signal, sys, time
import pyarrow.csv, pyarrow.parquet
from engine.ingest import ingest
from engine.upkeep import compact, erase_from_history
from kernels import resolve

resolve("cpu")
CALLS = {"ingest": ingest, "compact": compact, "forget": erase_from_history}

for line in sys.stdin:
    verb, arguments, after_s = json.loads(line)
    started_s = time.monotonic()
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        CALLS[verb](*arguments)
        os._exit(0)
    if after_s is not None:
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([status, time.monotonic() - started_s]), flush=True)
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """Something that changes a history.

    verb      : a call of PROGRAM
    arguments : what it takes behind the store
    begin     : the store before it, or None
    rerun     : the same in this process
    share     : of the kills of `--kills`
    """

    verb: str
    arguments: list[object]
    begin: Path | None
    rerun: Callable[[Path], object]
    share: float = 1.0


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    folder = tmp_path_factory.mktemp("jobs")
    dice = random.Random(7)

    def write(name: str, num_rows: int) -> Path:
        rows = [
            Row(
                customer_id=f"c{dice.randrange(400)}" if index else FORGOTTEN,
                timestamp_us=dice.randrange(10**15),
                amount=Decimal(dice.randrange(100_000)) / 100,
                order_id=f"{name}-{index}",
            )
            for index in range(num_rows)
        ]
        return write_rows(folder / f"{name}.parquet", rows)

    old, new = write("old", 3000), write("new", 2000)
    begin = folder / "store"
    ingest(begin, [old], num_buckets=NUM_BUCKETS)
    grown = folder / "grown"
    shutil.copytree(begin, grown)
    ingest(grown, [new])
    both = [str(old), str(new)]
    return {
        "first ingest": Job(verb="ingest", arguments=[both], begin=None, rerun=lambda store: ingest(store, both)),
        "delta": Job(verb="ingest", arguments=[[str(new)]], begin=begin, rerun=lambda store: ingest(store, [new])),
        "compact": Job(verb="compact", arguments=[], begin=grown, rerun=compact, share=0.5),
        "forget": Job(
            verb="forget",
            arguments=[FORGOTTEN],
            begin=grown,
            rerun=lambda store: erase_from_history(store, FORGOTTEN),
            share=0.5,
        ),
    }


@pytest.fixture(scope="module")
def forker() -> Iterator[Callable[..., tuple[int, float]]]:
    """Runs a verb in a process that is killed after some seconds; returns the exit status and how long it lived."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:

        def run(job: Job, store: Path, after_s: float | None) -> tuple[int, float]:
            stdin, stdout = process.stdin, process.stdout
            assert stdin is not None
            assert stdout is not None
            stdin.write(json.dumps([job.verb, [str(store), *job.arguments], after_s]) + "\n")
            stdin.flush()
            status, lived_s = json.loads(stdout.readline())
            return int(status), float(lived_s)

        yield run
        assert process.stdin is not None
        process.stdin.close()


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("name", ["first ingest", "delta", "compact", "forget"])
def test_a_kill_at_any_moment_leaves_a_store_that_opens_and_a_rerun_is_exact(
    name: str,
    jobs: dict[str, Job],
    forker: Callable[..., tuple[int, float]],
    tmp_path: Path,
    request: pytest.FixtureRequest,
) -> None:
    job, dice = jobs[name], random.Random(f"kills of {name}")
    whole = _begin(job, tmp_path / "whole")
    status, duration_s = forker(job, whole, None)
    assert status == 0
    before, after = _state(_begin(job, tmp_path / "before")), _state(whole)
    seen = []
    num_kills = max(1, round(request.config.getoption("--kills") * job.share))
    shares = [(number + dice.random()) / num_kills for number in reversed(range(num_kills))]
    while shares:
        store = _begin(job, tmp_path / f"killed-{len(seen)}")
        share = shares.pop(0)
        status, lived_s = forker(job, store, share * duration_s)
        assert status in (0, -signal.SIGKILL)
        if status == 0:  # the run that was timed was a slow one: it found nothing in memory
            duration_s = min(duration_s, lived_s)
        state = _state(store)
        assert state in (before, after)
        seen.append((status, state))

        job.rerun(store)
        assert _state(store) == after
        assert not (store / "history" / "staging").exists()
        assert not list(store.rglob(".*.tmp"))
        if name == "forget":
            assert not [path for path in store.rglob("*") if path.is_file() and FORGOTTEN.encode() in path.read_bytes()]
        shutil.rmtree(store)
        if not shares and (-signal.SIGKILL, before) not in seen and len(seen) < num_kills + _MORE_KILLS:
            shares.append(share / 2)  # on a busy machine all may have come too late
    assert (-signal.SIGKILL, before) in seen  # else nothing was killed before it was done
    num_killed = sum(status != 0 for status, _ in seen)
    print(f"{name}: {len(seen)} runs, {num_killed} killed, {sum(state == after for _, state in seen)} of all after the commit")


def _begin(job: Job, store: Path) -> Path:
    if job.begin is not None:
        shutil.copytree(job.begin, store)
    return store


def _state(store: Path) -> tuple[str, int, int] | None:
    """Hash of the manifest, which names every part by its hash, and the totals; None where there is no history."""
    try:
        history = History.open(store)
    except NoHistoryError:
        return None
    assert history.verify() == []
    manifest = history.manifest
    return sha256_file(store / "history" / "manifest.json"), manifest.num_events, manifest.amount_minor_total
