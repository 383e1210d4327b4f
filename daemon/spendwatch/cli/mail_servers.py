"""Guesses the mail server of an address: by its domain, or by who receives the domain's mail (its MX records)."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

_BY_DOMAIN = {
    "gmail.com": "smtp.gmail.com:465",
    "googlemail.com": "smtp.gmail.com:465",
    "qq.com": "smtp.qq.com:465",
    "foxmail.com": "smtp.qq.com:465",
    "163.com": "smtp.163.com:465",
    "126.com": "smtp.126.com:465",
    "yeah.net": "smtp.yeah.net:465",
    "sina.com": "smtp.sina.com:465",
    "139.com": "smtp.139.com:465",
    "aliyun.com": "smtp.aliyun.com:465",
    "outlook.com": "smtp-mail.outlook.com:587",
    "hotmail.com": "smtp-mail.outlook.com:587",
    "live.com": "smtp-mail.outlook.com:587",
    "icloud.com": "smtp.mail.me.com:587",
    "yahoo.com": "smtp.mail.yahoo.com:465",
}
_BY_MX = {
    b"\x02qq": "smtp.exmail.qq.com:465",
    b"\x09mxhichina": "smtp.qiye.aliyun.com:465",
    b"\x07netease": "smtp.qiye.163.com:465",
    b"\x06feishu": "smtp.feishu.cn:465",
    b"\x06google": "smtp.gmail.com:465",
    b"\x07outlook": "smtp.office365.com:587",
}
"""By a label of the receiving server's name, as DNS writes it: its length, then its letters."""

_PATIENCE = 1.5
_MX, _INTERNET, _RECURSE = 15, 1, 0x0100


def is_public(domain: str) -> bool:
    """Return whether anybody may have an address there: the domain names no company."""
    return domain.lower() in _BY_DOMAIN


def guess(domain: str, *, resolvers: Path = Path("/etc/resolv.conf"), port: int = 53) -> str:
    """Return the likely server as `HOST:PORT`, or nothing: there may be no network, and nobody waits long for a guess."""
    if known := _BY_DOMAIN.get(domain.lower()):
        return known
    with suppress(OSError, ValueError):
        answer = _mail_exchangers(domain, resolvers, port)
        return next((server for label, server in _BY_MX.items() if label in answer), "")
    return ""


def _mail_exchangers(domain: str, resolvers: Path, port: int) -> bytes:
    """Return the name server's answer to who receives mail of that domain, behind the question."""
    lines = (line.split() for line in resolvers.read_text(encoding="ascii").splitlines())
    resolver = next(words[1] for words in [*lines, ["nameserver", "127.0.0.1"]] if words[:1] == ["nameserver"] and words[1:])
    number = os.urandom(2)
    labels = (label.encode("idna") for label in domain.split("."))
    name = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    query = number + struct.pack(">5H", _RECURSE, 1, 0, 0, 0) + name + struct.pack(">2H", _MX, _INTERNET)
    with socket.socket(socket.AF_INET6 if ":" in resolver else socket.AF_INET, socket.SOCK_DGRAM) as asking:
        asking.settimeout(_PATIENCE)
        asking.connect((resolver, port))
        asking.send(query)
        answer = asking.recv(4096)
    return answer[len(query) :].lower() if answer[:2] == number else b""
