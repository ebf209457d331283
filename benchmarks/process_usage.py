"""What a process has used so far, for children that measure themselves."""

from __future__ import annotations

import re
import time
from pathlib import Path


def cpu_seconds() -> float:
    """User and system time of all threads: on a busy machine steadier than the clock. Not os.times, which counts in 10 ms."""
    return time.process_time()


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


def per_second(amount: float, seconds: float) -> float:
    """A rate; NaN for what was over before the clock moved, as a processor's clock may tick in milliseconds."""
    return amount / seconds if seconds > 0 else float("nan")
