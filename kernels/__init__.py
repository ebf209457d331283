"""Arrays in, arrays out: the loops that everything else is made of, one implementation per backend behind one signature."""

from kernels.operations import (
    GAP_COLUMNS,
    gap_statistics,
    gather_sequences,
    hash_strings,
    locate_instants,
    next_selected,
    summarise_events,
    window_counts,
    window_sums,
)
from kernels.registry import Backend, BackendError, backend_names, resolve, why_unavailable
from kernels.summary_columns import SUMMARY_COLUMNS

__all__ = [
    "GAP_COLUMNS",
    "SUMMARY_COLUMNS",
    "Backend",
    "BackendError",
    "backend_names",
    "gap_statistics",
    "gather_sequences",
    "hash_strings",
    "locate_instants",
    "next_selected",
    "resolve",
    "summarise_events",
    "why_unavailable",
    "window_counts",
    "window_sums",
]
