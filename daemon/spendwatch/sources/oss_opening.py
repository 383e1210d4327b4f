"""Which bucket belongs to which settings. Nothing that speaks to one is loaded before there is one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from spendwatch.domain.period import Clock
from spendwatch.domain.statement import SourceName
from spendwatch.sources.credentials import Credentials
from spendwatch.sources.fetching import HttpClient
from spendwatch.sources.oss_settings import OssConfig

if TYPE_CHECKING:
    from spendwatch.sources.oss import OssSource


def open_oss(
    name: SourceName,
    place: Path,
    config: OssConfig,
    credentials: Credentials,
    *,
    client: HttpClient,
    clock: Clock,
    monotonic: Callable[[], float],
) -> OssSource:
    """Return the source that the settings describe; it keeps its files below `place`. Nothing is asked yet."""
    from spendwatch.sources.oss import OssSource  # noqa: PLC0415 -- few have a bucket
    from spendwatch.sources.oss_client import OssClient  # noqa: PLC0415 -- the same

    return OssSource(name, place, OssClient(client, credentials, config, clock=clock), config, monotonic=monotonic)
