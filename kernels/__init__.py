"""Arrays in, arrays out: the loops that everything else is made of, one implementation per backend behind one signature."""

from kernels.description_columns import CALENDAR_COLUMNS, NO_EVENT, SHORTEST_LOG_DAYS, SITUATION_COLUMNS, TOKEN_COLUMNS
from kernels.event_operations import fingerprint_events, summarise_events
from kernels.forward_operations import describe_events, describe_situations, roll_states, standardise
from kernels.head_operations import Layer, add_up_rates, calibrate_hazards, integrate_survivals, run_layers
from kernels.operations import (
    GAP_COLUMNS,
    count_selected,
    gap_statistics,
    gather_sequences,
    hash_strings,
    locate_instants,
    next_selected,
    window_counts,
    window_sums,
)
from kernels.registry import Backend, BackendError, backend_names, resolve, why_unavailable
from kernels.rhythm_columns import NO_RHYTHM, RHYTHM_COLUMNS
from kernels.run_operations import JoinPlan, OrderedKeys, Runs, find_continued, join_runs, merge_texts
from kernels.summary_columns import SUMMARY_COLUMNS, TOTAL_DAYS, WINDOWS_DAYS
from kernels.tail_operations import RHYTHM_REACH_DAYS, SUMMARY_REACH_DAYS, extend_fingerprints, extend_rhythms, find_latest

__all__ = [
    "CALENDAR_COLUMNS",
    "GAP_COLUMNS",
    "NO_EVENT",
    "NO_RHYTHM",
    "RHYTHM_COLUMNS",
    "RHYTHM_REACH_DAYS",
    "SHORTEST_LOG_DAYS",
    "SITUATION_COLUMNS",
    "SUMMARY_COLUMNS",
    "SUMMARY_REACH_DAYS",
    "TOKEN_COLUMNS",
    "TOTAL_DAYS",
    "WINDOWS_DAYS",
    "Backend",
    "BackendError",
    "JoinPlan",
    "Layer",
    "OrderedKeys",
    "Runs",
    "add_up_rates",
    "backend_names",
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
    "resolve",
    "roll_states",
    "run_layers",
    "standardise",
    "summarise_events",
    "why_unavailable",
    "window_counts",
    "window_sums",
]
