"""Numba on an NVIDIA GPU, or in Numba's simulator: a thread per query. `find_obstacle` says whether it can run here."""

from kernels.cuda.count_selected import count_selected
from kernels.cuda.describe import describe_events, describe_situations
from kernels.cuda.device import find_obstacle
from kernels.cuda.fingerprint_events import fingerprint_events
from kernels.cuda.gap_statistics import gap_statistics
from kernels.cuda.gather_sequences import gather_sequences
from kernels.cuda.hash_strings import hash_strings
from kernels.cuda.locate_instants import locate_instants
from kernels.cuda.next_selected import next_selected
from kernels.cuda.roll_states import roll_states
from kernels.cuda.standardise import standardise
from kernels.cuda.summarise_events import summarise_events
from kernels.cuda.window_counts import window_counts
from kernels.cuda.window_sums import window_sums

__all__ = [
    "count_selected",
    "describe_events",
    "describe_situations",
    "find_obstacle",
    "fingerprint_events",
    "gap_statistics",
    "gather_sequences",
    "hash_strings",
    "locate_instants",
    "next_selected",
    "roll_states",
    "standardise",
    "summarise_events",
    "window_counts",
    "window_sums",
]
