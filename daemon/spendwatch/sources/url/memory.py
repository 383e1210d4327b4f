"""What is known of an endpoint's file across restarts: its last version, and an unfinished download."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime

from spendwatch.domain.period import STAMP

_TEXTS = ("etag", "last_modified", "digest", "part_etag", "named_at")


@dataclass(frozen=True, slots=True)
class UrlMemory:
    """The validators and the digest of the version that was taken; the version and the safe size of a part."""

    of: str
    """A digest of the URL: what is known of another one is of no use."""
    etag: str = ""
    last_modified: str = ""
    digest: str = ""
    part_etag: str = ""
    part_size: int = 0
    """So much of it has reached the disk."""
    named_at: str = ""
    """The time in the name of the file that was offered last, where that name is ours."""

    @classmethod
    def read(cls, found: Mapping[str, object], url: str) -> UrlMemory:
        """Return what was remembered of this URL, as far as it can be read."""
        of = hashlib.sha256(url.encode()).hexdigest()
        if found.get("of") != of:
            return cls(of)
        etag, last_modified, digest, part_etag, named_at = (str(found.get(name) or "") for name in _TEXTS)
        size = found.get("part_size")
        is_size = isinstance(size, int) and not isinstance(size, bool) and size > 0 and part_etag != ""
        return cls(
            of, etag, last_modified, digest, part_etag, size if is_size and isinstance(size, int) else 0, _moment(named_at)
        )

    def written(self) -> dict[str, object]:
        """Return it as JSON holds it."""
        return asdict(self)


def _moment(stamp: str) -> str:
    """Return the stamp if it is one."""
    try:
        datetime.strptime(stamp, STAMP)  # noqa: DTZ007 -- only asked whether it is one
    except ValueError:
        return ""
    return stamp
