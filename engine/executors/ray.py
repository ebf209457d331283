"""Tasks on a Ray cluster: the one that this process has joined, else one that is joined or started for them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import ray

from engine.errors import EbbtideError, ExecutionError
from engine.executors.base import Task, TaskResult
from engine.executors.ray_cluster import join_cluster, start_local_cluster
from engine.executors.ray_config import RayConfig

# Enough for no worker to wait for the driver, few enough for a cancelled job to end soon.
_IN_FLIGHT_PER_SLOT = 2


class RayExecutor:
    """Runs tasks on Ray.

    A cluster that it starts wants a token that only this process tree knows, and has no dashboard; it ends with the `with`
    block. One that it joins, or that was joined before, goes on.
    """

    name = "ray"
    is_remote = True

    def __init__(self, config: RayConfig | None = None) -> None:
        self._config = config or RayConfig()
        self._is_connected_here = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._is_connected_here:
            ray.shutdown()
            self._is_connected_here = False

    def run(self, function: Callable[..., Any], tasks: Iterable[Task], *, uses_gpu: bool = False) -> Iterator[TaskResult]:
        self._connect()
        num_gpus = self._config.gpu_share if uses_gpu and num_of("GPU") else 0
        remote = ray.remote(num_cpus=1, num_gpus=num_gpus, max_retries=self._config.max_retries)(_call)
        waiting = iter(enumerate(tasks))
        in_flight: dict[Any, int] = {}
        try:
            while True:
                limit = self._most_in_flight(num_gpus)
                while len(in_flight) < limit and (entry := next(waiting, None)) is not None:
                    index, task = entry
                    in_flight[remote.remote(function, dict(task))] = index
                if not in_flight:
                    return
                done, _ = ray.wait(list(in_flight), num_returns=1)
                for reference in done:
                    index = in_flight.pop(reference)
                    yield TaskResult(index=index, value=self._result(reference, index))
        finally:
            for reference in in_flight:
                ray.cancel(reference, force=True)

    def _connect(self) -> None:
        # Here and not before: a job with nothing to do starts no cluster.
        self._is_connected_here = _connect(self._config) or self._is_connected_here

    def _most_in_flight(self, num_gpus: float) -> int:
        """Tasks that may be with the cluster at once; looked at anew for each, as clusters grow and shrink."""
        num_slots = int(num_of("CPU"))
        if num_gpus:
            num_slots = min(num_slots, int(num_of("GPU") / num_gpus))
        limit = max(num_slots, 1) * _IN_FLIGHT_PER_SLOT
        # In a cluster of others, what is not in flight does not run.
        is_shared = self._config.address is not None and self._config.num_workers is not None
        return min(limit, self._config.num_workers) if is_shared and self._config.num_workers else limit

    def _result(self, reference: Any, index: int) -> Any:
        try:
            return ray.get(reference)
        except ray.exceptions.RayTaskError as error:
            if isinstance(error.cause, EbbtideError):
                raise error.cause from None
            if isinstance(error.cause, ModuleNotFoundError):
                raise ExecutionError(
                    f"the Ray workers lack {error.cause.name}; install the same ebbtide on every machine of the cluster"
                ) from error
            raise ExecutionError(
                f"task {index} failed in a Ray worker: {error.cause!r}; the worker's log has the trace"
            ) from error
        except ray.exceptions.RayError as error:
            num_lost = self._config.max_retries + 1
            raise ExecutionError(
                f"task {index} was lost {num_lost} times ({type(error).__name__}); "
                "check the workers' memory, then run the same command again: what was finished is kept"
            ) from error


@contextmanager
def connected(config: RayConfig) -> Iterator[None]:
    """Be connected to a cluster inside the block: the one that was joined before, else one that is joined or started for it.

    raises : as `join_cluster` and `start_local_cluster`
    """
    is_connected_here = _connect(config)
    try:
        yield
    finally:
        if is_connected_here:
            ray.shutdown()


def num_of(resource: str) -> float:
    """What the cluster has of a resource, free or not."""
    return float(ray.cluster_resources().get(resource, 0.0))


def _connect(config: RayConfig) -> bool:
    """Whether that was needed."""
    if ray.is_initialized():
        return False
    if config.address is None:
        start_local_cluster(num_cpus=config.num_workers)
    else:
        join_cluster(config)
    return True


def _call(function: Callable[..., Any], task: dict[str, Any]) -> Any:
    return function(**task)
