"""One trial: a trial pass with some settings, given up where earlier trials say that it leads nowhere.

A task of an executor: settings go in, a curve comes out.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import optuna

from engine.errors import StoreBusyError
from engine.history import History
from engine.storage import Place
from training.config import TrainConfig
from training.passes.trial_pass import prepare, run_trial_pass
from training.quiet_optuna import quiet_optuna
from training.threads import one_torch_thread
from training.tuning.space import Values
from training.tuning.study import COMPLETE, DIVERGED, PRUNED, Trial

# Of completed trials, before one is given up; and epochs that every trial is given, for the schedule warms up in a fifth of them.
_LEAST_COMPLETED = 4
_WARM_UP_OF_EPOCHS = 1 / 3
# Out goes the worst quarter. The median let 7 of 24 trials through (docs/log.md): only good ones complete, so that their median
# asks for more and more, and what learns slowly at first never gets to where the learning rate falls.
_KEPT_PERCENT = 75.0


def run_trial(
    *,
    store: Place,
    history_hash: str,
    as_of_us: int,
    config: TrainConfig,
    number: int,
    values: Values,
    earlier: Sequence[tuple[float, ...]],
) -> Trial:
    """Try a configuration.

    config  : with the values in it
    earlier : curves of trials completed before this one began: pruning needs no word from the driver while it runs
    raises  : StoreBusyError where the history is no longer that of the search
    """
    started_s = time.monotonic()
    history = History.open(store)
    if history.manifest_hash != history_hash:
        raise StoreBusyError(f"{store}: the history changed while trials ran; run the same again, finished trials are kept")
    prepared = prepare(history, as_of_us=as_of_us, config=config)
    judge = _Judge(earlier, config.num_epochs)
    with one_torch_thread():
        done = run_trial_pass(prepared, on_epoch=lambda epoch, so_far: not judge.goes_on(epoch.number, so_far.losses[-1]))
    curve = tuple(loss for loss in done.losses if math.isfinite(loss))
    state = DIVERGED if len(curve) < len(done.losses) else COMPLETE if done.is_over(prepared.config) else PRUNED
    return Trial(number=number, values=values, state=state, curve=curve, seconds=round(time.monotonic() - started_s, 2))


class _Judge:
    """Optuna's percentile rule: give up what at its best is worse than most completed trials were at the same epoch."""

    def __init__(self, earlier: Sequence[tuple[float, ...]], num_epochs: int) -> None:
        pruner = optuna.pruners.PercentilePruner(
            _KEPT_PERCENT, n_startup_trials=_LEAST_COMPLETED, n_warmup_steps=math.ceil(_WARM_UP_OF_EPOCHS * num_epochs)
        )
        with quiet_optuna():
            study = optuna.create_study(pruner=pruner)
            for curve in earlier:
                study.add_trial(optuna.trial.create_trial(value=min(curve), intermediate_values=dict(enumerate(curve, start=1))))
            self._trial, self._num_epochs = study.ask(), num_epochs

    def goes_on(self, epoch: int, cross_entropy: float) -> bool:
        if not math.isfinite(cross_entropy):
            return False
        self._trial.report(cross_entropy, epoch)
        # After the last epoch there is nothing to save.
        return epoch == self._num_epochs or not self._trial.should_prune()
