"""JSON under a hash: a document of which no byte can change unnoticed.

    {"content_hash": "sha256:…", "content": …}

The hash is that of the content, and the bytes have to be those that would be written again.
"""

from __future__ import annotations

import json
from typing import Any

from engine.files import sha256_bytes


def seal(content: Any) -> bytes:
    """The document of a content of JSON types; NaN raises ValueError."""
    document = {"content_hash": hash_content(content), "content": content}
    return json.dumps(document, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n"


def unseal(data: bytes) -> tuple[str, Any]:
    """The content hash, and the content that it was checked against.

    raises : ValueError, TypeError or KeyError where the bytes are no such document, ValueError where they are not as written
    """
    document = json.loads(data)
    content_hash, content = document["content_hash"], document["content"]
    if hash_content(content) != content_hash or seal(content) != data:
        raise ValueError("it is not as it was written")
    return content_hash, content


def hash_content(content: Any) -> str:
    """ "sha256:…", the same for equal contents."""
    return sha256_bytes(json.dumps(content, sort_keys=True, allow_nan=False, separators=(",", ":")).encode())
