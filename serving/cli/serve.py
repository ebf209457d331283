"""`ebbtide serve`."""

from __future__ import annotations

import logging

import click

from engine.storage import Place
from serving.cli.options import check_is_there, store_option


@click.command()
@store_option
@click.option(
    "--listen",
    default="127.0.0.1:50051",
    show_default=True,
    metavar="HOST:PORT",
    help="Address to listen on; port 0 takes a free one.",
)
def serve(store: Place, listen: str) -> None:
    """Serve the current snapshot over gRPC, until SIGTERM or Ctrl-C.

    Services: ebbtide.v1.ScoringService, grpc.health.v1.Health and server reflection. A newer snapshot is picked up while serving.
    If the current one is damaged, the previous one is served meanwhile. If there is none yet, calls are told what to run.
    """
    from serving.service.server import ServerConfig, run

    check_is_there(store)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    run(ServerConfig(store=store, listen=listen))
