"""Connections: the pyarrow filesystem of an address, made once per process, with bounded waiting and errors in words.

S3 takes its endpoint and credentials as the AWS tools do: AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, a profile,
or the machine's role; AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL; AWS_REGION or AWS_DEFAULT_REGION; AWS_CA_BUNDLE.
"""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.fs as pafs

from engine.errors import InvalidArgumentError, RemoteError
from engine.storage.address import Address

CONNECT_TIMEOUT_S = 5.0
REQUEST_TIMEOUT_S = 10.0  # without a byte; a slow transfer may take longer
MAX_ATTEMPTS = 3

# What decides how S3 is reached: a change of one makes another connection.
_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_REGION",
    "AWS_DEFAULT_REGION",
    "AWS_CA_BUNDLE",
)
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_REFUSALS = (
    "ACCESS_DENIED",
    "INVALID_ACCESS_KEY_ID",
    "INVALID_CLIENT_TOKEN_ID",
    "INVALID_SIGNATURE",
    "MISSING_AUTHENTICATION_TOKEN",
    "SIGNATURE_DOES_NOT_MATCH",
    "UNRECOGNIZED_CLIENT",
)
_connecting = threading.Lock()


def connect(address: Address) -> pafs.FileSystem:
    """The filesystem of an address; the first call of a process asks whether the bucket is there.

    raises : RemoteError where the endpoint does not answer or the bucket is not there; InvalidArgumentError for bad settings
    """
    environment = tuple(os.environ.get(name, "") for name in _VARIABLES) if address.scheme == "s3" else ()
    with _connecting:
        return _connect(address.scheme, address.authority, address.bucket, address.options, environment)


@contextmanager
def told_in_words(address: Address, doing: str) -> Iterator[None]:
    """Make what pyarrow raises a RemoteError that says what to check; a file that is not there stays FileNotFoundError."""
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, pa.ArrowException) as error:
        # Without the cause: an endpoint's own words may repeat parts of a request that are nobody's business.
        raise RemoteError(f"{doing} {address.uri}: {_explain(address, str(error))}") from None


@lru_cache(maxsize=16)
def _connect(
    scheme: str, authority: str, bucket: str, options: tuple[tuple[str, str], ...], environment: tuple[str, ...]
) -> pafs.FileSystem:
    root = Address(scheme=scheme, authority=authority, key=bucket, options=options)
    with told_in_words(root, "cannot reach"):
        if scheme == "s3":
            filesystem = _connect_s3(root, dict(zip(_VARIABLES, environment, strict=True)))
        else:
            separator = "&" if options else "?"
            limit = f"{separator}retry_limit_seconds={REQUEST_TIMEOUT_S:g}" if scheme == "gs" else ""
            filesystem, _ = pafs.FileSystem.from_uri(root.uri + limit)
    if bucket:
        _check_bucket(filesystem, root)
    return filesystem


def _connect_s3(root: Address, environment: dict[str, str]) -> pafs.FileSystem:
    options = dict(root.options)
    endpoint = options.get("endpoint_override") or environment["AWS_ENDPOINT_URL_S3"] or environment["AWS_ENDPOINT_URL"]
    scheme = options.get("scheme")
    if "://" in endpoint:
        parts = urlsplit(endpoint)
        if "@" in parts.netloc or parts.query or parts.path.strip("/") or parts.scheme not in ("http", "https"):
            raise InvalidArgumentError("endpoint", "found more than http(s)://HOST:PORT; give the address of the endpoint alone")
        scheme, endpoint = scheme or parts.scheme, parts.netloc
    region = options.get("region") or environment["AWS_REGION"] or environment["AWS_DEFAULT_REGION"]
    if not region and not endpoint:
        region = pafs.resolve_s3_region(root.bucket)
    return pafs.S3FileSystem(
        region=region or None,
        endpoint_override=endpoint or None,
        scheme=scheme or "https",
        force_virtual_addressing=options.get("force_virtual_addressing") == "true",
        tls_ca_file_path=environment["AWS_CA_BUNDLE"] or None,
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=REQUEST_TIMEOUT_S,
        retry_strategy=pafs.AwsStandardS3RetryStrategy(max_attempts=MAX_ATTEMPTS),
        allow_delayed_open=True,  # so that a small file is one request
    )


def _check_bucket(filesystem: pafs.FileSystem, root: Address) -> None:
    """Reading from a bucket that is not there looks like reading a file that is not there: ask once."""
    try:
        info = filesystem.get_file_info(root.bucket)
    except OSError as error:
        if "ACCESS_DENIED" in str(error):
            return  # whoever may read one prefix only must not ask about the bucket; the first file will tell
        raise RemoteError(f"cannot reach {root.uri}: {_explain(root, str(error))}") from None
    if info.type == pafs.FileType.NotFound:
        raise RemoteError(f"cannot reach {root.uri}: {_no_bucket(root)}")


def _explain(address: Address, text: str) -> str:
    for name in _SECRET_VARIABLES:
        if secret := os.environ.get(name):
            text = text.replace(secret, "…")
    found = re.search(r"AWS Error ([A-Z_]+)(?: \(HTTP status (\d+)\))?", text)
    code = " ".join(part for part in found.groups() if part) if found else ""
    if "NO_SUCH_BUCKET" in code:
        return _no_bucket(address)
    if any(refusal in code for refusal in _REFUSALS) or re.search(r"\b40[13]\b", code) or "InvalidAccessKeyId" in text:
        return (
            f"the endpoint refuses the credentials, or they may not do this ({code}); check AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and the rights on the bucket"
        )
    if "NETWORK_CONNECTION" in code:
        details = re.search(r"curlCode: (.*?)(?:; Details|$)", text)
        return (
            f"the endpoint does not answer ({details[1] if details else code}); check AWS_ENDPOINT_URL_S3 or endpoint_override "
            "and the network, then run this again"
        )
    first_line = text.strip().partition("\n")[0][:300]
    return f"the endpoint failed ({code or first_line}); check the address and the endpoint's state, then run this again"


def _no_bucket(address: Address) -> str:
    return f"there is no bucket {address.bucket}; create it, or check its name and the endpoint"
