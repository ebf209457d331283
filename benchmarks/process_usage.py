"""What a process has used so far, for children that measure themselves."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path


def cpu_seconds() -> float:
    """User and system time of all threads: on a busy machine steadier than the clock."""
    times = os.times()
    return times.user + times.system


def peak_mib() -> float:
    """Largest resident memory so far. Not ru_maxrss, which a child takes over from the process that started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


class Stopwatch:
    """Seconds and CPU seconds of a `with` block."""

    def __enter__(self) -> Stopwatch:
        self._begin_s, self._begin_cpu_s = time.perf_counter(), cpu_seconds()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._begin_s
        self.cpu_s = cpu_seconds() - self._begin_cpu_s
