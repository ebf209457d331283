"""Numba on the CPU. Compiled once per machine and cached on disk beside the source (or where NUMBA_CACHE_DIR says)."""

from kernels.cpu.count_selected import count_selected
from kernels.cpu.describe import describe_events, describe_situations
from kernels.cpu.extend_rhythms import extend_rhythms
from kernels.cpu.find_kind import find_latest
from kernels.cpu.fingerprint_events import extend_fingerprints, fingerprint_events
from kernels.cpu.gap_statistics import gap_statistics
from kernels.cpu.gather_sequences import gather_sequences
from kernels.cpu.hash_strings import hash_strings
from kernels.cpu.join_runs import find_continued, join_runs
from kernels.cpu.locate_instants import locate_instants
from kernels.cpu.merge_texts import merge_texts
from kernels.cpu.next_selected import next_selected
from kernels.cpu.read_rates import add_up_rates, calibrate_hazards, integrate_survivals
from kernels.cpu.roll_states import roll_states
from kernels.cpu.run_layers import run_layers
from kernels.cpu.standardise import standardise
from kernels.cpu.summarise_events import summarise_events
from kernels.cpu.window_counts import window_counts
from kernels.cpu.window_sums import window_sums

__all__ = [
    "add_up_rates",
    "calibrate_hazards",
    "count_selected",
    "describe_events",
    "describe_situations",
    "extend_fingerprints",
    "extend_rhythms",
    "find_continued",
    "find_latest",
    "fingerprint_events",
    "gap_statistics",
    "gather_sequences",
    "hash_strings",
    "integrate_survivals",
    "join_runs",
    "locate_instants",
    "merge_texts",
    "next_selected",
    "roll_states",
    "run_layers",
    "standardise",
    "summarise_events",
    "window_counts",
    "window_sums",
]
