"""Checks the addresses in the configuration, as far as possible without a request."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import SplitResult, urlsplit

from spendwatch.addresses import Network, Reach


def objection(url: str, allowed: Sequence[Network]) -> str | None:
    """Return why nothing may be sent there, as far as the settings alone show. The URL is not repeated: it may be a secret."""
    parts = split(url)
    # `urlsplit` drops line ends: two lines would become one address.
    if parts is None or not parts.hostname or parts.scheme not in {"https", "http"} or len(url.split()) != 1:
        return "not an address that can be called: write https://host/path"
    if parts.username is not None:
        return "secrets do not belong in the configuration: no user and password in the address: use auth and auth_file"
    if parts.scheme == "https" or Reach(tuple(allowed)).may_be_plain(parts.hostname):
        return None
    return "plain http is only for networks listed in allow_networks: write https://, or list its network there"


def split(url: str) -> SplitResult | None:
    """Return the parts of an address; None where it has none."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
