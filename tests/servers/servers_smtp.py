"""A real SMTP server that refuses as told, in a thread of a test or as a program of its own that keeps all it gets."""

from __future__ import annotations

import argparse
import asyncio
import base64
from collections.abc import Awaitable, Callable, Mapping, Sequence
from enum import StrEnum
from functools import partial
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
        tokens: Sequence[str] = (),
        answers: Mapping[str, str] | None = None,
        banner: str = "",
        most_bytes: int = 1 << 25,
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
        self.commands: list[str] = []
        """Every command line, but for what logs in."""
        self.mechanisms: list[tuple[str, str]] = []
        self.tokens = list(tokens)
        """Access tokens that are accepted; with any, XOAUTH2 is offered."""
        self.answers = dict(answers or {})
        """What is answered to a verb in place of the usual."""
        self.answers_of_used: Mapping[str, str] = {}
        """The same, by connections that have carried a mail."""
        self.refuse = dict(refuse or {})
        self.refuse_data = refuse_data
        self.drops_after_data = drops_after_data
        self.ca_file = Path()
        self._tls = tls
        self._login = login
        self._is_silent = is_silent
        self._names = names
        self._keep_in = keep_in
        self._banner = banner
        self._most_bytes = most_bytes
        self._sessions: list[SMTP] = []
        self._used: set[SMTP] = set()

    @property
    def connections(self) -> int:
        """How many connections were taken."""
        return len(self._sessions)

    async def open(self) -> asyncio.Server:
        if self._is_silent or self._banner:
            return await asyncio.start_server(partial(_say, self._banner), self.host, self.port)
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
                data_size_limit=self._most_bytes,
                auth_exclude_mechanism=() if self.tokens else ("XOAUTH2",),
            )
            session._smtp_methods = {
                verb: self._scripted(verb, usual, session) for verb, usual in session._smtp_methods.items()
            }
            self._sessions.append(session)
            return session

        ssl = context if self._tls is Tls.FROM_THE_START else None
        return await loop.create_server(protocol, self.host, self.port, ssl=ssl)

    def hang_up(self) -> None:
        for session in self._sessions:
            if isinstance(session.transport, asyncio.WriteTransport):
                session.transport.abort()

    def _scripted(self, verb: str, usual: Callable[[str], Awaitable[None]], session: SMTP) -> Callable[[str], Awaitable[None]]:
        async def answer(argument: str) -> None:
            self.commands.append(verb if verb == "AUTH" else f"{verb} {argument or ''}".strip())
            scripted = {**self.answers, **(self.answers_of_used if session in self._used else {})}
            if verb not in scripted:
                await usual(argument)
                return
            await session.push(scripted[verb])
            if scripted[verb].startswith("421"):
                assert isinstance(session.transport, asyncio.WriteTransport)
                session.transport.close()

        return answer

    async def auth_XOAUTH2(self, server: SMTP, args: list[str]) -> AuthResult:  # noqa: N802 -- aiosmtpd's name
        user, token = (
            base64.b64decode(args[1]).decode().removeprefix("user=").removesuffix("\x01\x01").split("\x01auth=Bearer ")
        )
        self.mechanisms.append((user, token))
        is_known = token in self.tokens
        if not is_known:
            # Gmail and Microsoft tell why in a challenge, and refuse after the answer to it.
            await server.challenge_auth(b'{"status":"401"}')
        return AuthResult(success=is_known, handled=is_known)

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
        self._used.add(server)
        for recipient in envelope.rcpt_tos:
            self.messages.append((recipient, content))
            if self._keep_in:
                head = f"X-Envelope-To: {recipient}\r\n".encode()
                keep(self._keep_in, f"{len(self.messages):06d}.eml", head + content)
        if self.drops_after_data and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        return "250 kept"


async def _say(banner: str, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Say that, and then nothing more; without a banner not even that."""
    try:
        writer.write(f"{banner}\r\n".encode() if banner else b"")
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
