"""Which addresses may be called, as far as the settings alone show."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit

from spendwatch.settings.values import Network


def objection(url: str, allowed: list[Network]) -> str | None:
    """Return why nothing may be sent there, as far as the settings alone show. The URL is not repeated: it may be a secret."""
    parts = split(url)
    if parts is None or not parts.hostname or parts.scheme not in {"https", "http"}:
        return "not an address that can be called: write https://host/path"
    if parts.username is not None:
        return "secrets do not stand in the configuration: leave user and password out of the address, use secret_file"
    if parts.scheme == "https":
        return None
    try:
        address = ip_address(parts.hostname or "")
    except ValueError:
        is_allowed = bool(allowed)
    else:
        is_allowed = any(address in network for network in allowed if network.version == address.version)
    return None if is_allowed else "plain http is only for networks listed in allow_networks: write https://"


def split(url: str) -> SplitResult | None:
    """Return the parts of an address, or None where it has none that make sense."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts
