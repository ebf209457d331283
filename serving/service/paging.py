"""Page tokens of ListAtRisk: where a walk stands, in which snapshot, under which filters."""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from typing import Any

from engine.errors import InvalidArgumentError

# A token is some 150. What is longer is no token: brackets within brackets, or an id that no trailer of a refusal has room for.
_MOST_CHARACTERS = 1024


@dataclass(frozen=True, kw_only=True, slots=True)
class PageToken:
    """Opaque to callers. The snapshot is pinned, so that no customer is lost or seen twice when a newer one appears."""

    snapshot_id: str
    offset: int  # customers on the pages before
    filters: str  # digest of the filters of the request that began the walk

    def encode(self) -> str:
        text = json.dumps([self.snapshot_id, self.offset, self.filters], separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode_page_token(text: str) -> PageToken:
    """raises : InvalidArgumentError, if it is no token of this service"""
    match _decode(text) if len(text) <= _MOST_CHARACTERS else None:
        case [str(snapshot_id), int(offset), str(filters)] if offset > 0:
            return PageToken(snapshot_id=snapshot_id, offset=offset, filters=filters)
    raise InvalidArgumentError(
        "page_token", "is not a token of this service; send next_page_token as it came, or nothing for the first page"
    )


def _decode(text: str) -> Any:
    """The JSON value in a token; None where there is none."""
    try:
        return json.loads(base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True))
    except ValueError:
        return None


def digest_filters(store_id: str | None, threshold: float) -> str:
    """Equal filters have equal digests."""
    return hashlib.sha256(json.dumps([store_id, threshold]).encode()).hexdigest()[:12]
