"""Places: what a local path and a remote one have in common, and how text becomes one of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol, Self
from urllib.parse import unquote, urlsplit

from engine.errors import InvalidArgumentError
from engine.files import is_utf8
from engine.storage.address import SCHEMES, parse_address
from engine.storage.remote import RemotePath

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_COLLAPSED = re.compile(r"[a-z][a-z0-9+.-]+:")


class Place(Protocol):
    """A file or folder of a store: the part of `pathlib.Path` that the rooms use, which `RemotePath` has, too."""

    @property
    def name(self) -> str: ...
    @property
    def stem(self) -> str: ...
    @property
    def parent(self) -> Self: ...
    def __truediv__(self, name: str, /) -> Self: ...
    def __lt__(self, other: Self, /) -> bool: ...
    def with_name(self, name: str, /) -> Self: ...
    def with_suffix(self, suffix: str, /) -> Self: ...
    def resolve(self) -> Self: ...
    def exists(self) -> bool: ...
    def is_file(self) -> bool: ...
    def is_dir(self) -> bool: ...
    def iterdir(self) -> Iterator[Self]: ...
    def glob(self, pattern: str, /) -> Iterator[Self]: ...
    def read_bytes(self) -> bytes: ...
    def unlink(self, missing_ok: bool = False) -> None: ...
    def rename(self, target: Self, /) -> Self: ...
    def mkdir(self, *, exist_ok: bool = False) -> None: ...


StoreLike = str | Place
"""A store as callers name it: a folder, or a URI as text."""


def resolve(store: StoreLike) -> Place:
    """The place that a path or a URI names. Nothing is asked of an endpoint yet.

    raises : InvalidArgumentError for a scheme that there is not, a secret in the URI, an option that it does not take, or a name
             that is not UTF-8
    """
    if not isinstance(store, str):
        if isinstance(store, Path) and store.parts and _COLLAPSED.fullmatch(store.parts[0]):
            raise InvalidArgumentError("store", f"found the path {store}, which looks like a URI; give a URI as text")
        _check_name(store)
        return store
    match = _SCHEME.match(store)
    if match is None:
        _check_name(store)
        return Path(store)
    scheme = match[1].lower()
    if scheme == "file":
        return _local(store)
    if scheme not in SCHEMES:
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise InvalidArgumentError("store", f"found scheme {scheme}://, expected a folder, file://, or one of {known}")
    return RemotePath(parse_address(store))


def _check_name(store: str | Place) -> None:
    if not isinstance(store, RemotePath) and not is_utf8(str(store)):
        raise InvalidArgumentError("store", f"found {str(store)!r}, a name that is not UTF-8; rename the folder")


def _local(uri: str) -> Path:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise InvalidArgumentError("store", f"found file://{parts.hostname}/, expected file:/// and an absolute path")
    return Path(unquote(parts.path))
