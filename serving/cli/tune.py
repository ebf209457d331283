"""`ebbtide tune`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import (
    active_option,
    as_of_option,
    executor_option,
    horizon_option,
    ray_address_option,
    ray_config,
    ray_workers_option,
    seed_option,
    store_option,
)
from serving.cli.output import Stage, console, count, json_option, literal, print_json, print_prose, stage, table
from training.tuning.space import SPACE, space_as_help

if TYPE_CHECKING:
    from training.baselines.boosting import Tuned
    from training.tuning.study import Study

_REPORT_FILE = "study.html"


@click.command(epilog=f"\b\nSearched (docs/tuning.md explains each range):\n{space_as_help()}")
@store_option
@as_of_option
@click.option(
    "--trials",
    type=click.IntRange(1, 100_000),
    required=True,
    metavar="N",
    help="Trials in all, including those of earlier runs.",
)
@click.option(
    "--timeout-min",
    type=click.FloatRange(0, min_open=True),
    metavar="M",
    help="Start no trial after this many minutes; running ones are finished.",
)
@executor_option
@ray_address_option
@ray_workers_option
@click.option(
    "--name", default="default", show_default=True, help="Name of the study, and of the model that `train --tuned` makes."
)
@horizon_option
@active_option
@seed_option
@json_option
def tune(
    store: Place,
    as_of_us: int,
    trials: int,
    timeout_min: float | None,
    executor: str,
    ray_address: str | None,
    ray_workers: int | None,
    name: str,
    horizon_days: int,
    active_within_days: int,
    seed: int,
    as_json: bool,
) -> None:
    """Search for better settings for `train --tuned`, using events before the as-of.

    The default settings are the first trial, so the best trial is never worse than they are on the holdout window. Trials that
    are clearly behind are pruned. Every finished trial is kept in the store: after Ctrl-C or a kill, run the same command to
    continue. For comparison, LightGBM is then tuned with the same budget on the same customers.
    """
    from engine.executors import make_executor
    from engine.storage import write_bytes
    from training.config import TrainConfig
    from training.report.tuning import draw_study
    from training.tuning.peer import tune_peer
    from training.tuning.run import TuneConfig, importances
    from training.tuning.run import tune as run
    from training.tuning.study import study_folder

    config = TuneConfig(num_trials=trials, limit_s=None if timeout_min is None else 60 * timeout_min)
    base = TrainConfig(horizon_days=horizon_days, active_within_days=active_within_days, seed=seed)
    ray = ray_config(executor, address=ray_address, num_workers=ray_workers)
    with stage("Tuning", as_json=as_json) as progress, make_executor(executor, ray=ray) as workers:
        study = run(
            store,
            as_of_us=as_of_us,
            config=config,
            base=base,
            name=name,
            executor=workers,
            progress=lambda so_far: _show_trial(progress, so_far, trials),
        )
        progress.update(done=0, total=None, note="LightGBM, with the same budget")
        peer = tune_peer(store, study, base)
    shares = importances(study)
    report = study_folder(store, name) / _REPORT_FILE
    write_bytes(report, draw_study(study, shares, peer).encode())
    if as_json:
        print_json(describe_study(study, shares) | {"lightgbm": describe_peer(peer), "report": str(report)})
        return
    print_study(study, shares)
    out = console()
    if peer is not None and peer.log_loss is not None:
        out.print(
            f"LightGBM, {count(peer.num_trials, 'trial')} on the same customers: cross entropy {peer.log_loss:.5f} "
            f"(its default settings {peer.usual_log_loss:.5f})."
        )
        if (lead := study.lead_of(peer.log_loss)) is not None:
            print_prose(
                f"[yellow]Note[/]: LightGBM is ahead of the best trial by {lead:.5f}. More --trials may change that; "
                f"`ebbtide backtest --tuned {study.name}` compares the two on a window that neither was chosen on."
            )
    out.print(f"Report: {literal(report)}")
    if study.best is not None:
        question = f" --horizon-days {horizon_days} --active-within-days {active_within_days} --seed {seed}"
        named = "" if name == "default" else f" --name {name}"
        out.print(f"Next: ebbtide train --store {literal(store)} --as-of {format_instant(as_of_us)} --tuned{named}{question}")


def describe_study(study: Study, importances: dict[str, float]) -> dict[str, Any]:
    """The study as the document that --json prints; `importances` is empty where there are too few trials to tell."""
    best, first = study.best, study.first
    return {
        "study": study.name,
        "as_of": format_instant(study.subject.as_of_us),
        "horizon_days": study.subject.base["horizon_days"],
        "active_within_days": study.subject.base["active_within_days"],
        "num_trials": len(study.trials),
        "num_completed": sum(trial.loss is not None for trial in study.trials),
        "best": None if best is None else {"trial": best.number, "cross_entropy": best.loss, "settings": best.values},
        "usual": {"cross_entropy": first.loss if first else None, "settings": study.usual},
        "importances": importances,
    }


def describe_peer(peer: Tuned | None) -> dict[str, Any] | None:
    """What the same budget found for LightGBM; None where the past is too short for it."""
    if peer is None or peer.log_loss is None:
        return None
    return {
        "num_trials": peer.num_trials,
        "cross_entropy": peer.log_loss,
        "settings": asdict(peer.settings),
        "usual_cross_entropy": peer.usual_log_loss,
    }


def print_study(study: Study, importances: dict[str, float]) -> None:
    """The study for a person."""
    from training.tuning.study import LEAST_FOR_IMPORTANCE

    out, best, first = console(), study.best, study.first
    num_completed = sum(trial.loss is not None for trial in study.trials)
    out.print(
        f"Study [bold]{study.name}[/] as of {format_instant(study.subject.as_of_us)}: {count(len(study.trials), 'trial')}, "
        f"{num_completed} completed."
    )
    if best is None:
        out.print("[yellow]Note[/]: no trial was completed; run again with more --trials.")
        return
    usual = "" if first is None or first.loss is None or best == first else f"; default settings {first.loss:.5f}"
    which = f"trial {best.number}" + (", the default settings" if best == first else "")
    out.print(f"Best: {which}, cross entropy {best.loss:.5f} on the holdout window{usual}.")
    rows = [
        (
            setting.name,
            f"{best.values[setting.name]:.4g}",
            f"{study.usual[setting.name]:.4g}",
            *([f"{100 * importances[setting.name]:.0f} %"] if importances else []),
            setting.range_text,
        )
        for setting in sorted(SPACE, key=lambda one: -importances.get(one.name, 0.0))
    ]
    told = ["importance"] if importances else []
    out.print(table((("setting", "left"), "best", "default", *told, ("searched", "left")), rows))
    if not importances:
        out.print(f"[dim]Importances need {LEAST_FOR_IMPORTANCE} completed trials; there are {num_completed}.[/]")


def _show_trial(progress: Stage, study: Study, num_trials: int) -> None:
    best = "" if study.best is None else f", best {study.best.loss:.5f}"
    progress.update(done=min(len(study.trials), num_trials), total=num_trials, note=f"trials{best}")
