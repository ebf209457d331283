"""`python -m benchmarks.measured_rescore STORE AS_OF_US [--full] [--threads N | --ray N]`: rescore; what it took, as JSON."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser
from pathlib import Path

from benchmarks.process_usage import Stopwatch, peak_mib
from engine.executors import RayConfig, make_executor
from kernels.registry import resolve
from serving.rescoring.rescore import rescore
from training.registry import champion


def main() -> None:
    """Command line."""
    parser = ArgumentParser()
    parser.add_argument("store", type=Path)
    parser.add_argument("as_of_us", type=int)
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--ray", type=int, help="workers")
    parser.add_argument("--warm-up-us", type=int, help="rescore as of this instant first: the workers start outside the clock")
    wanted = parser.parse_args()
    resolve("cpu")  # loads what is compiled
    champion(wanted.store)
    ray = RayConfig(num_workers=wanted.ray) if wanted.ray else None
    with make_executor("ray" if ray else "inline", ray=ray, num_threads=wanted.threads) as executor:
        if wanted.warm_up_us:
            rescore(wanted.store, as_of_us=wanted.warm_up_us, executor=executor, device="cpu", full=True)
        with Stopwatch() as watch:
            report = rescore(wanted.store, as_of_us=wanted.as_of_us, executor=executor, device="cpu", full=wanted.full)
    taken = {
        "seconds": watch.seconds,
        "cpu_s": watch.cpu_s,
        "score_s": report.score_s,
        "peak_mib": peak_mib(),
        "num_customers": report.num_customers,
        "num_rolled_on": report.num_rolled_on,
        "num_unchanged": report.num_unchanged,
        "num_begun_anew": report.num_begun_anew,
        "num_events_read": report.num_events_read,
        "prepare_s": report.prepare_s,
        "commit_s": report.commit_s,
        **{f"{stage}_s": seconds for stage, seconds in report.stage_s.items()},
    }
    print(json.dumps(taken | {"snapshot_id": report.snapshot_id, "begun_from": report.begun_from}))


if __name__ == "__main__":
    sys.exit(main())
