"""Upkeep: what keeps a history in order once it is there."""

from engine.upkeep.compaction import CompactionReport, compact
from engine.upkeep.erasure import HistoryErasure, erase_from_history
from engine.upkeep.inspection import HistoryInspection, Problem, inspect_history, problem_of

__all__ = [
    "CompactionReport",
    "HistoryErasure",
    "HistoryInspection",
    "Problem",
    "compact",
    "erase_from_history",
    "inspect_history",
    "problem_of",
]
