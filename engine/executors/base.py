"""What every executor promises."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

Task = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """What one task returned.

    index : the task's place among those that were given
    value : the function's result
    """

    index: int
    value: Any


class Executor(Protocol):
    """Runs one function over many tasks, in any order, anywhere.

    Tasks are deterministic and idempotent: an executor may run one again after its worker died.
    """

    @property
    def name(self) -> str: ...

    @property
    def is_remote(self) -> bool:
        """Whether tasks may run on machines with other devices than this one."""
        ...

    def run(self, function: Callable[..., Any], tasks: Iterable[Task], *, uses_gpu: bool = False) -> Iterator[TaskResult]:
        """Yield the result of `function(**task)` of every task, each once, as they end.

        tasks    : asked for one by one, each when it can soon begin, so that a later task may follow from earlier results
        uses_gpu : give a task a GPU, or a share of one, where there is one
        raises   : the EbbtideError that a task raised; ExecutionError, if a task's worker died again and again
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...
