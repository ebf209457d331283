"""What is searched: one table, from which the search, the help and docs/tuning.md are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from engine.errors import InvalidArgumentError
from training.config import TrainConfig

Values = dict[str, float | int]
# The head is this many times as wide as the state, as by default: searched apart they did the same work twice.
_HEAD_OF_STATE = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Setting:
    """One dimension of the search; `low` and `high` are within it.

    is_whole : whether values are whole numbers
    is_log   : whether twice as much is the same step everywhere
    step     : between neighbours; None for any value
    reason   : why this range
    """

    name: str
    low: float
    high: float
    is_whole: bool = False
    is_log: bool = False
    step: int | None = None
    reason: str

    @property
    def range_text(self) -> str:
        scale = ", log" if self.is_log else f", in steps of {self.step}" if self.step else ""
        return f"{self.low:g} to {self.high:g}{scale}"


SPACE: tuple[Setting, ...] = (
    Setting(
        name="learning_rate",
        low=5e-4,
        high=8e-3,
        is_log=True,
        reason="four times either side of the default: below, there are too few epochs; above, every gradient is clipped",
    ),
    Setting(
        name="weight_decay",
        low=1e-3,
        high=0.5,
        is_log=True,
        reason="from negligible to ten times the default, for chains that the model overfits",
    ),
    Setting(
        name="state_size",
        low=8,
        high=96,
        is_whole=True,
        step=8,
        reason="from what 400 customers support to twice the default, at four times the scoring cost; the head is twice as wide",
    ),
    Setting(
        name="dropout",
        low=0.0,
        high=0.5,
        reason="none for large chains; above one half, the head no longer learns from 30 indicators",
    ),
    Setting(
        name="batch_customers",
        low=16,
        high=128,
        is_whole=True,
        is_log=True,
        reason="below, steps cost more on a CPU than they teach; above, an epoch of a small chain is a handful of steps",
    ),
    Setting(
        name="horizon_weight",
        low=0.0,
        high=4.0,
        reason="from the likelihood of all horizons alone to mostly the requested horizon",
    ),
    Setting(
        name="learn_days",
        low=60,
        high=540,
        is_whole=True,
        is_log=True,
        reason="from a season to a year and a half: chains change at different speeds (at least four horizons are used)",
    ),
)
"""Not searched: the number of epochs, which every trial takes from its own validation curve; how many instants are drawn, which
trades time for noise; the moving average, which the number of steps decides."""

_OF_MODEL = ("state_size", "dropout")


def values_of(config: TrainConfig) -> Values:
    """The searched settings of a configuration.

    raises : InvalidArgumentError where one is outside the search, which could then not begin with it
    """
    values = {}
    for setting in SPACE:
        value = getattr(config.model if setting.name in _OF_MODEL else config, setting.name)
        if not setting.low <= value <= setting.high or (setting.step and (value - setting.low) % setting.step):
            raise InvalidArgumentError(
                setting.name, f"found {value:g}, expected what is searched: {setting.range_text}; tuning begins with it"
            )
        values[setting.name] = value
    if config.model.head_size != _HEAD_OF_STATE * config.model.state_size:
        raise InvalidArgumentError(
            "head_size",
            f"found {config.model.head_size}, expected twice the state of {config.model.state_size}, as in the search",
        )
    return values


def with_values(config: TrainConfig, values: Mapping[str, float | int]) -> TrainConfig:
    """The configuration with these settings, which neither the number of customers nor a trial of another rate changes any more.

    raises : InvalidArgumentError for a value out of the limits of TrainConfig
    """
    own = {name: value for name, value in values.items() if name not in _OF_MODEL}
    state_size = int(values["state_size"])
    model = replace(config.model, state_size=state_size, head_size=_HEAD_OF_STATE * state_size, dropout=float(values["dropout"]))
    return replace(config, model=model, adapt_size=False, adapt_rate=False, **own)  # type: ignore[arg-type]


def describe_space() -> list[dict[str, Any]]:
    """The search as JSON types, without the reasons: studies of the same are one study."""
    return [
        {"name": one.name, "low": one.low, "high": one.high, "whole": one.is_whole, "log": one.is_log, "step": one.step}
        for one in SPACE
    ]


def space_as_markdown() -> str:
    """The table of docs/tuning.md."""
    usual = values_of(TrainConfig())
    rows = [f"| `{one.name}` | {one.range_text} | {usual[one.name]:g} | {one.reason} |" for one in SPACE]
    return "\n".join(["| setting | searched | default | why |", "|---|---|---|---|", *rows])


def space_as_help() -> str:
    """A line for each setting."""
    width = max(len(one.name) for one in SPACE)
    return "\n".join(f"  {one.name:{width}}  {one.range_text}" for one in SPACE)
