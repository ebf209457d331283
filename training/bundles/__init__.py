"""Bundles: what is kept of a trained model, and how it is described."""
