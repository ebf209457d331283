"""What a person and what a program reads: text and tables, or one JSON object, on standard output; progress on standard error.

A program gets its progress as lines of JSON:

    {"event": "progress", "stage": "rescoring", "done": 12, "total": 64, "note": "buckets, 18,220 customers"}
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

json_option = click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print the result as one JSON object, and progress as JSON lines (event, stage, done, total) on standard error.",
)

# Where standard error is no terminal (a log file), a bar cannot be redrawn: say where things stand this often.
_LOG_INTERVAL_S = 10.0
_JSON_INTERVAL_S = 0.5


def print_json(document: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output."""
    print(json.dumps(document, allow_nan=False, default=str), flush=True)


def print_note(text: str, *, as_json: bool) -> None:
    """A line on standard error, where no result is looked for: {"event": "note", "note": …} for a program."""
    print(json.dumps({"event": "note", "note": text}) if as_json else f"Note: {text}.", file=sys.stderr, flush=True)


def console() -> Console:
    """Standard output for people. Outside a terminal lines are as wide as they need to be, and have no colour."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 160)


def print_prose(text: str, *, indent: int = 0) -> None:
    """A sentence or more, broken between words where a terminal is too narrow; whoever reads a pipe gets it on one line.

    text   : markup; not for what is copied, such as commands and paths, in which a break would stay
    indent : of the lines after the first
    """
    out = console()
    if not out.is_terminal:
        out.print(text)
        return
    lines = Text.from_markup(text).wrap(out, max(out.width - indent, 20))
    out.print(Text(f"\n{' ' * indent}").join(lines))


def count(number: int, noun: str) -> str:
    """A number and what it counts: 1 order, 2 orders."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def size(num_bytes: float) -> str:
    """Bytes for a person: 412 kB, 1.3 MB, 20.5 GB."""
    for unit, bytes_each in (("GB", 1e9), ("MB", 1e6)):
        if num_bytes >= bytes_each:
            return f"{num_bytes / bytes_each:,.1f} {unit}"
    return f"{num_bytes / 1e3:,.0f} kB"


def print_marked(num_marked: int, hint: str = "Parquet and Arrow files leave them as they are") -> None:
    """Tell of the texts in a CSV that got a ' in front, if there are any.

    hint : how to have them without
    """
    if num_marked:
        what = count(num_marked, "text")
        console().print(f"[yellow]Note[/]: {what} got a leading ' so that spreadsheets do not run them as formulas. {hint}.")


def literal(value: object) -> str:
    """Data for print and tables as it is: no markup is read in it, and nothing in it steers the terminal."""
    return escape("".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in str(value)))


def table(columns: Sequence[str | tuple[str, str]], rows: Sequence[Sequence[str]], *, title: str | None = None) -> Table:
    """A plain table.

    columns : a heading, or (heading, "left" | "right" | "wrap"); headings alone are flush right, as numbers are; text that
              wraps is flush left, and broken where the terminal is too narrow; all else is shown whole, however narrow it is
    """
    grid = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for place, column in enumerate(columns):
        heading, justify = (column, "right") if isinstance(column, str) else column
        # Half an id is no id: without a least width a narrow terminal cuts every column.
        cells = (heading, *(row[place] for row in rows))
        least = None if justify == "wrap" else max(Text.from_markup(cell).cell_len for cell in cells)
        grid.add_column(
            heading,
            justify="right" if justify == "right" else "left",
            no_wrap=justify != "wrap",
            min_width=least,
            header_style="dim",
        )
    for row in rows:
        grid.add_row(*row)
    return grid


class Stage:
    """Progress of one piece of work: a bar in a terminal, a line now and then in a log, or lines of JSON for a program."""

    def __init__(self, name: str, progress: Progress | None, *, as_json: bool = False) -> None:
        self._name = name
        self._as_json = as_json
        self._progress = progress
        self._task = progress.add_task(name, total=None, note="") if progress else None
        self._last_line_s: float | None = None

    def update(self, *, done: int, total: int | None, note: str = "") -> None:
        """Tell how far it is.

        total : None where it is not known yet
        """
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total, note=note)
        elif self._as_json:
            # The last step always, so that whoever draws a bar sees it full.
            if self._is_time(_JSON_INTERVAL_S) or done == total:
                event = {"event": "progress", "stage": self._name.lower(), "done": done, "total": total, "note": note}
                print(json.dumps(event), file=sys.stderr, flush=True)
        elif self._last_line_s is None:  # at the first step, not before: what is refused at once is refused in one line
            self._is_time(_LOG_INTERVAL_S)
            print(f"{self._name} ...", file=sys.stderr, flush=True)
        elif self._is_time(_LOG_INTERVAL_S):
            print(f"{self._name}: {done:,}{f' of {total:,}' if total else ''} {note}".rstrip(), file=sys.stderr, flush=True)

    def _is_time(self, interval_s: float) -> bool:
        """Whether the last line is long enough ago; if so, the next one is due an interval from now."""
        now_s = time.monotonic()
        if self._last_line_s is not None and now_s - self._last_line_s < interval_s:
            return False
        self._last_line_s = now_s
        return True


@contextmanager
def stage(name: str, *, as_json: bool = False) -> Iterator[Stage]:
    """Show the progress of a piece of work on standard error while it runs."""
    if as_json or not sys.stderr.isatty():
        yield Stage(name, None, as_json=as_json)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        yield Stage(name, progress)
