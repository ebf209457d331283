"""Upkeep: what keeps a history in order once it is there."""

from engine.upkeep.compaction import CompactionReport, compact
from engine.upkeep.inspection import HistoryInspection, Problem, inspect_history, problem_of

__all__ = ["CompactionReport", "HistoryInspection", "Problem", "compact", "inspect_history", "problem_of"]
