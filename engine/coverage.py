"""What the chain's log covers: whether nothing seen of a customer means "nothing happened" or "nobody wrote it down"."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from engine.schema import EventKind

_ALWAYS = -(2**63)
_NEVER = 2**63 - 1


@dataclass(frozen=True, kw_only=True, slots=True)
class Coverage:
    """Which sources the log of the whole chain has, and since when.

    since_us      : kind -> instant of the first event of that kind of any customer; a kind that is not in it never occurred
    has_amounts   : some source file brought amounts; else each line counts as 1
    has_discounts : some source file brought discounts

    An instant, and not a flag, so that a score as of the past does not learn that complaints were to come.
    """

    since_us: Mapping[EventKind, int] = field(default_factory=dict)
    has_amounts: bool = True
    has_discounts: bool = True

    def start_us(self, kind: EventKind) -> int:
        """The instant of the chain's first event of a kind; later than any other where there was none."""
        return self.since_us.get(kind, _NEVER)


EVERYTHING = Coverage(since_us=dict.fromkeys(EventKind, _ALWAYS))
