"""LightGBM on the indicators: with settings of good practice, and tuned on the past."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.instants import DAY_US
from training.baselines.question import Question

_NUM_SEEDS = 3
_FIXED: dict[str, Any] = {
    "objective": "binary",
    "bagging_freq": 1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
# Instants that validate a setting, the latest ones of the past.
_NUM_VALIDATING = 2
_MOST_ROUNDS, _PATIENCE_ROUNDS = 1000, 50


@dataclass(frozen=True, kw_only=True, slots=True)
class BoostingSettings:
    """What is tuned; the defaults suit some thousand customers and were not fitted to any data set."""

    num_rounds: int = 200
    learning_rate: float = 0.03
    num_leaves: int = 15
    min_data_in_leaf: int = 50
    feature_fraction: float = 0.7
    bagging_fraction: float = 0.8
    lambda_l2: float = 5.0

    def parameters(self, seed: int) -> dict[str, Any]:
        """As LightGBM takes them, the number of rounds apart."""
        own = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "num_rounds"}
        return {**_FIXED, **own, "seed": seed}


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcomes:
    """Customers at instants of the past, and what came of them.

    indicators : float32[n, len(SUMMARY_COLUMNS)]
    churned    : bool[n]
    """

    indicators: NDArray[np.float32]
    churned: NDArray[np.bool_]

    @property
    def has_both(self) -> bool:
        """Whether some churned and some did not."""
        return bool(self.churned.any()) and not self.churned.all()


@dataclass(frozen=True, kw_only=True, slots=True)
class Tuned:
    """What a search found.

    num_trials     : 0 where the past is too short to validate on, and the defaults stand
    log_loss       : of the best trial on what it was validated on, nats per outcome, or what the judge said; None without trials
    usual_log_loss : of the defaults
    """

    settings: BoostingSettings
    num_trials: int
    log_loss: float | None
    usual_log_loss: float | None


_NOT_TUNED = Tuned(settings=BoostingSettings(), num_trials=0, log_loss=None, usual_log_loss=None)


def predict_by_lightgbm(question: Question, settings: BoostingSettings | None = None) -> NDArray[np.float64]:
    """Gradient-boosted trees on all indicators, the mean of three seeds."""
    import lightgbm

    settings = BoostingSettings() if settings is None else settings
    outcomes = question.outcomes
    data = lightgbm.Dataset(outcomes.indicators, outcomes.churned, free_raw_data=False)
    predictions = [
        lightgbm.train(settings.parameters(seed), data, num_boost_round=settings.num_rounds).predict(question.indicators)
        for seed in range(_NUM_SEEDS)
    ]
    return np.asarray(np.mean(predictions, axis=0), np.float64)


def tune_lightgbm(question: Question, *, num_trials: int, seed: int = 0) -> Tuned:
    """Search the settings on a question's past.

    Validated by time: on the two latest instants of the past, by models that learnt from instants whose outcomes were known
    before them.
    """
    split = split_by_time(question)
    if split is None:
        return _NOT_TUNED
    learn, validate = (
        Outcomes(indicators=question.outcomes.indicators[rows], churned=question.outcomes.churned[rows]) for rows in split
    )
    return search_settings(learn, validate, num_trials=num_trials, seed=seed)


def search_settings(
    learn: Outcomes,
    validate: Outcomes,
    *,
    num_trials: int,
    limit_s: float | None = None,
    seed: int = 0,
    judge: Callable[[NDArray[np.float64]], float] | None = None,
) -> Tuned:
    """Search the settings by TPE (Bergstra et al. 2011), the defaults being the first trial.

    The number of rounds comes from early stopping on what is validated on.
    limit_s : no trial begins after so long, but the first
    judge   : what a trial's predictions on `validate` are worth, less being better; by default their cross entropy
    """
    if num_trials == 0:
        return _NOT_TUNED
    import optuna

    from training.quiet_optuna import quiet_optuna

    def objective(trial: optuna.Trial) -> float:
        settings = _suggest(trial)
        num_rounds, log_loss = _fit_rounds(learn, validate, settings, seed, judge)
        trial.set_user_attr("num_rounds", num_rounds)
        return log_loss

    # Optuna's own timeout may let no trial begin, and then there is no best one.
    ends_s = math.inf if limit_s is None else time.monotonic() + limit_s

    def stop_late(study: optuna.Study, _: optuna.trial.FrozenTrial) -> None:
        if time.monotonic() >= ends_s:
            study.stop()

    with quiet_optuna():
        study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
        usual = BoostingSettings()
        study.enqueue_trial({name: getattr(usual, name) for name in usual.__dataclass_fields__ if name != "num_rounds"})
        study.optimize(objective, n_trials=num_trials, callbacks=[stop_late])
    best = study.best_trial
    return Tuned(
        settings=BoostingSettings(**best.params, num_rounds=best.user_attrs["num_rounds"]),
        num_trials=len(study.trials),
        log_loss=float(study.best_value),
        usual_log_loss=study.trials[0].value,
    )


def split_by_time(question: Question) -> tuple[NDArray[np.bool_], NDArray[np.bool_]] | None:
    """Which past outcomes to learn from and which to validate on, bool[n] each; None where the past is too short for both."""
    outcomes = question.outcomes
    instants = np.unique(outcomes.as_of_us)
    validate_from_us = instants[-min(_NUM_VALIDATING, len(instants))]
    validate = outcomes.as_of_us >= validate_from_us
    learn = outcomes.as_of_us + question.horizon_days * DAY_US <= validate_from_us
    for chosen in (learn, validate):
        churned = outcomes.churned[chosen]
        if churned.all() or not churned.any():  # of no rows both are true
            return None
    return learn, validate


def _suggest(trial: Any) -> BoostingSettings:
    """The space: from a cautious to an eager learner, from stumps to trees that could learn customers by heart."""
    return BoostingSettings(
        learning_rate=trial.suggest_float("learning_rate", 0.01, 0.2, log=True),
        num_leaves=trial.suggest_int("num_leaves", 3, 63, log=True),
        min_data_in_leaf=trial.suggest_int("min_data_in_leaf", 5, 300, log=True),
        feature_fraction=trial.suggest_float("feature_fraction", 0.3, 1.0),
        bagging_fraction=trial.suggest_float("bagging_fraction", 0.5, 1.0),
        lambda_l2=trial.suggest_float("lambda_l2", 0.01, 100.0, log=True),
    )


def _fit_rounds(
    learn: Outcomes,
    validate: Outcomes,
    settings: BoostingSettings,
    seed: int,
    judge: Callable[[NDArray[np.float64]], float] | None,
) -> tuple[int, float]:
    """How many rounds serve what is validated on best, and what the judge says then."""
    import lightgbm

    parameters = {**settings.parameters(seed), "metric": "binary_logloss"}
    data = lightgbm.Dataset(learn.indicators, learn.churned)
    judged = lightgbm.Dataset(validate.indicators, validate.churned, reference=data)
    stop = lightgbm.early_stopping(_PATIENCE_ROUNDS, verbose=False)
    booster = lightgbm.train(parameters, data, num_boost_round=_MOST_ROUNDS, valid_sets=[judged], callbacks=[stop])
    num_rounds = max(1, int(booster.best_iteration))
    if judge is None:
        return num_rounds, float(booster.best_score["valid_0"]["binary_logloss"])
    return num_rounds, judge(np.asarray(booster.predict(validate.indicators, num_iteration=num_rounds), np.float64))
