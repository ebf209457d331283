"""Rescoring on Ray while things die: the same bytes in the end, and nothing that was finished done again."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path

import pytest

from engine.executors import InlineExecutor, RayConfig
from engine.executors.ray import RayExecutor
from serving.rescoring.rescore import RescoreProgress, rescore
from serving.snapshots import open_current, snapshot_folder
from tests.environment import environment_with
from tests.serving.conftest import TRAINED_AS_OF_US
from tests.serving.slow_scoring import SlowRayExecutor, Start, read_starts, wait_for_running

pytestmark = pytest.mark.ray

_ROOT = Path(__file__).resolve().parents[3]
_LIMIT_S = 240

_KILLED_DRIVER = """
import os, signal, sys
from pathlib import Path
from engine.executors import RayConfig
from serving.rescoring.rescore import rescore
from tests.serving.slow_scoring import SlowRayExecutor

def die_after_two(progress):
    if progress.num_buckets_done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

with SlowRayExecutor(RayConfig(num_workers=1), Path(sys.argv[2])) as executor:
    rescore(Path(sys.argv[1]), as_of_us=int(sys.argv[3]), executor=executor, device="cpu", progress=die_after_two)
"""


@pytest.fixture(scope="module")
def undisturbed(trained_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The snapshot's folder as a job leaves it that nothing happens to."""
    store = tmp_path_factory.mktemp("undisturbed") / "store"
    shutil.copytree(trained_store, store)
    with InlineExecutor() as executor:
        return rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu").folder


@pytest.fixture
def store(trained_store: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "store"
    shutil.copytree(trained_store, copy, ignore=shutil.ignore_patterns("snapshots"))
    return copy


def assert_same_bytes(folder: Path, undisturbed: Path) -> None:
    """Every file, but for the name of the executor in the manifest."""
    found = {path.name: path.read_bytes() for path in folder.iterdir()}
    expected = {path.name: path.read_bytes() for path in undisturbed.iterdir()}
    expected["manifest.json"] = expected["manifest.json"].replace(b'"executor": "inline"', b'"executor": "ray"')
    assert found == expected


def starts_by_bucket(log: Path) -> dict[int, list[Start]]:
    starts = read_starts(log)
    return {bucket: [start for start in starts if start.bucket == bucket] for bucket in {start.bucket for start in starts}}


def test_a_worker_killed_while_it_scores_is_replaced(ray_cluster: None, store: Path, undisturbed: Path, tmp_path: Path) -> None:
    log, folder = tmp_path / "starts", snapshot_folder(store, undisturbed.name)
    lost: list[Start] = []

    def kill_one(progress: RescoreProgress) -> None:
        if not lost:
            lost.append(wait_for_running(log, folder))
            os.kill(lost[0].pid, signal.SIGKILL)

    with SlowRayExecutor(RayConfig(), log) as executor:
        report = rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu", progress=kill_one)
    assert report.num_buckets_scored == report.num_buckets
    assert_same_bytes(folder, undisturbed)
    num_starts = {bucket: len(starts) for bucket, starts in starts_by_bucket(log).items()}
    assert num_starts == {bucket: 2 if bucket == lost[0].bucket else 1 for bucket in range(report.num_buckets)}


def test_a_node_removed_while_it_scores_is_done_without(store: Path, undisturbed: Path, tmp_path: Path) -> None:
    log, folder = tmp_path / "starts", snapshot_folder(store, undisturbed.name)
    run = subprocess.run(
        [sys.executable, "-m", "tests.serving.two_nodes", str(store), str(TRAINED_AS_OF_US), str(folder), str(log)],
        cwd=_ROOT,
        env=environment_with(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=secrets.token_hex(32), RAY_USAGE_STATS_ENABLED="0"),
        capture_output=True,
        text=True,
        check=False,
        timeout=_LIMIT_S,
    )
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout.splitlines()[-1])
    assert_same_bytes(folder, undisturbed)
    starts = starts_by_bucket(log)
    assert [start.node == told["second"] for start in starts[told["lost"]]] == [True, False]
    for name in told["done"]:
        assert len(starts[int(name[len("bucket=") :][:4])]) == 1
    assert all(start.node != told["second"] for start in read_starts(log)[told["num_starts"] :])


def test_a_job_whose_driver_was_killed_goes_on_where_it_was(
    ray_cluster: None, store: Path, undisturbed: Path, tmp_path: Path
) -> None:
    folder, mark = snapshot_folder(store, undisturbed.name), uuid.uuid4().hex
    program = [sys.executable, "-c", _KILLED_DRIVER, str(store), str(tmp_path / "starts"), str(TRAINED_AS_OF_US)]
    try:
        killed = subprocess.run(
            program,
            cwd=_ROOT,
            env=environment_with(EBBTIDE_MARK=mark),
            check=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_LIMIT_S,
        )
        assert killed.returncode == -signal.SIGKILL
        finished = _identities(folder, sorted(folder.glob("*.done.json")))
        assert 2 <= len(finished) < 4

        with RayExecutor() as executor:
            report = rescore(store, as_of_us=TRAINED_AS_OF_US, executor=executor, device="cpu")
    finally:
        _end_marked(mark)
    # A worker that outlived its driver for a moment may have finished one more.
    assert len(finished) <= report.num_buckets_resumed < report.num_buckets
    assert report.num_buckets_scored == report.num_buckets - report.num_buckets_resumed
    assert _identities(folder, list(finished)) == finished
    assert_same_bytes(folder, undisturbed)
    assert open_current(store).num_customers == report.num_customers


def _identities(folder: Path, markers: list[Path]) -> dict[Path, list[tuple[int, int]]]:
    """Inode and time of the last change of each marker and of the file that it stands for."""
    files = {marker: [marker, folder / marker.name.replace(".done.json", ".arrow")] for marker in markers}
    return {marker: [(path.stat().st_ino, path.stat().st_mtime_ns) for path in pair] for marker, pair in files.items()}


def _end_marked(mark: str) -> None:
    """End what is left of a killed driver's cluster: Ray does so by itself, but may take a minute where a worker was starting."""
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):  # it ended just now, or is of somebody else
            if mark.encode() in path.read_bytes():
                os.kill(int(path.parent.name), signal.SIGKILL)
