"""The list of verbs, in the order of the work."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

import click

from serving.cli.ask import at_risk, score
from serving.cli.backtest import backtest
from serving.cli.compact import compact
from serving.cli.demo import demo
from serving.cli.drift import drift
from serving.cli.export import export
from serving.cli.forget import forget
from serving.cli.groups import OrderedGroup
from serving.cli.indicators import indicators
from serving.cli.ingest import ingest
from serving.cli.models import models
from serving.cli.rescore import rescore
from serving.cli.serve import serve
from serving.cli.snapshots import snapshots
from serving.cli.status import status
from serving.cli.train import train
from serving.cli.tune import tune
from serving.cli.verify import verify


def _version() -> str:
    try:
        return version("ebbtide")
    except PackageNotFoundError:  # run from a source tree that was never installed
        return "(source tree)"


_SECTIONS = {
    "Build and serve": (ingest, backtest, train, tune, rescore, serve),
    "Read scores": (score, at_risk, export, indicators),
    "Inspect": (status, snapshots, models, drift),
    "Maintain": (verify, compact, forget),
    "Try it": (demo,),
}


@click.group(
    cls=OrderedGroup, sections=_SECTIONS, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110}
)
@click.version_option(_version(), prog_name="ebbtide")
def cli() -> None:
    """Predict which customers are about to stop buying, from a retail chain's own purchase log.

    \b
    The usual order:
      ebbtide ingest   --store ./store purchases.parquet
      ebbtide backtest --store ./store --as-of 2017-12-02 --out ./backtest
      ebbtide train    --store ./store --as-of 2018-01-01
      ebbtide rescore  --store ./store --as-of 2018-01-01
      ebbtide serve    --store ./store
      ebbtide at-risk  --target 127.0.0.1:50051

    `ebbtide demo` runs all of it on real data.
    """
