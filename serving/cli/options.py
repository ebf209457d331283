"""Options that several verbs share, so that they are spelt and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from engine.errors import NoHistoryError
from engine.instants import parse_instant
from engine.storage import Place, resolve

if TYPE_CHECKING:
    from engine.executors import RayConfig


class Instant(click.ParamType[int]):
    """A date or an ISO 8601 time on the command line, UTC microseconds inside."""

    name = "DATE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        return value if isinstance(value, int) else parse_instant(value, field="--as-of")


class StorePlace(click.ParamType[Place]):
    """A store on the command line: a folder, or the URI of one in an object store."""

    name = "DIR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Place:
        if not value:  # of a script whose variable is not set; a path without text would be the folder where it runs
            self.fail("found an empty text, expected a folder or s3://BUCKET/PATH.", param, ctx)
        place = resolve(value)
        if isinstance(place, Path) and place.exists() and not place.is_dir():
            self.fail(f"Directory {str(place)!r} is a file.", param, ctx)
        return place


store_option = click.option(
    "--store",
    type=StorePlace(),
    required=True,
    metavar="DIR",
    help="The store: a folder, or s3://BUCKET/PATH (also gs://, hdfs://).",
)

as_of_option = click.option(
    "--as-of",
    "as_of_us",
    type=Instant(),
    required=True,
    help="The instant to look from, UTC: 2017-12-02 (midnight) or 2017-12-02T08:00:00Z. Only earlier events are used.",
)

executor_option = click.option(
    "--executor",
    type=click.Choice(["inline", "ray"]),
    default="inline",
    show_default=True,
    help="Run in this process, or on Ray.",
)

ray_address_option = click.option(
    "--ray-address",
    metavar="HOST:PORT|auto",
    help="With --executor ray: a running cluster to join, or auto for the one on this machine; by default one is started and "
    "stopped again. The token comes from RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token.",
)

ray_workers_option = click.option(
    "--ray-workers",
    type=click.IntRange(1, 100_000),
    metavar="N",
    help="With --executor ray: tasks that run at once; by default one per core.",
)

ray_gpu_share_option = click.option(
    "--ray-gpu-share",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="With --executor ray: share of a GPU that each task asks for if the cluster has GPUs; 0.25 by default.",
)

device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="auto: a GPU if a usable one is found, else the CPU.",
)

horizon_option = click.option(
    "--horizon-days",
    type=click.IntRange(1, 365),
    default=30,
    show_default=True,
    metavar="DAYS",
    help="Churn means no purchase within this many days.",
)

active_option = click.option(
    "--active-within-days",
    type=click.IntRange(1, 3650),
    default=90,
    show_default=True,
    metavar="DAYS",
    help="Customers are scored if they bought within this many days before the as-of.",
)

seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**31 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed; the same seed gives the same model.",
)


def check_is_there(store: Place) -> None:
    """Tell a mistyped store from an empty one.

    raises : NoHistoryError
    """
    if not store.is_dir():
        raise NoHistoryError(f"{store} is not a folder; run `ebbtide ingest --store {store} FILE` first")


def ray_config(executor: str, *, workers_option: str = "--ray-workers", **settings: Any) -> RayConfig | None:
    """The settings that were given, where they mean something.

    workers_option : what the verb calls the number of workers
    raises         : UsageError for one of another executor
    """
    from engine.executors import RayConfig

    given = {name: value for name, value in settings.items() if value is not None}
    if executor == "ray":
        return RayConfig(**given)
    if given:
        options = ", ".join(
            {"address": "--ray-address", "num_workers": workers_option}.get(name, "--ray-gpu-share") for name in given
        )
        raise click.UsageError(f"{options}: only with --executor ray, found --executor {executor}")
    return None
