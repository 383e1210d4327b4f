"""Creates the channel for given settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import tzinfo
from typing import Any

from spendwatch.addresses import Network
from spendwatch.channels.channel import Channel
from spendwatch.channels.config import KINDS, ChannelConfig
from spendwatch.connection import Connection, Way
from spendwatch.domain.period import Clock
from spendwatch.fields import imported
from spendwatch.request import HttpPoster


def open_channel(
    name: str,
    config: ChannelConfig,
    *,
    clients: Callable[[Way], HttpPoster],
    zone: tzinfo,
    clock: Clock,
    allow_networks: Sequence[Network] = (),
) -> Channel[Any]:
    """Return the channel that the settings describe; `allow_networks` may get mail without encryption if they say so."""
    if config.type == "email":
        from spendwatch.channels.email import EmailChannel  # noqa: PLC0415 -- only what is configured is imported
        from spendwatch.channels.oauth2 import AccessTokens  # noqa: PLC0415 -- the same

        tokens = AccessTokens(config.auth.oauth2, clients(config.auth.oauth2.way)) if config.auth else None
        return EmailChannel(config, name, zone=zone, allow_networks=allow_networks, tokens=tokens)
    opened = imported(f"{__package__}.{KINDS[config.type][1]}")
    over_http = {"clock": clock, "client": clients(config.way)} if isinstance(config, Connection) else {}
    channel: Channel[Any] = opened(config, name, zone=zone, **over_http)
    return channel
