"""Addresses: a URI taken apart, with every option allowed by name and no secret anywhere in it."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from engine.errors import InvalidArgumentError

# Which options a URI may carry, by scheme. None of them is a secret: those come from the environment or the machine's role.
_OPTIONS = {
    "s3": ("endpoint_override", "force_virtual_addressing", "region", "scheme"),
    "gs": ("endpoint_override", "scheme"),
    "hdfs": ("replication",),
}
SCHEMES = tuple(_OPTIONS)
_NO_SECRET = (
    "leave credentials out of the URI, where logs and process lists show them: S3 takes AWS_ACCESS_KEY_ID and "
    "AWS_SECRET_ACCESS_KEY, a profile, or the machine's role"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where a file or folder lies.

    scheme    : one of SCHEMES
    authority : hdfs: host and port; gs: "anonymous@" or nothing; s3: nothing
    key       : path without slashes at its ends; of s3 and gs the first component is the bucket
    options   : (name, value) of the URI's query, ascending
    """

    scheme: str
    authority: str
    key: str
    options: tuple[tuple[str, str], ...]

    @property
    def bucket(self) -> str:
        """The bucket; empty for hdfs."""
        return "" if self.scheme == "hdfs" else self.key.partition("/")[0]

    @property
    def path(self) -> str:
        """The path as pyarrow's filesystem takes it."""
        return f"/{self.key}" if self.scheme == "hdfs" else self.key

    @property
    def uri(self) -> str:
        """The URI that names this place and no secret; `parse_address` of it gives the same."""
        separator = "/" if self.scheme == "hdfs" else ""
        query = f"?{urlencode(self.options)}" if self.options else ""
        return f"{self.scheme}://{self.authority}{separator}{quote(self.key, safe='/=')}{query}"


def parse_address(uri: str) -> Address:
    """raises : InvalidArgumentError; its message never repeats what may be a secret"""
    parts = urlsplit(uri)
    scheme = parts.scheme.lower()
    user, _, host = parts.netloc.rpartition("@")
    may_have_user = scheme == "hdfs" or (scheme, user) == ("gs", "anonymous")
    if user and (":" in user or not may_have_user):
        raise InvalidArgumentError("store", f"found a user or key before the @ of a {scheme}:// URI; {_NO_SECRET}")
    options = parse_qsl(parts.query, keep_blank_values=True)
    unknown = sorted({name for name, _ in options} - set(_OPTIONS[scheme]))
    if unknown:
        allowed = ", ".join(_OPTIONS[scheme])
        raise InvalidArgumentError(
            "store", f"found option {', '.join(unknown)} in a {scheme}:// URI, expected {allowed}; {_NO_SECRET}"
        )
    if any("@" in value for _, value in options):
        raise InvalidArgumentError("store", f"found an @ in the options of a {scheme}:// URI; {_NO_SECRET}")
    if parts.fragment:
        raise InvalidArgumentError("store", f"found a # in a {scheme}:// URI, expected it as %23")
    path = "/".join(part for part in unquote(parts.path).split("/") if part)
    key = path if scheme == "hdfs" else f"{host}/{path}".strip("/")
    if any(part in (".", "..") for part in key.split("/")):
        raise InvalidArgumentError("store", f"found . or .. in a {scheme}:// URI, expected the path itself")
    if not host and scheme != "hdfs":
        raise InvalidArgumentError("store", f"found no bucket in a {scheme}:// URI, expected {scheme}://BUCKET/PATH")
    authority = parts.netloc if scheme == "hdfs" else f"{user}@" if user else ""
    return Address(scheme=scheme, authority=authority, key=key, options=tuple(sorted(options)))
