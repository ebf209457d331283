"""What a back-test found: one window for each origin and horizon, those of one horizon pooled, and the walk through time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from engine.history import History
from engine.instants import format_instant
from training.backtest.config import BacktestConfig
from training.backtest.judging import Judgement
from training.backtest.value import ValueJudgement
from training.evaluation.lead_time import Walk
from training.evaluation.segments import Traits, join_traits


@dataclass(frozen=True, kw_only=True, slots=True)
class Window:
    """Everybody who was eligible at one origin, what every model said of one horizon, and what happened in it.

    customer_ids : string[n]
    churned      : bool[n]
    probability  : by model ("ebbtide" first), float64[n]
    bundle       : what was trained, or the given bundle: its version and content hash where it has them
    details      : by baseline, how it was fitted where that is not always the same
    """

    as_of_us: tuple[int, ...]
    horizon_days: int
    customer_ids: pa.Array
    churned: NDArray[np.bool_]
    probability: dict[str, NDArray[np.float64]]
    traits: Traits
    bundle: dict[str, Any]
    details: dict[str, dict[str, Any]]

    @property
    def customer(self) -> NDArray[np.int64]:
        """int64[n] from 0 up: the same number for the same customer."""
        codes = pc.dictionary_encode(self.customer_ids).indices
        return np.asarray(codes, np.int64)


def pool(windows: Sequence[Window]) -> Window:
    """The windows of one horizon, one after the other; `as_of_us` holds all origins, `bundle` is that of the last."""
    if len(windows) == 1:
        return windows[0]
    return Window(
        as_of_us=tuple(instant for window in windows for instant in window.as_of_us),
        horizon_days=windows[0].horizon_days,
        customer_ids=pa.concat_arrays([window.customer_ids for window in windows]),
        churned=np.concatenate([window.churned for window in windows]),
        probability={name: np.concatenate([window.probability[name] for window in windows]) for name in windows[0].probability},
        traits=join_traits([window.traits for window in windows]),
        bundle=windows[-1].bundle,
        details={},
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class DataDescription:
    """What was measured on."""

    history_hash: str
    first_order: str
    last_order: str
    num_customers: int
    num_orders: int
    integer_ids: bool

    @classmethod
    def of(cls, history: History) -> DataDescription:
        manifest = history.manifest
        return cls(
            history_hash=history.manifest_hash,
            first_order="" if manifest.first_order_us is None else format_instant(manifest.first_order_us),
            last_order="" if manifest.last_order_us is None else format_instant(manifest.last_order_us),
            num_customers=manifest.num_customers,
            num_orders=manifest.num_orders,
            integer_ids=manifest.customer_id_type == "integer",
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Backtest:
    """What a back-test found.

    windows, judgements : of each origin and horizon, by horizon as in the config and then by origin
    pooled              : of each horizon, with its judgement
    value               : how well spend was foreseen, by number of days ascending
    walk                : None where the history does not allow one, for the reason in `no_walk`
    """

    config: BacktestConfig
    data: DataDescription
    windows: tuple[Window, ...]
    judgements: tuple[Judgement, ...]
    pooled: tuple[tuple[Window, Judgement], ...]
    value: tuple[ValueJudgement, ...]
    walk: Walk | None
    no_walk: str | None

    @property
    def metrics(self) -> dict[str, dict[str, float]]:
        """By model and metric, over all origins, at the horizon that was trained for."""
        return self.pooled[0][1].metrics

    @property
    def predictions(self) -> pa.Table:
        """customer_id, churn_probability (of ebbtide), churned, as_of, horizon_days; a row for each customer of each window."""
        table = pa.concat_tables([_predictions(window) for window in self.windows])
        return _with_integer_ids(table) if self.data.integer_ids else table


def _with_integer_ids(table: pa.Table) -> pa.Table:
    try:
        return table.set_column(0, "customer_id", pc.cast(table["customer_id"], pa.int64()))
    except pa.ArrowInvalid:  # a history of before may count unsigned ids beyond int64 among its integers: they stay texts
        return table


def _predictions(window: Window) -> pa.Table:
    size = len(window.churned)
    return pa.table(
        {
            "customer_id": window.customer_ids,
            "churn_probability": window.probability["ebbtide"],
            "churned": window.churned,
            "as_of": pa.array(np.full(size, window.as_of_us[0]), pa.timestamp("us", tz="UTC")),
            "horizon_days": pa.array(np.full(size, window.horizon_days), pa.int32()),
        }
    )
