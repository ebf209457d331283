"""The generated chain that speed is measured on, and what is made of it outside every clock.

Everything lies in a scratch folder and is used again by the next run that names the same folder.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.chain import ChainConfig, write_chain
from benchmarks.duckdb_indicators import connect, events_of_lines
from engine.instants import DAY_US, parse_instant

_START_US = parse_instant("2024-01-01")
_LINE_FIELDS = ("customer_id", "timestamp", "order_id", "amount", "discount", "store_id", "channel", "is_return")
_NIGHTLY_SHARE = 0.01


@dataclass(frozen=True, kw_only=True, slots=True)
class Chain:
    """A generated chain on disk.

    raw  : the folder of its log, as `write_chain` left it
    rows : purchases, returns, visits, feedback
    """

    scratch: Path
    raw: Path
    config: ChainConfig
    rows: dict[str, int]

    @property
    def num_events(self) -> int:
        return sum(self.rows.values())

    @property
    def as_of_us(self) -> int:
        """The midnight at which the log ends."""
        return _START_US + self.config.num_days * DAY_US

    @property
    def name(self) -> str:
        orders = f"{self.rows['purchases']:,} orders, {self.num_events:,} events"
        return f"a generated chain of {self.config.num_customers:,} customers ({orders})"

    @property
    def events_sql(self) -> str:
        """The relation of events of the raw log, for DuckDB."""
        purchases = sorted(self.raw.glob("purchases-*.parquet"))
        others = sorted([*self.raw.glob("visits-*.parquet"), *self.raw.glob("feedback-*.parquet")])
        return events_of_lines(purchases, {field: field for field in _LINE_FIELDS}, others=others)

    def events_file(self) -> Path:
        """The same as one Parquet file, sorted by customer and time: the best that a peer can be given."""
        path = self.scratch / f"events-{self.config.num_customers}.parquet"
        if not path.exists():
            self._write_sorted(self.events_sql, path)
        return path

    def _write_sorted(self, events: str, path: Path) -> None:
        connection = connect()
        connection.execute(f"SET temp_directory = '{self.scratch / 'duckdb'}'")
        part = path.with_suffix(".part")
        query = f"COPY (FROM {events} ORDER BY customer_id, timestamp_us) TO '{part}' (FORMAT parquet, COMPRESSION zstd)"
        connection.execute(query)
        part.rename(path)

    def store(self) -> Path:
        """A store that holds the chain."""
        path = self.scratch / f"store-{self.config.num_customers}"
        if not (path / "history" / "manifest.json").exists():
            ingest_in_child(path, [self.raw])
        return path

    def nightly(self) -> Path:
        """New orders, a hundredth of all, of the chain's last days and so of customers in every bucket."""
        path = self.scratch / f"nightly-{self.config.num_customers}.parquet"
        wanted = round(_NIGHTLY_SHARE * self.rows["purchases"])
        tables: list[pa.Table] = []
        for file in sorted(self.raw.glob("purchases-*.parquet"), reverse=True):
            table = pq.read_table(file)
            tables.insert(0, table.filter(pc.invert(table["is_return"])))
            if sum(table.num_rows for table in tables) >= wanted:
                break
        newest = pa.concat_tables(tables)
        newest = newest.slice(newest.num_rows - wanted)
        fresh_ids = pc.add(newest["order_id"], 10**12)
        pq.write_table(newest.set_column(newest.column_names.index("order_id"), "order_id", fresh_ids), path)
        return path

    def next_orders(self) -> Path:
        """The orders of `nightly`, moved behind the end of the log: what a store that was rescored at the end has not seen."""
        path = self.scratch / f"next-{self.config.num_customers}.parquet"
        table = pq.read_table(self.nightly())
        first_us = pc.min(table["timestamp"]).cast(pa.int64()).as_py()
        later = pc.add(table["timestamp"], pa.scalar(self.as_of_us - first_us, pa.duration("us")))
        pq.write_table(table.set_column(table.column_names.index("timestamp"), "timestamp", later), path)
        return path

    def next_events_file(self) -> Path:
        """`events_file` with the events of `next_orders` among them."""
        path = self.scratch / f"next-events-{self.config.num_customers}.parquet"
        if not path.exists():
            added = events_of_lines([self.next_orders()], {field: field for field in _LINE_FIELDS})
            both = f"(FROM read_parquet('{self.events_file()}') UNION ALL BY NAME FROM {added})"
            self._write_sorted(both, path)
        return path


def make_chain(scratch: Path, num_customers: int, *, rows_like: ChainConfig | None = None) -> Chain:
    """Generate a chain, unless the scratch folder has it.

    rows_like : of a larger chain: pieces cover as many more days as it has more customers, so that files are about as long
    """
    config = ChainConfig(num_customers=num_customers)
    if rows_like is not None and num_customers < rows_like.num_customers:
        days_per_piece = rows_like.days_per_piece * rows_like.num_customers // num_customers
        config = replace(config, days_per_piece=min(days_per_piece, config.num_days))
    raw = scratch / f"chain-{num_customers}"
    summary = raw / "chain.json"
    if not summary.exists() or json.loads(summary.read_text())["config"] != asdict(config):
        shutil.rmtree(raw, ignore_errors=True)
        write_chain(config, raw)
    return Chain(scratch=scratch, raw=raw, config=config, rows=json.loads(summary.read_text())["rows"])


def ingest_in_child(store: Path, sources: Sequence[Path]) -> dict[str, Any]:
    """Ingest in a process of its own, whose memory is nobody else's: seconds, cpu_s, peak_mib and num_events of it."""
    return _run("benchmarks.measured_ingest", store, *sources)


def indicators_in_child(store: Path, as_of_us: int) -> dict[str, Any]:
    """All indicators of all customers in a process of its own: seconds, cpu_s, peak_mib, num_customers."""
    return _run("benchmarks.measured_indicators", store, as_of_us)


def rescore_in_child(store: Path, as_of_us: int, *options: object) -> dict[str, Any]:
    """Rescore in a process of its own: seconds, cpu_s, peak_mib, seconds by stage; see benchmarks.measured_rescore."""
    return _run("benchmarks.measured_rescore", store, as_of_us, *options)


def boost_in_child(events: Path, as_of_us: int, active_within_days: float, model: Path) -> dict[str, Any]:
    """The peer's features and predictions in a process of its own; see benchmarks.boosted_windows."""
    return _run("benchmarks.boosted_windows", events, as_of_us, active_within_days, model)


def _run(module: str, *arguments: object) -> dict[str, Any]:
    environment = os.environ | {"NUMBA_NUM_THREADS": "2"}
    command = [sys.executable, "-m", module, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def remove_store(store: Path) -> None:
    """Give the disk space back before the next one is made."""
    shutil.rmtree(store, ignore_errors=True)


def copy_store(store: Path, copy: Path) -> Path:
    """A store to write to: links, since parts are replaced and never changed."""
    remove_store(copy)
    shutil.copytree(store, copy, copy_function=os.link, ignore=shutil.ignore_patterns("writer.lock"))
    return copy
