"""Tasks on a Ray cluster: the one that this process has joined, else one of its own on this machine."""

from __future__ import annotations

import logging
import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import ray

from engine.errors import EbbtideError, ExecutionError
from engine.executors.base import Task, TaskResult

_RETRIES_AFTER_WORKER_DEATH = 3
# Enough for no worker to wait for the driver, few enough for a cancelled job to end soon.
_IN_FLIGHT_PER_CPU = 2


class RayExecutor:
    """Runs tasks on Ray.

    num_cpus : cores of a cluster that it starts; all of the machine's by default

    A cluster that it starts wants a token that only this process tree knows, and has no dashboard; it ends with the `with`
    block. A cluster that was joined before stays.
    """

    name = "ray"

    def __init__(self, *, num_cpus: int | None = None) -> None:
        self._num_cpus = num_cpus
        self._owns_cluster = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._owns_cluster:
            ray.shutdown()
            self._owns_cluster = False

    def run(self, function: Callable[..., Any], tasks: Sequence[Task]) -> Iterator[TaskResult]:
        if not ray.is_initialized():  # here and not before: a job with nothing to do starts no cluster
            start_local_cluster(num_cpus=self._num_cpus)
            self._owns_cluster = True
        remote = ray.remote(num_cpus=1, max_retries=_RETRIES_AFTER_WORKER_DEATH)(_call)
        limit = max(1, int(ray.cluster_resources().get("CPU", 1))) * _IN_FLIGHT_PER_CPU
        waiting = iter(enumerate(tasks))
        in_flight: dict[Any, int] = {}
        try:
            while True:
                while len(in_flight) < limit and (entry := next(waiting, None)) is not None:
                    index, task = entry
                    in_flight[remote.remote(function, dict(task))] = index
                if not in_flight:
                    return
                done, _ = ray.wait(list(in_flight), num_returns=1)
                for reference in done:
                    index = in_flight.pop(reference)
                    yield TaskResult(index=index, value=_result(reference, index))
        finally:
            for reference in in_flight:
                ray.cancel(reference, force=True)


def start_local_cluster(*, num_cpus: int | None = None) -> None:
    """Start a cluster on this machine and join it: token needed, no dashboard, no usage reports."""
    # Ray >= 2.59 wants a token on a local cluster unless RAY_AUTH_MODE says otherwise, and would write one that it makes to
    # the home folder. Ray reads settings from the environment alone, and so do the processes that it starts.
    if not any(name in os.environ for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")):
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # A cluster's workers see its GPUs even in tasks that ask for none; without this, Ray warns about it in every task.
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(
        address="local",
        num_cpus=num_cpus,
        include_dashboard=False,
        log_to_driver=False,
        logging_level=logging.ERROR,
    )


def _call(function: Callable[..., Any], task: dict[str, Any]) -> Any:
    return function(**task)


def _result(reference: Any, index: int) -> Any:
    try:
        return ray.get(reference)
    except ray.exceptions.RayTaskError as error:
        if isinstance(error.cause, EbbtideError):
            raise error.cause from None
        raise ExecutionError(f"task {index} failed in a Ray worker: {error.cause!r}; the worker's log has the trace") from error
    except ray.exceptions.RayError as error:
        raise ExecutionError(
            f"task {index} was lost {_RETRIES_AFTER_WORKER_DEATH + 1} times ({type(error).__name__}); "
            "check the workers' memory, then run the same command again: what was finished is kept"
        ) from error
