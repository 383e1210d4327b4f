"""Sends mail to a server: one recipient at a time, TLS verified first, connections reused, every error classified."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime

import aiosmtplib

from spendwatch.addresses import LOOPBACK, Network, Reach, certificate_end, why_no_connection
from spendwatch.aside import LOOK_UP_LIMIT, LookUps
from spendwatch.channels.email_settings import EmailConfig, Security
from spendwatch.channels.oauth2 import AccessTokens
from spendwatch.connection import text_of
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError
from spendwatch.letters.parts import clean

_CREDENTIALS_REFUSED = frozenset({454, 530, 534, 535, 538})
"""Replies about our identity, not about the mail: the settings must be fixed, and the mail waits."""
_LOWEST_REFUSAL = 400
_CLOSING = 421
_PERMANENT = 500
_CONNECT_LIMIT = 10.0
"""For one of several addresses."""
_IDLE = 5.0
"""For so many seconds a connection waits for the next mail."""
_AGAIN_LIMIT = 10.0
"""For a connection that has waited to answer again; then there is a new one."""


@dataclass(slots=True, eq=False)
class _Session:
    """One connection to the relay, greeted and logged in."""

    client: aiosmtplib.SMTP
    transport: asyncio.BaseTransport | None = None
    keeper: asyncio.Task[None] | None = None
    """Closes it after a while without a mail."""
    is_amid: bool = False
    """Whether a mail was begun that the relay refused: the next one begins with a reset."""

    async def begin(self, sender: str, recipient: str, size: int, limit: float) -> None:
        """Begin a mail of that size, or raise `PermanentDeliveryError` if the relay says that it takes none so large."""
        most = self.client.esmtp_extensions.get("size")
        if most and most.isdecimal() and 0 < int(most) < size:
            msg = f"the mail has {size:,} bytes; {self.client.hostname} takes {int(most):,} at most"
            raise PermanentDeliveryError(msg)
        options = [] if most is None else [f"SIZE={size}"]
        if self.is_amid:
            await self.client.rset(timeout=limit)
        self.is_amid = True
        await self.client.mail(sender, options=options, timeout=limit)
        await self.client.rcpt(recipient, timeout=limit)

    async def hang_up(self, *, politely: bool = False) -> None:
        """Let go at once: a polite end of TLS would wait half a minute for a server that is gone. `politely`: with a word."""
        if isinstance(self.transport, asyncio.Transport):
            if politely:
                self.transport.write(b"QUIT\r\n")
            self.transport.abort()
        self.client.close()
        await asyncio.sleep(0)


class Relay:
    """The server that takes our mail: over each connection one mail after the other, until none has come for a while."""

    def __init__(
        self,
        config: EmailConfig,
        *,
        allow_networks: Sequence[Network] = (),
        look_ups: LookUps | None = None,
        tokens: AccessTokens | None = None,
    ) -> None:
        """Take the settings; `allow_networks` may be reached without encryption if the settings say so."""
        self._config = config
        self._plain_reach = Reach((*LOOPBACK, *allow_networks))
        self._look_ups = look_ups or LookUps()
        self._tokens = tokens
        self._idle: list[_Session] = []
        self._limit = config.timeout.total_seconds()
        self._place = f"{config.host}:{config.connects_to}"

    async def hand_over(self, mail: bytes, *, sender: str, recipient: str) -> str:
        """Hand the mail over and return the server's answer, or raise `TemporaryDeliveryError` or `PermanentDeliveryError`."""
        is_given = asyncio.Event()
        with self._explained(is_given, recipient):
            # Each step has its own limit; a total one guards against a byte a minute.
            async with asyncio.timeout(2 * self._limit):
                session = await self._begun(sender, recipient, len(mail))
            try:
                is_given.set()  # the relay may have it from now on
                taken = await session.client.data(mail, timeout=self._config.data_timeout.total_seconds())
                session.is_amid = False
            except aiosmtplib.SMTPResponseException:
                await self._keep(session)
                raise
            except BaseException:
                await session.hang_up()
                raise
            await self._keep(session)
            return f"{taken.code} {self._said(taken.message)}"

    async def probe(self) -> datetime | None:
        """Connect, log in and quit; return when the server's certificate ends. Raises as `hand_over` does."""
        with self._explained(asyncio.Event()):
            async with asyncio.timeout(self._limit):
                session = await self._opened()
            certificate = session.transport.get_extra_info("peercert") if session.transport else None
            await session.hang_up(politely=True)
        return certificate_end(certificate)

    @contextmanager
    def _explained(self, is_given: asyncio.Event, recipient: str = "") -> Iterator[None]:
        """Say what went wrong in words, and whether the relay may have the mail."""
        try:
            yield
        except aiosmtplib.SMTPRecipientRefused as error:
            raise self._refusal(error, f"{self._place} rejected {recipient}") from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise self._refusal(error, f"{self._place} rejected the mail") from error
        except aiosmtplib.SMTPAuthenticationError as error:
            # Not a word of the server's own: some repeat what they were sent.
            what = "the user name or the access token" if self._tokens else "the user name or the password"
            msg = f"{self._place} rejected {what} ({error.code})"
            raise TemporaryDeliveryError(msg, is_login=True) from error
        except aiosmtplib.SMTPResponseException as error:
            msg = f"{self._place} is not ready: {error.code} {self._said(error.message)}"
            raise TemporaryDeliveryError(msg, of_channel=True) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            msg = f"{self._place}: {self._what_failed(error)}"
            raise TemporaryDeliveryError(msg, of_channel=True, maybe_taken=is_given.is_set()) from error

    async def _begun(self, sender: str, recipient: str, size: int) -> _Session:
        """Return a connection on which the mail is begun. If an idle one refuses more than the recipient, a new one decides."""
        while True:
            is_new = not self._idle
            session = await self._opened() if is_new else self._idle.pop()
            if session.keeper:
                session.keeper.cancel()
            try:
                await session.begin(sender, recipient, size, self._limit if is_new else min(_AGAIN_LIMIT, self._limit))
            except BaseException as error:
                is_refused = isinstance(error, aiosmtplib.SMTPRecipientRefused) and error.code != _CLOSING
                await (self._keep(session) if is_refused else session.hang_up())
                if is_new or is_refused or not isinstance(error, aiosmtplib.SMTPException | OSError):
                    raise
            else:
                return session

    async def _keep(self, session: _Session) -> None:
        """Have the connection ready for the next mail, for a while."""
        if session.client.is_connected:
            self._idle.append(session)
            session.keeper = asyncio.create_task(self._close_later(session))
        else:
            await session.hang_up()

    async def _close_later(self, session: _Session) -> None:
        try:
            await asyncio.sleep(_IDLE)
        finally:  # its time is over, or the loop ends; else another mail has it
            if session in self._idle:
                self._idle.remove(session)
                await session.hang_up(politely=True)

    async def _opened(self) -> _Session:
        """Return a new connection, secured and logged in."""
        config = self._config
        context = await asyncio.to_thread(_tls, config.ca_file) if config.security is not Security.NONE else None
        connection = await self._connected(await self._addresses())
        client = aiosmtplib.SMTP(
            hostname=config.host,
            port=None,
            sock=connection,
            local_hostname=config.hello or _literal(connection),
            timeout=self._limit,
            use_tls=config.security is Security.TLS,
            start_tls=config.security is Security.STARTTLS,
            tls_context=context,
        )
        session = _Session(client)
        try:
            await client.connect()
            session.transport = client.transport
            try:
                await client.ehlo()
            except aiosmtplib.SMTPHeloError:
                if not client.is_connected:
                    raise
                await client.helo()
            await self._log_in(client)
        except BaseException:
            await session.hang_up()
            raise
        return session

    async def _log_in(self, client: aiosmtplib.SMTP) -> None:
        user = self._config.username
        if user and self._tokens:
            token = await self._tokens.token()
            try:
                await client.auth_xoauth2(user, token)
            except aiosmtplib.SMTPAuthenticationError:
                # It may have been revoked before its time.
                await client.auth_xoauth2(user, await self._tokens.token(refused=token))
        elif user:
            await client.login(user, text_of(self._config.password))

    async def _addresses(self) -> Sequence[str]:
        """Return the addresses that may be dialled: what is judged is not looked up again."""
        try:
            found = await self._look_ups.addresses(self._config.host, self._config.connects_to)
        except TimeoutError as error:
            msg = f"{self._place}: the host name was not resolved within {LOOK_UP_LIMIT:g} s"
            raise TemporaryDeliveryError(msg, of_channel=True) from error
        is_near = found and all(self._plain_reach.is_listed(ipaddress.ip_address(one)) for one in found)
        if self._config.security is Security.NONE and not is_near:
            msg = f"{self._place} is outside this machine and allow_networks; without TLS nothing is sent there"
            raise PermanentDeliveryError(msg)
        return found

    async def _connected(self, addresses: Sequence[str]) -> socket.socket:
        """Return a connection to the first address that takes one."""
        trouble: OSError = socket.gaierror("no address")
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            # Named as TCP, asyncio sends small pieces at once on it.
            connection = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
            connection.setblocking(False)  # noqa: FBT003 -- the library's own
            try:
                async with asyncio.timeout(_CONNECT_LIMIT):
                    await asyncio.get_running_loop().sock_connect(connection, (address, self._config.connects_to))
            except OSError as error:
                connection.close()
                trouble = error
            except BaseException:
                connection.close()
                raise
            else:
                return connection
        raise trouble

    def _refusal(self, error: aiosmtplib.SMTPResponseException, what: str) -> TemporaryDeliveryError | PermanentDeliveryError:
        msg = f"{what}: {error.code} {self._said(error.message)}"
        # After a recipient or a mail others may fare better: Postfix says 454 to each whom it does not relay to.
        is_early = isinstance(error, aiosmtplib.SMTPSenderRefused)
        if error.code in _CREDENTIALS_REFUSED and (is_early or error.code >= _PERMANENT):
            return TemporaryDeliveryError(msg, is_login=True, is_doubtful=not is_early)
        if error.code >= _PERMANENT:
            return PermanentDeliveryError(msg)
        # An unusual answer that refuses nothing may mean that it was taken.
        is_open = isinstance(error, aiosmtplib.SMTPDataError) and error.code < _LOWEST_REFUSAL
        is_closing = error.code == _CLOSING or is_early
        return TemporaryDeliveryError(msg, maybe_taken=is_open, of_channel=is_closing, is_doubtful=is_closing)

    def _said(self, message: str) -> str:
        password = text_of(self._config.password)
        return clean(message.replace(password, "***") if password else message, 200)

    def _what_failed(self, error: BaseException) -> str:
        """Return what went wrong, from the innermost cause that says something."""
        if why := why_no_connection(error):
            return why
        if isinstance(error, TimeoutError):
            return "no answer in time"
        return self._said(str(error)) or type(error).__name__


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _literal(connection: socket.socket) -> str:
    """Return how we introduce ourselves: by our address, which relays accept that want a full name and containers lack."""
    address = connection.getsockname()[0].partition("%")[0]
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"
