"""Drift: how far a chain has moved from the one that its model was trained on."""
