"""Tasks in this process, one after the other."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from types import TracebackType
from typing import Any, Self

from engine.executors.base import Task, TaskResult


class InlineExecutor:
    """The executor of tests, small stores and single machines.

    isolate : send function, task and result through pickle, as a cluster would, so that a task that cannot travel
              fails here and not in the cluster
    """

    name = "inline"
    is_remote = False

    def __init__(self, *, isolate: bool = False) -> None:
        self._isolate = isolate

    def run(self, function: Callable[..., Any], tasks: Iterable[Task], *, uses_gpu: bool = False) -> Iterator[TaskResult]:
        for index, task in enumerate(tasks):
            if self._isolate:
                call, arguments = pickle.loads(pickle.dumps((function, dict(task))))
                value = pickle.loads(pickle.dumps(call(**arguments)))
            else:
                value = function(**task)
            yield TaskResult(index=index, value=value)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        return None
