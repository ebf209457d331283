"""The peer: LightGBM, given the budget of a search on the same held-out window, so that both were tuned equally."""

from __future__ import annotations

from engine.errors import AsOfError
from engine.history import History
from engine.indicators import compute_summary
from engine.storage import StoreLike
from training.baselines.boosting import Outcomes, Tuned, search_settings
from training.baselines.question import collect_outcomes
from training.config import TrainConfig
from training.passes.trial_pass import prepare
from training.tuning.study import Study


def tune_peer(store: StoreLike, study: Study, base: TrainConfig) -> Tuned | None:
    """As many trials as the study has and no more time than they took together, judged on the same customers.

    It learns from outcomes known before the held-out window, and its number of rounds is chosen on the window, as the epochs of
    a trial are.
    base    : what the trials of the study vary
    returns : None where the past holds no outcomes of both kinds to learn from, or the study no trials
    """
    if not study.trials:
        return None
    prepared = prepare(History.open(store), as_of_us=study.subject.as_of_us, config=base)
    window, held_out_us = prepared.window, prepared.held_out_us
    try:
        known = collect_outcomes(
            prepared.earlier,
            as_of_us=held_out_us,
            horizon_days=base.horizon_days,
            active_within_days=base.active_within_days,
        )
    except AsOfError:
        return None
    learn = Outcomes(indicators=known.indicators, churned=known.churned)
    if not learn.has_both:
        return None
    validate = Outcomes(
        indicators=compute_summary(prepared.past, window.queries.customer_index, held_out_us), churned=window.churned
    )
    limit_s = sum(trial.seconds for trial in study.trials)
    return search_settings(
        learn,
        validate,
        num_trials=len(study.trials),
        limit_s=limit_s,
        seed=base.seed,
        judge=window.levelled_cross_entropy,
    )
