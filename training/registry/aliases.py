"""The aliases of a name: one small file, so that champion, challenger and the way back change together or not at all.

    {"champion": "0003", "challenger": null, "former": ["0001", "0002"], "log": [{"at": …, "action": …, "version": …, …}, …]}

Only `champion` has to be there: a person may write the file by hand.
"""

from __future__ import annotations

import json
import re
import time
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from engine.errors import IntegrityError
from engine.instants import format_instant
from engine.storage import Place, write_json

ALIASES_FILE = "aliases.json"
VERSION = re.compile(r"[0-9]{4,}")
# A year of nightly trainings; the file stays small.
_MOST_FORMER, _MOST_CHANGES = 400, 400

Action = Literal["registered", "promoted", "rolled back"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Change:
    """One line of the log.

    at      : ISO 8601, UTC
    version : what was registered, promoted or gone back to
    alias   : what it became; None for a version that became neither
    reason  : in words
    verdict : the comparison that decided, as JSON types; None where there was none
    """

    at: str
    action: Action
    version: str
    alias: str | None
    reason: str
    verdict: dict[str, Any] | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Aliases:
    """Who serves, who would like to, and who did.

    former : champions before this one, oldest first; a rollback takes the last
    """

    champion: str | None = None
    challenger: str | None = None
    former: tuple[str, ...] = ()
    log: tuple[Change, ...] = field(default=())

    def crowned(self, version: str) -> Aliases:
        """With another champion; the present one can be gone back to."""
        if version == self.champion:
            return self
        former = self.former if self.champion is None else (*self.former, self.champion)
        challenger = None if version == self.challenger else self.challenger
        return replace(self, champion=version, challenger=challenger, former=former[-_MOST_FORMER:])

    def challenged(self, version: str) -> Aliases:
        """With another challenger."""
        return replace(self, challenger=version)

    def rolled_back(self) -> Aliases:
        """With the champion before; there is one."""
        return replace(self, champion=self.former[-1], former=self.former[:-1])

    def logged(
        self, action: Action, version: str, *, alias: str | None, reason: str, verdict: dict[str, Any] | None = None
    ) -> Aliases:
        """With one more line in the log."""
        change = Change(
            at=format_instant(int(time.time()) * 1_000_000),
            action=action,
            version=version,
            alias=alias,
            reason=reason,
            verdict=verdict,
        )
        return replace(self, log=(*self.log, change)[-_MOST_CHANGES:])


def read_aliases(folder: Place) -> Aliases:
    """The aliases of a name's folder; none where there is no file.

    raises : IntegrityError, saying how to mend the file
    """
    path = folder / ALIASES_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Aliases()
    try:
        document = json.loads(data)
        return Aliases(
            champion=_version(document["champion"]),
            challenger=None if document.get("challenger") is None else _version(document["challenger"]),
            former=tuple(_version(version) for version in document.get("former", ())),
            log=tuple(Change(**change) for change in document.get("log", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise IntegrityError(
            f'{path} is damaged ({type(error).__name__}: {error}), expected a JSON object such as {{"champion": "0001"}}; '
            "write that into it, with the version that is to serve, and what else was in it is not needed"
        ) from error


def write_aliases(folder: Place, aliases: Aliases) -> None:
    """Replace the file; whoever reads meanwhile has the old aliases or the new ones."""
    write_json(folder / ALIASES_FILE, asdict(aliases))


def _version(found: object) -> str:
    if not isinstance(found, str) or not VERSION.fullmatch(found):
        raise ValueError(f"found version {found!r}, expected digits such as 0001")
    return found
