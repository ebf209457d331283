"""Where tasks run. A task is a top-level function and small keyword arguments: paths go in, counts and hashes come out."""

from __future__ import annotations

from engine.errors import InvalidArgumentError
from engine.executors.base import Executor, Task, TaskResult
from engine.executors.inline import InlineExecutor
from engine.executors.ray_config import RayConfig

EXECUTORS = ("inline", "ray")

__all__ = ["EXECUTORS", "Executor", "InlineExecutor", "RayConfig", "Task", "TaskResult", "make_executor"]


def make_executor(name: str, *, ray: RayConfig | None = None, num_threads: int = 1) -> Executor:
    """An executor by its name on the command line; use it as a context manager.

    ray         : settings of the executor of that name, and of no other
    num_threads : tasks at once of the inline executor
    raises      : InvalidArgumentError for a name that is not in EXECUTORS
    """
    if name == "inline":
        return InlineExecutor(num_threads=num_threads)
    if name == "ray":
        from engine.executors.ray import RayExecutor  # Ray takes a second to import, and some machines have none

        return RayExecutor(ray)
    raise InvalidArgumentError("executor", f"found {name!r}, expected one of {', '.join(EXECUTORS)}")
