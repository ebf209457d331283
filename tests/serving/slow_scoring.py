"""Scoring that takes long enough to be disturbed, and writes down what it began where: for the tests of faults."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from engine.executors import RayConfig, Task, TaskResult
from engine.executors.ray import RayExecutor
from serving.rescoring.bucket_task import ScoredBucket, score_bucket

_HOLD_S = 0.5
_WAIT_S = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Start:
    """A task that began."""

    bucket: int
    pid: int
    node: str


class SlowRayExecutor(RayExecutor):
    """The Ray executor, every task of it held for a while and written to a log when it begins."""

    def __init__(self, config: RayConfig, log: Path) -> None:
        super().__init__(config)
        self._log = log

    def run(self, function: Callable[..., Any], tasks: Sequence[Task], *, uses_gpu: bool = False) -> Iterator[TaskResult]:
        assert function is score_bucket
        return super().run(score_slowly, [{**task, "log": str(self._log)} for task in tasks], uses_gpu=uses_gpu)


def score_slowly(*, log: str, bucket: int, **task: Any) -> ScoredBucket:
    node = ray.get_runtime_context().get_node_id()
    with open(log, "a") as file:
        file.write(f"{bucket} {os.getpid()} {node}\n")
    doomed = _doomed(Path(log))
    time.sleep(_WAIT_S if doomed.exists() and doomed.read_text() == node else _HOLD_S)
    return score_bucket(bucket=bucket, **task)


def doom(log: Path, node: str) -> None:
    """Hold every task on a node until the node is taken away: on a busy machine that may take longer than the task would."""
    _doomed(log).write_text(node)


def _doomed(log: Path) -> Path:
    return log.with_suffix(".doomed")


def read_starts(log: Path) -> list[Start]:
    """Every task that began so far, in order."""
    lines = [line.split() for line in log.read_text().splitlines()]
    return [Start(bucket=int(bucket), pid=int(pid), node=node) for bucket, pid, node in lines]


def wait_for_running(log: Path, folder: Path, *, node: str | None = None) -> Start:
    """A task that has begun and not finished, on a certain node if one is given."""
    deadline_s = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline_s:
        for start in reversed(read_starts(log)):
            if not (folder / f"bucket={start.bucket:04d}.done.json").exists() and node in (None, start.node):
                return start
        time.sleep(0.02)
    raise TimeoutError(f"no task ran within {_WAIT_S:g} s")
