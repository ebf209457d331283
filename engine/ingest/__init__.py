"""Ingest: source files into the history, all of it or nothing."""

from engine.ingest.job import ingest
from engine.ingest.report import FileReport, FileStatus, IngestProgress, IngestReport, Stage

__all__ = ["FileReport", "FileStatus", "IngestProgress", "IngestReport", "Stage", "ingest"]
