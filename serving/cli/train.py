"""`ebbtide train`."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.errors import ExecutionError
from engine.instants import format_instant
from engine.storage import Place
from serving.cli.options import (
    active_option,
    as_of_option,
    device_option,
    executor_option,
    horizon_option,
    ray_address_option,
    ray_config,
    seed_option,
    store_option,
)
from serving.cli.output import Stage, console, json_option, literal, print_json, print_note, print_prose, stage

if TYPE_CHECKING:
    from engine.executors import RayConfig
    from engine.history import History
    from training.config import TrainConfig
    from training.passes.both import Learning
    from training.passes.checkpoint import Unfinished
    from training.registry import Registration
    from training.trained import TrainProgress

_NUM_WORKERS = 2


@click.command()
@store_option
@as_of_option
@click.option("--name", default="default", show_default=True, help="Name to register the model under.")
@horizon_option
@active_option
@seed_option
@click.option(
    "--as",
    "alias",
    type=click.Choice(["champion", "challenger"]),
    default="champion",
    show_default=True,
    help="champion: unless it is clearly worse, or older, than the present one. challenger: keep the present champion, if any.",
)
@click.option(
    "--backtest",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="The metrics.json of a back-test with the same settings, to put on the model card.",
)
@click.option("--tuned", is_flag=True, help="Use the best settings that `ebbtide tune` found under the same --name.")
@click.option(
    "--resume", is_flag=True, help="Continue an interrupted training after its last finished epoch; the model is the same."
)
@device_option
@executor_option
@click.option(
    "--num-workers",
    type=click.IntRange(1, 1024),
    metavar="N",
    help="With --executor ray: workers that share every step, a core or GPU each; 2 by default. Same losses as one worker.",
)
@ray_address_option
@json_option
def train(
    store: Place,
    as_of_us: int,
    name: str,
    horizon_days: int,
    active_within_days: int,
    seed: int,
    alias: str,
    backtest: Path | None,
    tuned: bool,
    resume: bool,
    device: str,
    executor: str,
    num_workers: int | None,
    ray_address: str | None,
    as_json: bool,
) -> None:
    """Train a model on all events before the as-of, and register it with a model card.

    It becomes the champion, which `rescore` scores with, unless it is significantly worse than the present champion on customers
    that neither has seen; then it becomes the challenger. `ebbtide models promote --force` overrides that.

    Every epoch is saved until the model is registered: after Ctrl-C or a kill, run the same command with --resume.
    """
    from training.bundles.backtest_summary import read_backtest
    from training.config import TrainConfig

    summary = read_backtest(backtest, horizon_days=horizon_days, active_within_days=active_within_days) if backtest else None
    config = TrainConfig(horizon_days=horizon_days, active_within_days=active_within_days, seed=seed)
    if tuned:
        from training.tuning.best import tuned_config

        config = tuned_config(store, as_of_us=as_of_us, config=config, name=name)
    ray = ray_config(executor, workers_option="--num-workers", address=ray_address, num_workers=num_workers)
    started_s = time.perf_counter()
    registration = run_train(
        store,
        as_of_us=as_of_us,
        config=config,
        name=name,
        as_challenger=alias == "challenger",
        backtest=summary,
        resume=resume,
        device=device,
        ray=ray,
        as_json=as_json,
    )
    bundle, decision = registration.bundle, registration.decision
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
                "alias": decision.alias,
                "reason": decision.reason,
                "comparison": decision.verdict,
                "seconds": round(seconds, 1),
            }
        )
        return
    print_train(registration, seconds)
    if decision.alias == "champion":
        console().print(f"Next: ebbtide rescore --store {literal(store)} --as-of {format_instant(as_of_us)}")
    else:
        console().print(f"Next: ebbtide models show {bundle.version} --store {literal(store)} --name {name}")


def run_train(
    store: Place,
    *,
    as_of_us: int,
    config: TrainConfig,
    name: str,
    as_challenger: bool = False,
    backtest: dict[str, Any] | None = None,
    resume: bool = False,
    device: str = "auto",
    ray: RayConfig | None = None,
    as_json: bool,
) -> Registration:
    """Train with a progress bar over the epochs, and register.

    ray : train on the workers of a Ray cluster; None: in this process
    """
    from engine.history import History
    from engine.storage import remove_tree, writer_lock
    from training.passes.checkpoint import CHECKPOINT_FILE, checkpoint_folder, find_unfinished
    from training.registry import check_can_register, register_judged
    from training.train import train as run

    check_can_register(store, name)
    history = History.open(store)
    learning = _learning(history, device, ray)
    folder = checkpoint_folder(store, name)
    # Two trainings of a name would write over each other's checkpoints.
    with writer_lock(folder):
        note = _note_of(find_unfinished(folder), name, resume=resume)
        if note:
            print_note(note, as_json=as_json)
        try:
            with stage("Training", as_json=as_json) as progress:
                trained = run(
                    history,
                    as_of_us=as_of_us,
                    config=config,
                    progress=lambda at: _show_epoch(progress, at),
                    learning=learning,
                    checkpoint_folder=folder,
                    resume=resume,
                )
        except BaseException:
            if not (folder / CHECKPOINT_FILE).exists():  # refused before the first epoch
                remove_tree(folder)
            raise
        registration = register_judged(
            store, history, trained, name, as_challenger=as_challenger, backtest=backtest, is_resumed=resume
        )
        remove_tree(folder)
    return registration


def print_train(registration: Registration, seconds: float) -> None:
    """What came of a training, for a person."""
    bundle, decision = registration.bundle, registration.decision
    out = console()
    print_prose(
        f"Trained [bold]{bundle.name}/{bundle.version}[/] in {seconds:.0f} s on events before "
        f"{format_instant(bundle.as_of_us)}: churn within {bundle.horizon_days} days, customers active in the last "
        f"{bundle.active_within_days}."
    )
    mark = "" if decision.alias == "champion" else "[yellow]Note[/]: the champion stays. "
    print_prose(f"{mark}It is the {decision.alias}: {literal(decision.reason)}.")
    out.print(f"Model: {literal(bundle.folder)}")


def _learning(history: History, device: str, ray: RayConfig | None) -> Learning:
    from training.device import compute_on, resolve_device
    from training.passes.both import LearnHere

    if ray is None:
        return LearnHere(compute=compute_on(device))
    try:
        from training.passes.ray_learning import LearnOnRay
    except ImportError as error:
        raise ExecutionError(f"--executor ray needs Ray Train ({error}); run `pip install 'ebbtide[train]'`") from error

    # A GPU that is asked for is looked for by the workers: this machine may have none.
    on_device = "cuda" if device == "cuda" else resolve_device(device)
    num_workers = ray.num_workers or _NUM_WORKERS
    return LearnOnRay(history=history, num_workers=num_workers, device=on_device, ray=replace(ray, num_workers=num_workers))


def _note_of(unfinished: Unfinished | None, name: str, *, resume: bool) -> str:
    if unfinished is None:
        return f"found no unfinished training of {name}, starting a new one" if resume else ""
    if resume:
        return f"resuming the unfinished training of {name}: {unfinished}"
    return f"replacing an unfinished training of {name}: {unfinished}; --resume would continue it"


def _show_epoch(progress: Stage, at: TrainProgress) -> None:
    held_out = "" if at.validation is None else f", holdout {at.validation:.4f}"
    progress.update(done=at.epoch, total=at.num_epochs, note=f"epochs, loss {at.loss:.4f}{held_out}")
