"""A real SMTP server that refuses as told, in a thread of a test or as a program of its own that keeps all it gets."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from servers_http import Authority, ThreadedServer, keep, stay


class Tls(StrEnum):
    """How the server secures its connections."""

    NONE = "none"
    STARTTLS = "starttls"
    FROM_THE_START = "tls"


class SmtpSink(ThreadedServer):
    """Keeps every accepted mail in `messages`, once for each recipient, as (envelope recipient, bytes)."""

    def __init__(
        self,
        *,
        tls: Tls = Tls.NONE,
        login: tuple[str, str] | None = None,
        refuse: Mapping[str, str] | None = None,
        refuse_data: str = "",
        drops_after_data: bool = False,
        is_silent: bool = False,
        host: str = "127.0.0.1",
        port: int = 0,
        names: tuple[str, ...] = ("localhost", "127.0.0.1"),
        keep_in: Path | None = None,
    ) -> None:
        super().__init__(host, port)
        self.messages: list[tuple[str, bytes]] = []
        self.senders: list[str] = []
        self.logins: list[tuple[str, str]] = []
        self.commands = 0
        self.refuse = dict(refuse or {})
        self.refuse_data = refuse_data
        self.drops_after_data = drops_after_data
        self.ca_file = Path()
        self._tls = tls
        self._login = login
        self._is_silent = is_silent
        self._names = names
        self._keep_in = keep_in
        self._sessions: list[SMTP] = []

    async def open(self) -> asyncio.Server:
        if self._is_silent:
            return await asyncio.start_server(_say_nothing, self.host, self.port)
        context = None
        if self._tls is not Tls.NONE:
            authority = Authority(self.folder)
            self.ca_file = authority.ca_file
            context = authority.context(*self._names)
        loop = asyncio.get_running_loop()
        starts = self._tls is Tls.STARTTLS

        def protocol() -> SMTP:
            session = SMTP(
                self,
                loop=loop,
                hostname="sink.test",
                tls_context=context if starts else None,
                require_starttls=starts,
                authenticator=self._authenticate,
                auth_required=self._login is not None,
                # aiosmtpd knows only of STARTTLS: with TLS from the start it would offer no AUTH.
                auth_require_tls=starts,
                enable_SMTPUTF8=True,
            )
            self._sessions.append(session)
            return session

        ssl = context if self._tls is Tls.FROM_THE_START else None
        return await loop.create_server(protocol, self.host, self.port, ssl=ssl)

    def hang_up(self) -> None:
        for session in self._sessions:
            if isinstance(session.transport, asyncio.WriteTransport):
                session.transport.abort()

    def _authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: LoginPassword
    ) -> AuthResult:
        given = (data.login.decode(), data.password.decode())
        self.logins.append(given)
        # Unhandled and without success is what makes aiosmtpd answer 535.
        return AuthResult(success=given == self._login, handled=given == self._login)

    async def handle_MAIL(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        self.senders.append(address)
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return self.refuse.get(f"from:{address}", "250 OK")

    async def handle_RCPT(  # noqa: N802 -- aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if address in self.refuse:
            return self.refuse[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 -- aiosmtpd's name
        if self.refuse_data:
            return self.refuse_data
        content = envelope.content
        assert isinstance(content, bytes)
        for recipient in envelope.rcpt_tos:
            self.messages.append((recipient, content))
            if self._keep_in:
                head = f"X-Envelope-To: {recipient}\r\n".encode()
                keep(self._keep_in, f"{len(self.messages):06d}.eml", head + content)
        if self.drops_after_data and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        return "250 kept"


async def _say_nothing(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        await asyncio.sleep(3600)
    finally:
        writer.transport.abort()


def main() -> None:
    """Keep every mail as a file: `python -m servers_smtp --folder DIR [--port N] [--refuse ADDRESS=550]`."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--refuse", action="append", default=[], metavar="ADDRESS=CODE")
    given = parser.parse_args()
    refuse = {address: f"{code} refused" for address, _, code in (text.partition("=") for text in given.refuse)}
    stay(SmtpSink(port=given.port, refuse=refuse, keep_in=given.folder))


if __name__ == "__main__":
    main()
