"""The trial pass: what a model promises for the last horizon before the as-of, which it has not seen.

Training takes from it how many epochs serve best and how the curves are to be calibrated; tuning compares settings by it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.activity import DailyActivity, measure_activity
from engine.errors import AsOfError
from engine.history import History
from engine.instants import DAY_US, format_instant, next_midnight
from engine.partition import Partition
from training.config import TrainConfig
from training.data.past import take_past
from training.data.purchases import anybody_came_back
from training.device import CPU, Compute
from training.fitting import ALONE, Epoch, Standing, Workers, fit_weights
from training.inference import FittedModel
from training.passes.window import Window

# Fewer teach a model of thousands of weights nothing that days since the last purchase do not say.
LEAST_TO_LEARN_FROM = 20
_UNTIL_THEN = "; until then go by the baseline recency: `ebbtide indicators --all` has everybody's recency_days"
# Of the cross entropy; between epochs of a training that does not overfit it wavers by half of this.
_CLEARLY_BETTER = 0.99
# The same of two passes, whose difference on one window has a standard error of .1 to .5 %.
_BETTER_BY_MORE_THAN_CHANCE = 0.995
_FASTER = 3.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Prepared:
    """What is learnt from, and the window to be judged on.

    past, earlier : events before the as-of, and before the window
    config        : sized for the customers that there are
    """

    past: Partition
    earlier: Partition
    activity: DailyActivity
    config: TrainConfig
    window: Window
    as_of_us: int
    held_out_us: int


def prepare(history: History, *, as_of_us: int, config: TrainConfig) -> Prepared:
    """Read what was known strictly before an instant.

    raises : AsOfError where the past is too short, or too few customers were active in it, to learn from
    """
    history.check_as_of(as_of_us)
    past = take_past(history.partitions(), before_us=as_of_us, max_events=config.max_events, seed=config.seed)
    config = config.sized_for(past.num_customers)
    activity = measure_activity([past])
    held_out_us = as_of_us - config.horizon_days * DAY_US
    window = Window(past, activity, config, held_out_us=held_out_us, as_of_us=as_of_us)
    earlier = take_past([past], before_us=held_out_us)
    _check_can_learn(
        earlier,
        window,
        config,
        first_us=int(past.timestamp_us.min()),
        log_ends_us=next_midnight(history.manifest.last_order_us or as_of_us),  # without an order no as-of is possible
        held_out_us=held_out_us,
        as_of_us=as_of_us,
    )
    return Prepared(
        past=past,
        earlier=earlier,
        activity=activity,
        config=config,
        window=window,
        as_of_us=as_of_us,
        held_out_us=held_out_us,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class TrialPass:
    """What came of it, epoch by epoch.

    config     : what it learns by, and the final pass after it; None where no pass was made
    losses     : cross entropy on the window with its level set right (`Window.loss`), nats per customer
    best, last : models after the epoch of the lowest of them, and after the newest
    """

    config: TrainConfig | None = None
    losses: tuple[float, ...] = ()
    best: FittedModel | None = None
    last: FittedModel | None = None

    @property
    def num_epochs(self) -> int:
        """How many serve best."""
        return choose_epochs(self.losses)

    @property
    def loss(self) -> float:
        """After so many."""
        return self.losses[self.num_epochs - 1]

    @property
    def chosen(self) -> FittedModel:
        """The model after so many."""
        model = self.last if self.num_epochs == len(self.losses) else self.best
        assert model is not None
        return model

    def after(self, model: FittedModel, loss: float) -> TrialPass:
        """With one more epoch."""
        losses = (*self.losses, loss)
        best = model if int(np.argmin(losses)) == len(losses) - 1 else self.best
        return TrialPass(config=self.config, losses=losses, best=best, last=model)

    def is_over(self, config: TrainConfig) -> bool:
        """Whether all epochs are done, or in the second half of them it got clearly worse for so long that no more are needed.

        In the first half the learning rate climbs and the moving average fills up: the second epoch of twelve was the best of
        five by chance, and a model that had hardly learnt took the place of a good one (docs/log.md).
        """
        num_done = len(self.losses)
        return num_done >= config.num_epochs or (
            2 * num_done > config.num_epochs and got_worse(self.losses, config.patience_epochs)
        )


def run_trial_pass(
    prepared: Prepared,
    config: TrainConfig | None = None,
    *,
    on_epoch: Callable[[Epoch, TrialPass], bool | None],
    compute: Compute = CPU,
    workers: Workers = ALONE,
    start: tuple[Standing, TrialPass] | None = None,
) -> TrialPass:
    """Learn from what was before the window, and judge every epoch on it; ends early where it gets worse and worse.

    config   : to learn by, in place of what was prepared; it asks the same of the same customers
    on_epoch : called with the epoch and the pass so far; True ends the pass there
    start    : of a pass that was cut off, to go on from
    """
    config = prepared.config if config is None else config
    done = TrialPass(config=config) if start is None else start[1]
    if done.is_over(config):
        return done

    def after_epoch(epoch: Epoch) -> bool:
        nonlocal done
        # The others would compute the same, or on another kind of machine nearly the same: one has to say how many epochs to do.
        loss = prepared.window.loss(epoch.model) if workers.rank == 0 else math.nan
        done = done.after(epoch.model, workers.agree(loss))
        return bool(on_epoch(epoch, done)) or done.is_over(config)

    fit_weights(
        prepared.earlier,
        prepared.activity,
        config,
        known_until_us=prepared.held_out_us,
        on_epoch=after_epoch,
        compute=compute,
        workers=workers,
        start=None if start is None else start[0],
    )
    return done


def rates_to_try(config: TrainConfig) -> list[TrainConfig]:
    """What trial passes learn by, one after the other: as it is set, and faster.

    The default rate serves chains whose customers buy at random. Where they buy by a clock of their own, daily or once a year,
    it left the sharp edges unlearnt that such clocks have, and boosted trees were ahead (docs/log.md).
    """
    if not config.adapt_rate:
        return [config]
    return [config, replace(config, learning_rate=min(1.0, _FASTER * config.learning_rate))]


def choose_pass(first: TrialPass, second: TrialPass) -> TrialPass:
    """The first, unless the held-out window is better served by the second.

    Where it is so by no more than chance, the final pass is to learn at a rate between those of the two, which no chain was much
    worse served by than by the better of them (docs/log.md).
    """
    if not second.loss < first.loss:
        return first
    if second.loss < _BETTER_BY_MORE_THAN_CHANCE * first.loss:
        return second
    assert first.config is not None
    assert second.config is not None
    between = math.sqrt(first.config.learning_rate * second.config.learning_rate)
    return replace(second, config=replace(second.config, learning_rate=between))


def choose_epochs(losses: Sequence[float]) -> int:
    """How many epochs to do: all of them, unless the held-out window was clearly better served by fewer."""
    best = int(np.argmin(losses))
    return best + 1 if losses[best] < _CLEARLY_BETTER * losses[-1] else len(losses)


def got_worse(losses: Sequence[float], patience_epochs: int) -> bool:
    """Whether each of so many last epochs was clearly worse than the best before them."""
    newest = losses[-patience_epochs:]
    return len(losses) > patience_epochs and min(losses) < _CLEARLY_BETTER * min(newest)


def _check_can_learn(
    earlier: Partition,
    window: Window,
    config: TrainConfig,
    *,
    first_us: int,
    log_ends_us: int,
    held_out_us: int,
    as_of_us: int,
) -> None:
    as_of, horizon_days = format_instant(as_of_us), config.horizon_days
    # What is known before the held-out window has to reach back a horizon at least, or no outcome is known to its end.
    num_days = (held_out_us - int(earlier.timestamp_us.min())) / DAY_US if earlier.num_events else 0.0
    if num_days < horizon_days:
        earliest_us = next_midnight(first_us) + 2 * horizon_days * DAY_US
        once = "" if earliest_us <= log_ends_us else ", once the log goes as far"
        raise AsOfError(
            f"as-of {as_of}: found {math.floor(num_days)} days of events before {format_instant(held_out_us)}, where the last "
            f"horizon begins, expected at least {horizon_days}: one horizon to learn from and one to check with; choose an "
            f"as-of from {format_instant(earliest_us)} on{once}, or a shorter horizon{_UNTIL_THEN}"
        )
    if len(window.queries) == 0:
        raise AsOfError(
            f"as-of {as_of}: found no customer with a purchase in the {config.active_within_days} days before "
            f"{format_instant(held_out_us)}, where the last horizon begins, expected some to learn from; choose another as-of, "
            f"or a longer --active-within-days{_UNTIL_THEN}"
        )
    if earlier.num_customers < LEAST_TO_LEARN_FROM:
        raise AsOfError(
            f"as-of {as_of}: found {earlier.num_customers} customers with an event before {format_instant(held_out_us)}, where "
            f"the last horizon begins, expected at least {LEAST_TO_LEARN_FROM} to learn from; choose a later as-of, once there "
            f"are more, or a shorter horizon{_UNTIL_THEN}"
        )
    # Of those alone who never came back nothing can be learnt but that nobody does: everybody would be at the same risk.
    if not anybody_came_back(earlier):
        raise AsOfError(
            f"as-of {as_of}: found {earlier.num_customers:,} customers before {format_instant(held_out_us)}, where the last "
            f"horizon begins, none of whom had bought on a second day by then, expected some who came back to learn from; choose "
            f"a later as-of, once some have, or a shorter horizon{_UNTIL_THEN}"
        )
