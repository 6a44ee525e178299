"""The address of a collector of traces, as a setting gives it. Pure."""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from meter.runtime.encryption import may_be_plain

# https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
PATH: Final = "/v1/traces"


def check_endpoint(endpoint: str, plaintext_hosts: Collection[str]) -> str:
    """With the path that collectors listen at. Raises ValueError where spans would travel in clear."""
    parts = urlsplit(endpoint)
    if is_plain(endpoint) and not may_be_plain(endpoint_hosts(endpoint), plaintext_hosts):
        raise ValueError("traces_endpoint is without TLS: use https://, or name its host in plaintext_hosts")
    return parts._replace(path=PATH).geturl() if parts.path in ("", "/") else endpoint


def is_plain(endpoint: str) -> bool:
    return urlsplit(endpoint).scheme == "http"


def endpoint_hosts(endpoint: str) -> list[str]:
    return [urlsplit(endpoint).hostname or ""]
