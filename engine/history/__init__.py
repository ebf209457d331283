"""The history at rest: parts of customer-sorted Arrow, and the one manifest that says which of them count."""

from engine.history.buffers import Buffers
from engine.history.history import HISTORY_FOLDER, History
from engine.history.layers import Continuation, Layers, Piece, Reach
from engine.history.manifest import Manifest

__all__ = ["HISTORY_FOLDER", "Buffers", "Continuation", "History", "Layers", "Manifest", "Piece", "Reach"]
