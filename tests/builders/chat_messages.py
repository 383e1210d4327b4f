"""Channels of chat services as the tests open them, and the golden messages.

`python -m chat_messages FOLDER` writes the golden messages anew; read every difference before keeping it.
"""

from __future__ import annotations

import ipaddress
import json
import sys
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from notices import NOW, SAMPLES, ZONE
from robots import SERVICES
from spendwatch.channels.chat import ChatChannel
from spendwatch.channels.config import ChannelConfig
from spendwatch.channels.opening import open_channel
from spendwatch.outgoing import Outgoing

NOWHERE = "http://127.0.0.1:9"
GOLDEN = (
    *((kind, "threshold-overspent", "en") for kind in SERVICES),
    *(("dingtalk", sample, "en") for sample in ("overdue", "overdue-resolved", "digest")),
    ("dingtalk", "threshold", "zh"),
)
_CLIENT = Outgoing((ipaddress.ip_network("127.0.0.0/8"),))
_ADAPTER: TypeAdapter[ChannelConfig] = TypeAdapter(ChannelConfig)


def channel(kind: str, base: str = NOWHERE, **settings: Any) -> ChatChannel[Any]:  # noqa: ANN401 -- settings
    """Return the channel of a service whose robot listens there."""
    service = SERVICES[kind]
    place = {name: value.format(base=base) for name, value in service.settings.items()}
    config = _ADAPTER.validate_python({"type": kind, "timeout": "20s", **place, **settings})
    opened = open_channel("team", config, clients=lambda _way: _CLIENT, zone=ZONE, clock=lambda: NOW)
    assert isinstance(opened, ChatChannel)
    return opened


def golden(kind: str, sample: str, language: str) -> str:
    """Return what a golden file holds: the message with its line breaks."""
    found = json.loads(channel(kind, language=language).render(SAMPLES[sample], ""))
    return json.dumps(found, ensure_ascii=False, indent=1).replace("\\n", "\n") + "\n"


def main(folder: Path) -> None:
    """Write every golden message."""
    for kind, sample, language in GOLDEN:
        (folder / f"{kind}.{sample}.{language}.txt").write_text(golden(kind, sample, language), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
