"""The catalogue hash: one name for everything that a model's inputs have to agree in, down to their order."""

from __future__ import annotations

import json
from collections.abc import Sequence

from engine.files import sha256_bytes
from engine.indicators import INDICATORS


def catalogue_hash(token_names: Sequence[str], situation_names: Sequence[str]) -> str:
    """ "sha256:…" of the names of tokens and situation columns, and the columns and units of the indicators.

    Wordings and thresholds of indicators are left out: no weight depends on them.
    """
    document = {
        "tokens": list(token_names),
        "situation": list(situation_names),
        "indicators": [(column.name, indicator.unit) for indicator in INDICATORS for column in indicator.columns],
    }
    return sha256_bytes(json.dumps(document, separators=(",", ":")).encode())
