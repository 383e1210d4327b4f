"""Which addresses may be called, and why a connection failed. Makes no request."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

LOOPBACK: tuple[Network, ...] = (ipaddress.IPv4Network("127.0.0.0/8"), ipaddress.IPv6Network("::1/128"))
METADATA_SERVICE = ipaddress.IPv4Address("100.100.100.200")
"""Hands out the rights of the machine it is asked from."""

# The standard library's is_private and is_global change between versions and call several of these public.
_DENIED: tuple[Network, ...] = (
    *map(ipaddress.IPv4Network, (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "168.63.129.16/32", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )),
    # Protocol assignments with Teredo among them, documentation, 6to4, documentation again: no receiver has such an address.
    *map(ipaddress.IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")),
)  # fmt: skip
_GLOBAL_IPV6 = ipaddress.IPv6Network("2000::/3")
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


class Reach(NamedTuple):
    """What a client may call: the public addresses and the networks listed, or the metadata service and nothing else."""

    allow: tuple[Network, ...] = ()
    is_for_metadata: bool = False

    def is_listed(self, address: Address) -> bool:
        """Return whether the address may be called though it be private, and without encryption."""
        inner = _unwrapped(address)
        if self.is_for_metadata or inner == METADATA_SERVICE:
            # Whoever lists 100.64.0.0/10 for receivers does not mean to hand them the machine's rights.
            return self.is_for_metadata and inner == METADATA_SERVICE
        return any(inner in network for network in self.allow if network.version == inner.version)

    def may_be_plain(self, host: str) -> bool:
        """Return whether nothing need be encrypted on the way to the host, as far as its name alone shows."""
        address = address_in(host)
        return bool(self.allow) if address is None else self.is_listed(address)

    def may_be_called(self, address: Address) -> bool:
        """Return whether the address may be called as far as the address alone shows."""
        return self.is_listed(address) or not (self.is_for_metadata or _is_denied(address))

    def may_be_dialled(self, address: Address, port: int) -> bool:
        """Return whether the address may be called from this very machine."""
        return self.is_listed(address) or (self.may_be_called(address) and not is_own(address, port))


def address_in(host: str) -> Address | None:
    """Return the address that the host spells out, None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether the host is this machine, as far as its name alone shows."""
    address = address_in(host)
    return host.lower() == "localhost" or (address is not None and Reach(LOOPBACK).is_listed(address))


def certificate_end(certificate: Mapping[str, Any] | None) -> datetime | None:
    """Return when the certificate of a connection is no longer valid; None where there is none."""
    import ssl  # noqa: PLC0415 -- only where something is called

    return datetime.fromtimestamp(ssl.cert_time_to_seconds(certificate["notAfter"]), UTC) if certificate else None


def why_no_connection(error: BaseException | None) -> str:
    """Return why no connection came about, from the innermost cause that says it; empty where none does."""
    import socket  # noqa: PLC0415 -- only where something is called
    import ssl  # noqa: PLC0415 -- the same

    while error is not None:
        match error:
            case ssl.SSLCertVerificationError():
                return f"the TLS certificate is not valid ({error.verify_message.rstrip('.')})"
            case ssl.SSLError():
                return "the TLS handshake failed"
            case ConnectionRefusedError():
                return "connection refused"
            case socket.gaierror():
                return "the host name cannot be resolved"
            case _:
                error = error.__cause__ or error.__context__
    return ""


def is_own(address: Address, port: int) -> bool:
    """Return whether the address is one of this machine's: the kernel then chooses it as the source too. Sends nothing."""
    import socket  # noqa: PLC0415 -- as above

    family = socket.AF_INET if address.version == 4 else socket.AF_INET6  # noqa: PLR2004 -- the version of IP
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((str(address), port))
            return bool(ipaddress.ip_address(probe.getsockname()[0]) == address)
        except OSError:
            return False


def _is_denied(address: Address) -> bool:
    inner = _unwrapped(address)
    if isinstance(inner, ipaddress.IPv6Address) and (inner not in _GLOBAL_IPV6 or inner.scope_id):
        return True
    return any(inner in network for network in _DENIED if network.version == inner.version)


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that a mapped or NAT64 one stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped:
            return address.ipv4_mapped
        if address in _NAT64:
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address
