"""`ebbtide train`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import active_option, as_of_option, horizon_option, seed_option, store_option
from serving.cli.output import Stage, console, json_option, literal, print_json, stage

if TYPE_CHECKING:
    from training.bundle import Bundle
    from training.config import TrainConfig
    from training.trained import TrainProgress


@click.command()
@store_option
@as_of_option
@click.option("--name", default="default", show_default=True, help="Under which name the bundle is registered.")
@horizon_option
@active_option
@seed_option
@json_option
def train(store: Place, as_of_us: int, name: str, horizon_days: int, active_within_days: int, seed: int, as_json: bool) -> None:
    """Train a model on everything before the as-of, and register it as the champion."""
    from training.config import TrainConfig

    config = TrainConfig(horizon_days=horizon_days, active_within_days=active_within_days, seed=seed)
    started_s = time.perf_counter()
    bundle = run_train(store, as_of_us=as_of_us, config=config, name=name, as_json=as_json)
    seconds = time.perf_counter() - started_s
    if as_json:
        print_json(
            {
                "model_version": f"{bundle.name}/{bundle.version}",
                "model_hash": bundle.content_hash,
                "path": str(bundle.folder),
                "as_of": format_instant(bundle.as_of_us),
                "horizon_days": bundle.horizon_days,
                "active_within_days": bundle.active_within_days,
                "seconds": round(seconds, 1),
            }
        )
        return
    print_train(bundle, seconds)
    console().print(f"Next: ebbtide rescore --store {literal(store)} --as-of {format_instant(as_of_us)}")


def run_train(store: Place, *, as_of_us: int, config: TrainConfig, name: str, as_json: bool) -> Bundle:
    """Train with a progress bar over the epochs, and register."""
    from engine.history import History
    from training.registry import check_name, register
    from training.train import train as run

    check_name(name)
    history = History.open(store)
    with stage("Training", as_json=as_json) as progress:
        trained = run(history, as_of_us=as_of_us, config=config, progress=lambda at: _show_epoch(progress, at))
    return register(store, trained, name=name)


def print_train(bundle: Bundle, seconds: float) -> None:
    """What came of a training, for a person."""
    out = console()
    out.print(
        f"Trained [bold]{bundle.name}/{bundle.version}[/] in {seconds:.0f} s on what was known before "
        f"{format_instant(bundle.as_of_us)}: churn within {bundle.horizon_days} days, of customers active within "
        f"{bundle.active_within_days}."
    )
    out.print(f"Bundle: {literal(bundle.folder)}")


def _show_epoch(progress: Stage, at: TrainProgress) -> None:
    progress.update(done=at.epoch, total=at.num_epochs, note=f"epochs, loss {at.loss:.4f}")
