"""Where the time goes: seconds by stage, of one task or of many."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

STAGES = ("read", "match", "states", "summaries", "head", "write")


class StageTimes:
    """Seconds by stage of one task.

    times = StageTimes()
    with times.of("read"): ...
    times.seconds  # {"read": 0.012}
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def of(self, stage: str) -> Iterator[None]:
        """Count the time inside the block to a stage, one of STAGES."""
        started_s = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - started_s


def add_stages(of_tasks: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The sum over tasks, every stage named; more than the clock where tasks run side by side."""
    tasks = list(of_tasks)
    return {stage: sum(seconds.get(stage, 0.0) for seconds in tasks) for stage in STAGES}
