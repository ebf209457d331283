"""Upkeep: what keeps a history in order once it is there."""

from engine.upkeep.compaction import CompactionReport, compact

__all__ = ["CompactionReport", "compact"]
