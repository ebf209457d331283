"""What every benchmark shares: the size, `--quick` for CI, the chain, and one JSON file of results for each subject."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from benchmarks.standard_chain import Chain, make_chain

# As many as ebbtide gets; Polars reads it when it is imported.
os.environ.setdefault("POLARS_MAX_THREADS", "2")

_RESULTS = Path(__file__).parent / "results"
_REPORTED_VERSIONS = (
    "numpy",
    "numba",
    "numba-cuda",
    "pyarrow",
    "torch",
    "ray",
    "grpcio",
    "duckdb",
    "polars",
    "lightgbm",
    "onnxruntime",
    "scikit-learn",
)

Report = Callable[[str, str, Sequence[Mapping[str, Any]]], None]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--quick", action="store_true", help="small inputs, one round, nothing written to benchmarks/results")
    parser.addoption("--customers", type=int, help="size of the generated chain: 1,000,000, or 2,000 where quick")
    parser.addoption("--scratch", type=Path, help="folder that keeps the generated chain and its store for the next run")
    parser.addoption("--three-times", action="store_true", help="ingest a chain of three times the size, too")


def pytest_configure(config: pytest.Config) -> None:
    config.option.benchmark_columns = ["median", "min", "max", "rounds"]
    config.option.benchmark_sort = "name"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The limit on a test's time is for tests: a benchmark may train a dozen models."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.timeout(3600))


@pytest.fixture(scope="session")
def quick(request: pytest.FixtureRequest) -> bool:
    """Whether this is the quick pass of CI: it proves that the benchmarks run, its figures are not kept."""
    return bool(request.config.getoption("--quick"))


@pytest.fixture(scope="session")
def three_times(request: pytest.FixtureRequest) -> bool:
    """Whether to take the time for a chain of three times the size."""
    return bool(request.config.getoption("--three-times"))


@pytest.fixture(scope="session")
def chain(request: pytest.FixtureRequest, quick: bool, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The standard chain: about 5 GB of disk with its store and the peers' file at its full size."""
    scratch = request.config.getoption("--scratch") or tmp_path_factory.mktemp("standard-chain")
    scratch.mkdir(parents=True, exist_ok=True)
    return make_chain(scratch, request.config.getoption("--customers") or (2_000 if quick else 1_000_000))


@pytest.fixture(scope="session")
def report(quick: bool, request: pytest.FixtureRequest) -> Report:
    """Prints rows as a table and, unless quick, keeps them in benchmarks/results/<subject>.json with machine and versions."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def write(subject: str, title: str, rows: Sequence[Mapping[str, Any]]) -> None:
        with capture.global_and_fixture_disabled():
            _print_table(title, rows)
        if not quick:
            _RESULTS.mkdir(exist_ok=True)
            document = {"title": title, **_circumstances(), "rows": list(rows)}
            (_RESULTS / f"{subject}.json").write_text(json.dumps(document, indent=1) + "\n")

    return write


def _print_table(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in rows[0]:
        table.add_column(name, justify="right" if isinstance(rows[0][name], int | float) else "left")
    for row in rows:
        table.add_row(*(f"{value:,.4g}" if isinstance(value, float) else str(value) for value in row.values()))
    console = Console(width=160)
    console.print(f"\n\n{title}", style="bold", highlight=False)
    console.print(table)


def _circumstances() -> dict[str, Any]:
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False
    ).stdout.strip()
    return {
        "commit": commit or "unknown",
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpu": _cpu_name(), "cores": len(os.sched_getaffinity(0)), "python": platform.python_version()},
        "versions": {name: found for name in _REPORTED_VERSIONS if (found := _installed(name))},
    }


def _installed(package: str) -> str | None:
    """Its version, None where it is not installed: a machine with a GPU may have what its benchmark needs, and no more."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_name() -> str:
    names = [
        line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")
    ]
    return names[0] if names else platform.processor()
