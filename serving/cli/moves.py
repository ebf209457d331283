"""A comparison of two snapshots, for a person and for --json."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from engine.instants import format_instant
from serving.cli.output import console, literal, print_prose, table
from serving.risk import Grade, Tier, tiers

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from serving.snapshots import Comparison, Move, SnapshotManifest

_TIER_STYLES = {Tier.RED: "bold red", Tier.YELLOW: "yellow", Tier.BLUE: "blue"}
# Columns of a terminal from which there is room for as-of and model, which the id of a snapshot tells, too.
_WIDE = 100


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """The comparison as the document that --json prints; counts by grade from R1 to B2, the mean of nobody is null."""
    worse, same, better = _moves(comparison)
    return {
        "before": _describe_side(comparison.before),
        "after": _describe_side(comparison.after),
        "horizon_days": comparison.horizon_days,
        "num_both": comparison.num_both,
        "num_new": int(comparison.came.sum()),
        "num_left": int(comparison.left.sum()),
        "num_to_worse_grade": worse,
        "num_in_same_grade": same,
        "num_to_better_grade": better,
        "mean_churn_probability": {
            "before": _known(comparison.mean_before),
            "after": _known(comparison.mean_after),
            "before_of_both": _known(comparison.mean_before_of_both),
            "after_of_both": _known(comparison.mean_after_of_both),
        },
        "grades": [grade.name for grade in Grade],
        "num_by_grade_before_and_after": comparison.transitions.tolist(),
        "num_new_by_grade": comparison.came.tolist(),
        "num_left_by_grade": comparison.left.tolist(),
        "risen": [_describe_move(move) for move in comparison.risen],
        "fallen": [_describe_move(move) for move in comparison.fallen],
    }


def print_comparison(comparison: Comparison, *, by_grade: bool = False) -> None:
    """The comparison for a person."""
    out = console()
    then, now = comparison.before, comparison.after
    is_wide = out.width >= _WIDE
    rows = [
        _side_row("then", then, comparison.mean_before, is_wide=is_wide),
        _side_row("now", now, comparison.mean_after, is_wide=is_wide),
    ]
    about = (("as of", "left"), ("model", "left")) if is_wide else ()
    out.print(table((("", "left"), ("snapshot", "left"), *about, "customers", "mean risk"), rows))
    out.print(f"[dim]Risk: no purchase within {comparison.horizon_days} days after the as-of.[/]")
    for line in _warnings(comparison):
        print_prose(f"[yellow]Note[/]: {line}")
    worse, same, better = _moves(comparison)
    active = now.inputs.active_within_days
    out.print()
    print_prose(
        f"[bold]{comparison.num_both:,}[/] are in both: mean risk {_percent(comparison.mean_before_of_both)} then, "
        f"{_percent(comparison.mean_after_of_both)} now; {worse:,} moved to a worse grade, {better:,} to a better one, "
        f"{same:,} stayed."
    )
    print_prose(
        f"[bold]{comparison.came.sum():,}[/] are new (active within {active} days for the first time, or again), "
        f"[bold]{comparison.left.sum():,}[/] have left (no longer active, or erased)."
    )
    out.print()
    out.print(_transition_table(comparison, by_grade=by_grade))
    for title, moves in (("Risk rose most", comparison.risen), ("Risk fell most", comparison.fallen)):
        if moves:
            out.print()
            out.print(_move_table(title, moves))


def _side_row(name: str, side: SnapshotManifest, mean: float, *, is_wide: bool) -> tuple[str, ...]:
    about = (format_instant(side.inputs.as_of_us), side.inputs.model_version) if is_wide else ()
    return name, literal(side.snapshot_id), *about, f"{side.num_customers:,}", _percent(mean)


def _transition_table(comparison: Comparison, *, by_grade: bool) -> Any:
    transitions, came, left = comparison.transitions, comparison.came, comparison.left
    names = [_styled(grade.name, grade.tier) for grade in Grade]
    if not by_grade:
        tier = tiers(np.arange(1, len(Grade) + 1, dtype=np.int8))
        # Member[i, j] is 1 where grade i belongs to tier j: sums over grades are products with it.
        member = (tier[:, None] == np.array([*Tier])).astype(np.int64)
        transitions, came, left = member.T @ transitions @ member, came @ member, left @ member
        names = [_styled(one.name.lower(), one) for one in Tier]
    rows = [
        (name, *_counts(counts), *_counts(left[place : place + 1]))
        for place, (name, counts) in enumerate(zip(names, transitions, strict=True))
    ]
    rows.append(("new", *_counts(came), ""))
    return table((("then \\ now", "left"), *names, "left"), rows)


def _move_table(title: str, moves: tuple[Move, ...]) -> Any:
    rows = [
        (
            literal(move.customer_id),
            _percent(move.probability_before),
            _percent(move.probability_after),
            f"{100 * move.change:+.1f}",
            " to ".join(_styled(grade.name, grade.tier) for grade in (move.grade_before, move.grade_after)),
            literal(move.store_id) or "-",
        )
        for move in moves
    ]
    return table((("customer", "left"), "then", "now", "points", ("grade", "left"), ("store", "left")), rows, title=title)


def _warnings(comparison: Comparison) -> list[str]:
    then, now = comparison.before.inputs, comparison.after.inputs
    lines = []
    if then.as_of_us > now.as_of_us:
        lines.append("the first snapshot is later than the second: you may want them the other way round.")
    if then.model_hash != now.model_hash:
        lines.append("two different models scored these; some moves come from the model, not from the customers.")
    if then.horizon_days != now.horizon_days:
        lines.append(
            f"the first snapshot was served at {then.horizon_days} days; its risks and grades here are for {now.horizon_days}."
        )
    return lines


def _moves(comparison: Comparison) -> tuple[int, int, int]:
    """Customers of both: to a worse grade, in the same, to a better one."""
    worse, same = np.tril(comparison.transitions, -1).sum(), np.trace(comparison.transitions)
    return int(worse), int(same), int(comparison.num_both - worse - same)


def _describe_side(manifest: SnapshotManifest) -> dict[str, Any]:
    return {
        "snapshot_id": manifest.snapshot_id,
        "as_of": format_instant(manifest.inputs.as_of_us),
        "model_version": manifest.inputs.model_version,
        "num_customers": manifest.num_customers,
    }


def _describe_move(move: Move) -> dict[str, Any]:
    return {
        "customer_id": move.customer_id,
        "store_id": move.store_id,
        "churn_probability_before": move.probability_before,
        "churn_probability_after": move.probability_after,
        "change": move.change,
        "grade_before": move.grade_before.name,
        "grade_after": move.grade_after.name,
    }


def _counts(values: NDArray[np.int64]) -> list[str]:
    return [f"{value:,}" if value else "-" for value in values]


def _styled(name: str, tier: Tier) -> str:
    return f"[{_TIER_STYLES[tier]}]{name}[/]"


def _percent(probability: float) -> str:
    return f"{100 * probability:.1f} %" if math.isfinite(probability) else "-"


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
