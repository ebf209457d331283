"""Fitting the weights.

loop      epochs: draw, deal out, step, tell; `fit_weights`
learner   weights, moving average, optimiser and the step
standing  where learning stands between two epochs
batches   an epoch's queries by sequence, and the loss
pieces    long sequences cut to the context
schedule  optimiser, learning rate, average
start     instants to draw from, the life table
workers   several that learn together; dropout keeps their masks alike
"""

from training.fitting.loop import Epoch, fit_weights
from training.fitting.standing import Standing
from training.fitting.workers import ALONE, ProcessGroup, Workers

__all__ = ["ALONE", "Epoch", "ProcessGroup", "Standing", "Workers", "fit_weights"]
