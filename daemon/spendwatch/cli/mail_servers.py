"""Guesses the mail server of an address: by its domain, or by who receives the domain's mail (its MX records)."""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from pathlib import Path

_SERVERS = (
    ("smtp.gmail.com:465", ("gmail.com", "googlemail.com"), b"\x06google"),
    ("smtp.exmail.qq.com:465", (), b"\x02qq"),
    ("smtp.qq.com:465", ("qq.com", "foxmail.com"), b""),
    ("smtp.qiye.163.com:465", (), b"\x07netease"),
    ("smtp.163.com:465", ("163.com",), b""),
    ("smtp.126.com:465", ("126.com",), b""),
    ("smtp.yeah.net:465", ("yeah.net",), b""),
    ("smtp.sina.com:465", ("sina.com",), b""),
    ("smtp.139.com:465", ("139.com",), b""),
    ("smtp.qiye.aliyun.com:465", (), b"\x09mxhichina"),
    ("smtp.aliyun.com:465", ("aliyun.com",), b""),
    ("smtp.feishu.cn:465", (), b"\x06feishu"),
    ("smtp.office365.com:587", (), b"\x07outlook"),
    ("smtp-mail.outlook.com:587", ("outlook.com", "hotmail.com", "live.com"), b""),
    ("smtp.mail.me.com:587", ("icloud.com",), b""),
    ("smtp.mail.yahoo.com:465", ("yahoo.com",), b""),
)
"""Each server with the domains where anybody may have an address, and with the part of a receiving server's name by which
companies are recognized that are customers there, as DNS writes it: the length, then the letters."""
PUBLIC_DOMAINS = frozenset(domain for _, domains, _ in _SERVERS for domain in domains)
_PATIENCE = 1.5
_MX, _INTERNET, _RECURSE = 15, 1, 0x0100


def guess(domain: str, *, resolvers: Path = Path("/etc/resolv.conf"), port: int = 53) -> str:
    """Return the likely server as `HOST:PORT`, or nothing: there may be no network, and nobody waits long for a guess."""
    if domain.lower() in PUBLIC_DOMAINS:
        return next(server for server, domains, _ in _SERVERS if domain.lower() in domains)
    with suppress(OSError, ValueError):
        answer = _mail_exchangers(domain, resolvers, port)
        return next((server for server, _, label in _SERVERS if label and label in answer), "")
    return ""


def _mail_exchangers(domain: str, resolvers: Path, port: int) -> bytes:
    """Return the name server's answer to who receives mail of that domain, behind the question."""
    lines = (line.split() for line in resolvers.read_text(encoding="ascii").splitlines())
    resolver = next((words[1] for words in lines if words[:1] == ["nameserver"] and words[1:]), "127.0.0.1")
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
