"""Prefaulting: pages of mapped files enter the page table before somebody has to wait for them.

The first touch of a mapped page is a fault, even where the file's bytes are in memory already: some 50 us on a virtual machine.
A live score of a customer nobody has asked for yet touches three to twelve pages.

source : madvise(2), MADV_POPULATE_READ, Linux 5.14
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
from pathlib import Path

import pyarrow as pa

_MADV_POPULATE_READ = 22  # the mmap module has no name for it
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


def prefault(batch: pa.RecordBatch) -> int:
    """Map all pages of a batch, reading from the disk what is not in memory; returns the bytes mapped, 0 where the system cannot.

    It cannot where it is no Linux or an older one, and not where a file is shorter than it was when it was mapped: nothing
    happens then, where touching the bytes that it has lost would end the process.
    """
    if sys.platform != "linux":
        return 0
    num_bytes = 0
    for column in batch.columns:
        for buffer in column.buffers():
            if buffer is None or buffer.size == 0:
                continue
            begin = buffer.address - buffer.address % mmap.PAGESIZE
            length = buffer.address + buffer.size - begin
            # ctypes lets go of the GIL meanwhile.
            if ctypes.CDLL(None).madvise(ctypes.c_void_p(begin), ctypes.c_size_t(length), _MADV_POPULATE_READ) != 0:
                return num_bytes
            num_bytes += buffer.size
    return num_bytes


def memory_bytes() -> int:
    """What this process may fill: the machine's memory, or the limit of its control group (version 2) where that is lower."""
    physical = os.sysconf("SC_PHYS_PAGES") * mmap.PAGESIZE
    try:
        limit = _CGROUP_LIMIT.read_text().strip()
    except OSError:  # another system, or the root group, which has no limit
        return physical
    return min(physical, int(limit)) if limit.isdecimal() else physical
