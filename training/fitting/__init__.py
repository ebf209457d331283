"""Fitting the weights: `fit_weights` is the loop; sequences, batches, schedule and start have a file of their own."""

from training.fitting.loop import fit_weights

__all__ = ["fit_weights"]
