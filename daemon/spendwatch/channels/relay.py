"""Sends mail to a server: one connection and one recipient at a time, TLS verified first, every error classified."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
import ssl
from collections.abc import Sequence

import aiosmtplib

from spendwatch.addresses import LOOPBACK, Network, Reach, why_no_connection
from spendwatch.aside import LOOK_UP_LIMIT, LookUps
from spendwatch.channels.email_settings import EmailConfig, Security
from spendwatch.channels.parts import clean
from spendwatch.domain.errors import PermanentDeliveryError, TemporaryDeliveryError

_CREDENTIALS_REFUSED = frozenset({454, 530, 534, 535, 538})
"""Replies about our identity, not about the mail: the settings must be fixed, and the mail waits."""
_PERMANENT = 500
_QUIT_LIMIT = 5.0
_CONNECT_LIMIT = 10.0
"""For one of several addresses."""


class Relay:
    """The server that takes our mail."""

    def __init__(
        self,
        config: EmailConfig,
        *,
        allow_networks: Sequence[Network] = (),
        look_ups: LookUps | None = None,
    ) -> None:
        """Take the settings; `allow_networks` may be reached without encryption if the settings say so."""
        self._config = config
        self._plain_reach = Reach((*LOOPBACK, *allow_networks))
        self._look_ups = look_ups or LookUps()
        self._is_given = False
        """Whether the mail was begun to be given: the relay may have it."""
        self._place = f"{config.host}:{config.connects_to}"

    async def hand_over(self, mail: bytes, *, sender: str, recipient: str) -> str:
        """Hand the mail over and return the server's answer, or raise `TemporaryDeliveryError` or `PermanentDeliveryError`."""
        try:
            return await self._hand_over(mail, sender, recipient)
        except aiosmtplib.SMTPRecipientRefused as error:
            raise self._refusal(error, f"{self._place} rejected {recipient}") from error
        except (aiosmtplib.SMTPSenderRefused, aiosmtplib.SMTPDataError) as error:
            raise self._refusal(error, f"{self._place} rejected the mail") from error
        except aiosmtplib.SMTPAuthenticationError as error:
            # Not a word of the server's own: some repeat what they were sent.
            msg = f"{self._place} rejected the user name or the password ({error.code})"
            raise TemporaryDeliveryError(msg, is_login=True) from error
        except aiosmtplib.SMTPResponseException as error:
            msg = f"{self._place} is not ready: {error.code} {self._said(error.message)}"
            raise TemporaryDeliveryError(msg, of_channel=True) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            msg = f"{self._place}: {self._what_failed(error)}"
            raise TemporaryDeliveryError(msg, of_channel=True, maybe_taken=self._is_given) from error

    async def _hand_over(self, mail: bytes, sender: str, recipient: str) -> str:
        limit = self._config.timeout.total_seconds()
        async with asyncio.timeout(limit):
            client = await self._prepare(limit)
        transport: asyncio.BaseTransport | None = None
        try:
            # Each step has its own limit; a total one guards against a byte a minute.
            async with asyncio.timeout(2 * limit):
                await client.connect()
                transport = client.transport
                await self._log_in(client)
                await client.mail(sender)
                await client.rcpt(recipient)
            self._is_given = True
            taken = await client.data(mail, timeout=self._config.data_timeout.total_seconds())
            # The relay has the mail: trouble from here on must not send it again.
            with contextlib.suppress(aiosmtplib.SMTPException, OSError, TimeoutError):
                await client.quit(timeout=_QUIT_LIMIT)
            return f"{taken.code} {self._said(taken.message)}"
        finally:
            await _hang_up(client, transport)

    async def _prepare(self, limit: float) -> aiosmtplib.SMTP:
        config = self._config
        secured = config.security is not Security.NONE
        context = await asyncio.to_thread(_tls, config.ca_file) if secured else None
        connection = await self._connected(await self._addresses())
        return aiosmtplib.SMTP(
            hostname=config.host,
            port=None,
            sock=connection,
            local_hostname=_own_name(),
            timeout=limit,
            use_tls=config.security is Security.TLS,
            start_tls=config.security is Security.STARTTLS,
            tls_context=context,
        )

    async def _log_in(self, client: aiosmtplib.SMTP) -> None:
        if self._config.username:
            password = self._config.password.get_secret_value() if self._config.password else ""
            await client.login(self._config.username, password)

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
        if error.code in _CREDENTIALS_REFUSED:
            return TemporaryDeliveryError(msg, is_login=True)
        if error.code >= _PERMANENT:
            return PermanentDeliveryError(msg)
        return TemporaryDeliveryError(msg, of_channel=isinstance(error, aiosmtplib.SMTPSenderRefused))

    def _said(self, message: str) -> str:
        password = self._config.password.get_secret_value() if self._config.password else ""
        return clean(message.replace(password, "***") if password else message, 200)

    def _what_failed(self, error: BaseException) -> str:
        """Return what went wrong, from the innermost cause that says something."""
        if why := why_no_connection(error):
            return why
        if isinstance(error, TimeoutError):
            return "no answer in time"
        return self._said(str(error)) or type(error).__name__


async def _hang_up(client: aiosmtplib.SMTP, transport: asyncio.BaseTransport | None) -> None:
    """Let go at once: a polite end of TLS would wait half a minute for a server that is gone."""
    client.close()
    if isinstance(transport, asyncio.Transport):
        transport.abort()
        await asyncio.sleep(0)


def _tls(ca_file: str | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file:
        context.load_verify_locations(ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _own_name() -> str:
    """Return how we introduce ourselves. Not the full name: looking it up may hang where name servers do."""
    name = socket.gethostname()
    return name if re.fullmatch(r"[A-Za-z0-9.-]{1,253}", name) else "localhost"
