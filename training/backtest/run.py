"""Running a back-test: check, train at each origin, ask everybody, judge, walk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.errors import AsOfError, InvalidArgumentError
from engine.history import History
from engine.instants import DAY_US, format_instant, next_midnight
from engine.labels import churned, eligible
from engine.partition import Partition
from training.backtest.config import BacktestConfig
from training.backtest.judging import MODEL, Judgement, judge
from training.backtest.value import SpendAnswer, SpendWindow, ask_spend_baselines, compare_spend, days_to_judge, judge_value
from training.backtest.windows import Backtest, DataDescription, Window, pool
from training.baselines import ask_baseline, pose_question
from training.bundles.bundle import Bundle
from training.data.past import take_past
from training.data.purchases import summarise_purchases
from training.evaluation.lead_time import Ranker, Walk, walk, why_no_walk
from training.evaluation.segments import Traits, describe_customers, join_traits
from training.inference import FittedModel, outlook_at, survival_curves
from training.network.spend import spent_within
from training.passes.trial_pass import prepare
from training.predict import churn_probability
from training.train import train
from training.trained import TrainProgress


@dataclass(frozen=True, kw_only=True, slots=True)
class BacktestProgress:
    """How far it is: a step of the work in words, and how much of it is done where that can be told."""

    step: str
    done: int
    total: int | None


Report = Callable[[BacktestProgress], None]


def run_backtest(
    history: History, config: BacktestConfig, *, bundle: Bundle | None = None, progress: Report | None = None
) -> Backtest:
    """Compare ebbtide and the baselines on the customers eligible at each origin.

    bundle : one trained on what was known before every origin, to be used in place of training anew
    raises : AsOfError, before any training, where a horizon is not known to its end or there is nothing to tell apart, and where
             the past of an origin is too short to learn from; InvalidArgumentError for a bundle that saw beyond an origin
    """
    tell: Report = progress if progress is not None else lambda _: None
    _check(history, config, bundle)
    # Every origin's past is tried before the first training, by the baselines too: what can fail for lack of data fails at once.
    by_baselines = [_ask_baselines(history, config, as_of_us, tell) for as_of_us in config.as_of_us]
    models = [_model(history, config, as_of_us, bundle, tell) for as_of_us in config.as_of_us]
    asked = [
        _ask(history, model, config, as_of_us, answers, identity)
        for as_of_us, answers, (model, identity) in zip(config.as_of_us, by_baselines, models, strict=True)
    ]
    # By horizon and then by origin.
    windows = tuple(found[place] for place in range(len(config.horizons_days)) for found, _ in asked)
    tell(BacktestProgress(step="judging", done=0, total=None))
    num_origins = len(config.as_of_us)
    # Segments of the pooled rows alone where there are several origins: those of one would be too small to tell much.
    judgements = tuple(_judge(window, config, with_segments=num_origins == 1) for window in windows)
    pooled = []
    for first in range(0, len(windows), num_origins):
        together = pool(windows[first : first + num_origins])
        pooled.append((together, judgements[first] if num_origins == 1 else _judge(together, config, with_segments=True)))
    no_walk = why_no_walk(config.as_of_us[0], _end_us(history), config.lead_time)
    return Backtest(
        config=config,
        data=DataDescription.of(history),
        windows=windows,
        judgements=judgements,
        pooled=tuple(pooled),
        value=judge_value([window for _, spend in asked for window in spend]),
        walk=None if no_walk else _walk(history, config, [model for model, _ in models], tell),
        no_walk=no_walk,
    )


def _check(history: History, config: BacktestConfig, bundle: Bundle | None) -> None:
    for as_of_us in config.as_of_us:
        for horizon_days in config.horizons_days:
            history.check_as_of(as_of_us, horizon_days=horizon_days)
    for as_of_us in config.as_of_us:
        if bundle is not None and bundle.as_of_us > as_of_us:
            raise InvalidArgumentError(
                "bundle",
                f"{bundle.name}/{bundle.version} saw events up to {format_instant(bundle.as_of_us)}, "
                f"expected none from {format_instant(as_of_us)} on; train one with that as-of",
            )
        for horizon_days in config.horizons_days:
            _check_outcomes(history, as_of_us, horizon_days, config.active_within_days)
    if bundle is not None and max(config.horizons_days) > bundle.edges_days[-1]:
        raise InvalidArgumentError(
            "horizon_days", f"found {max(config.horizons_days)}, expected at most the bundle's {bundle.edges_days[-1]:g}"
        )
    for as_of_us in config.as_of_us if bundle is None else ():
        prepare(history, as_of_us=as_of_us, config=config.train)  # refuses what could not be learnt from


def _check_outcomes(history: History, as_of_us: int, horizon_days: int, active_within_days: int) -> None:
    """Refuse before the training, and not after it, what could not be judged.

    raises : AsOfError where nobody was active, nobody churned, or everybody did
    """
    num_customers = num_churned = 0
    for partition in history.partitions():
        customers = eligible(partition, as_of_us, active_within_days)
        num_customers += len(customers)
        num_churned += int(churned(partition, customers, as_of_us, horizon_days).sum())
    if num_customers == 0:
        raise AsOfError(
            f"found no customer with a purchase in the {active_within_days} days before {format_instant(as_of_us)}; "
            "choose another as-of date, or a longer --active-within-days"
        )
    if num_churned in (0, num_customers):
        raise AsOfError(
            f"{num_churned} of {num_customers} customers did not buy in the {horizon_days} days from {format_instant(as_of_us)}, "
            "expected some but not all, so that there is something to predict; choose another as-of date or horizon"
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Answers:
    """What the baselines say at one origin, by horizon in the order of the config."""

    probability: list[dict[str, NDArray[np.float64]]]
    details: list[dict[str, dict[str, Any]]]
    spend: SpendAnswer


def _ask_baselines(history: History, config: BacktestConfig, as_of_us: int, tell: Report) -> _Answers:
    """The baselines are handed the past alone, so what came after the origin cannot reach them."""
    past = take_past(history.partitions(), before_us=as_of_us)
    questions = [
        pose_question(past, as_of_us=as_of_us, horizon_days=horizon_days, active_within_days=config.active_within_days)
        for horizon_days in config.horizons_days
    ]
    probability: list[dict[str, NDArray[np.float64]]] = []
    details: list[dict[str, dict[str, Any]]] = []
    for question in questions:
        probability.append({})
        details.append({})
        for place, name in enumerate(config.baselines):
            step = f"as of {format_instant(as_of_us)}, {question.horizon_days} days: {name}"
            tell(BacktestProgress(step=step, done=place, total=len(config.baselines)))
            answer = ask_baseline(name, question, num_trials=config.num_tuning_trials, seed=config.train.seed)
            probability[-1][name] = answer.probability
            if answer.details:
                details[-1][name] = answer.details
    known_days = (_end_us(history) - as_of_us) / DAY_US
    days = days_to_judge(config, known_days)
    return _Answers(
        probability=probability,
        details=details,
        spend=ask_spend_baselines(past, as_of_us, config.active_within_days, days),
    )


def _model(
    history: History, config: BacktestConfig, as_of_us: int, bundle: Bundle | None, tell: Report
) -> tuple[FittedModel, dict[str, Any]]:
    """The model of an origin and what it is."""
    if bundle is not None:
        version = f"{bundle.name}/{bundle.version}"
        return bundle.model, {"version": version, "content_hash": bundle.content_hash, "seed": bundle.config.seed}
    as_of = format_instant(as_of_us)

    def after_epoch(at: TrainProgress) -> None:
        tell(BacktestProgress(step=f"as of {as_of}: epochs, loss {at.loss:.4f}", done=at.epoch, total=at.num_epochs))

    model = train(history, as_of_us=as_of_us, config=config.train, progress=after_epoch).model
    return model, {"version": None, "content_hash": None, "seed": config.train.seed}


def _ask(
    history: History,
    model: FittedModel,
    config: BacktestConfig,
    as_of_us: int,
    answers: _Answers,
    identity: dict[str, Any],
) -> tuple[list[Window], list[SpendWindow]]:
    """A window for each horizon, and one of spend for each number of days.

    ebbtide reads the history as a rescoring does, with all that came after the origin in it.
    """
    activity = history.activity()
    ids: list[pa.Array] = []
    traits: list[Traits] = []
    survival: list[NDArray[np.float64]] = []
    outcomes: list[list[NDArray[np.bool_]]] = []
    spend: list[NDArray[np.float64]] = []
    spent: list[list[NDArray[np.float64]]] = []
    for partition in history.partitions():
        customers = eligible(partition, as_of_us, config.active_within_days)
        instants = np.full(len(customers), as_of_us, np.int64)
        ids.append(partition.customer_ids.take(pa.array(customers)))
        traits.append(describe_customers(partition, customers, as_of_us))
        outlook = outlook_at(model, partition, activity, customers, instants)
        survival.append(outlook.survival)
        spend.append(outlook.spend)
        outcomes.append([churned(partition, customers, as_of_us, horizon_days) for horizon_days in config.horizons_days])
        has_amounts = answers.spend.has_amounts
        spent.append([spent_within(partition, customers, as_of_us, days, has_amounts=has_amounts) for days in answers.spend.days])
    curves = np.concatenate(survival)
    windows = [
        Window(
            as_of_us=(as_of_us,),
            horizon_days=horizon_days,
            customer_ids=pa.concat_arrays(ids),
            churned=np.concatenate([found[place] for found in outcomes]),
            probability={MODEL: churn_probability(model.edges_days, curves, horizon_days), **answers.probability[place]},
            traits=join_traits(traits),
            bundle=identity,
            details=answers.details[place],
        )
        for place, horizon_days in enumerate(config.horizons_days)
    ]
    happened = [np.concatenate([found[place] for found in spent]) for place in range(len(answers.spend.days))]
    return windows, compare_spend(answers.spend, as_of_us, model.edges_days, np.concatenate(spend), happened)


def _judge(window: Window, config: BacktestConfig, *, with_segments: bool) -> Judgement:
    traits = window.traits if with_segments else None
    return judge(window.churned, window.probability, window.customer, traits, config)


def _walk(history: History, config: BacktestConfig, models: list[FittedModel], tell: Report) -> Walk:
    """Each model is used from its origin until the next; recency alone walks beside it."""
    tell(BacktestProgress(step="walking through time", done=0, total=None))
    activity = history.activity()

    def rank_by(model: FittedModel) -> Ranker:
        def rank(partition: Partition, customers: NDArray[np.int64], instant: int) -> NDArray[np.float64]:
            instants = np.full(len(customers), instant, np.int64)
            survival = survival_curves(model, partition, activity, customers, instants)
            return churn_probability(model.edges_days, survival, config.train.horizon_days)

        return rank

    rankers: list[dict[str, Ranker]] = [{MODEL: rank_by(model), "recency": _rank_by_recency} for model in models]
    end_us = _end_us(history)
    return walk(
        take_past(history.partitions(), before_us=end_us),
        rankers,
        config.as_of_us,
        end_us=end_us,
        active_within_days=config.active_within_days,
        config=config.lead_time,
    )


def _end_us(history: History) -> int:
    """The midnight after the last order: until then it is known who bought."""
    last_us = history.manifest.last_order_us
    assert last_us is not None  # or no origin would have been possible
    return next_midnight(last_us)


def _rank_by_recency(partition: Partition, customers: NDArray[np.int64], instant: int) -> NDArray[np.float64]:
    return (instant - summarise_purchases(partition, customers, instant).last_us) / DAY_US
