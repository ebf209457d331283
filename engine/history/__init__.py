"""The history at rest: parts of customer-sorted Arrow, and the one manifest that says which of them count."""

from engine.history.history import HISTORY_FOLDER, History
from engine.history.manifest import Manifest
from engine.history.pieces import Piece

__all__ = ["HISTORY_FOLDER", "History", "Manifest", "Piece"]
