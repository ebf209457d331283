"""Source files: what a chain's tills and shops export, read in batches as canonical lines."""

from engine.sources.files import Source, check_fields, find_files, open_source

__all__ = ["Source", "check_fields", "find_files", "open_source"]
