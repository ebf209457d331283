"""Tasks in this process: one after the other, or some at once on threads."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from types import TracebackType
from typing import Any, Self

from engine.executors.base import Task, TaskResult

# Tasks that share one GPU: its memory holds the work of each, while beyond a few it has something to do all the time.
_MOST_ON_A_GPU = 4


class InlineExecutor:
    """The executor of tests, small stores and single machines.

    num_threads : tasks at once, of those that use a GPU four at most; more than one gains where tasks let go of the GIL, as
                  kernels, NumPy and torch do
    isolate : send function, task and result through pickle, as a cluster would, so that a task that cannot travel
              fails here and not in the cluster
    """

    name = "inline"
    is_remote = False

    def __init__(self, *, num_threads: int = 1, isolate: bool = False) -> None:
        self._num_threads = num_threads
        self._isolate = isolate

    def run(self, function: Callable[..., Any], tasks: Iterable[Task], *, uses_gpu: bool = False) -> Iterator[TaskResult]:
        num_threads = min(self._num_threads, _MOST_ON_A_GPU) if uses_gpu else self._num_threads
        if num_threads == 1:
            for index, task in enumerate(tasks):
                yield TaskResult(index=index, value=self._call(function, task))
            return
        waiting = iter(enumerate(tasks))
        in_flight: dict[Future[Any], int] = {}
        threads = ThreadPoolExecutor(num_threads, thread_name_prefix="task")
        try:
            while True:
                while len(in_flight) < num_threads and (entry := next(waiting, None)) is not None:
                    in_flight[threads.submit(self._call, function, entry[1])] = entry[0]
                if not in_flight:
                    return
                for future in wait(in_flight, return_when=FIRST_COMPLETED).done:
                    yield TaskResult(index=in_flight.pop(future), value=future.result())
        finally:
            threads.shutdown(cancel_futures=True)

    def _call(self, function: Callable[..., Any], task: Task) -> Any:
        if not self._isolate:
            return function(**task)
        call, arguments = pickle.loads(pickle.dumps((function, dict(task))))
        return pickle.loads(pickle.dumps(call(**arguments)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None
