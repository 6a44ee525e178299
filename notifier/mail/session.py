"""One SMTP connection. aiosmtplib is used only here, and driven step by step so that the phase of a failure is known.

The library's own `data()` raises the same error whether the connection was lost before or after the final dot. Here the
body goes first, then whoever holds the queue notes that it is handed over, and only then the dot.
"""

import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, Literal

import aiosmtplib
from aiosmtplib.protocol import SMTPProtocol

from meter.runtime.errors import explain
from meter.runtime.fault_points import fault_point
from meter.runtime.tls import FollowingContext, explain_certificate
from notifier.mail.verdict import Phase, Result
from notifier.settings import NotifierSettings

START_INPUT, CLOSING = 354, 421
LEADING_DOT: Final = re.compile(rb"(?m)^\.")
QUIT_TIMEOUT_S: Final = 2
PLAIN: Final = (
    "turn it on there, set METERING_SMTP_SECURITY=tls if it speaks TLS from the first byte, or, where the network "
    "between can be trusted, name the host in METERING_PLAINTEXT_HOSTS"
)
UNUSABLE: Final = "set METERING_SMTP_SECURITY=none to send the password without encryption all the same"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """Where and how to hand mail over."""

    host: str
    port: int
    security: Literal["auto", "none", "starttls", "tls"]
    helo: str
    timeout_s: float
    dot_timeout_s: float
    username: str | None = None
    password: Callable[[], str | None] | None = None  # asked before each login: it may have changed
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, settings: NotifierSettings) -> "SmtpServer":
        host, port = settings.smtp_address
        plain = settings.smtp_security == "none"
        return cls(
            host=host,
            port=port,
            security=settings.smtp_demands,
            helo=settings.smtp_helo or settings.sender.domain,
            timeout_s=settings.smtp_timeout_s,
            dot_timeout_s=settings.smtp_dot_timeout_s,
            username=settings.smtp_username,
            password=partial(settings.secret, "smtp_password"),
            tls=None
            if plain
            else make_tls(
                settings.smtp_cafile, settings.smtp_certfile, settings.smtp_keyfile, verify=settings.smtp_verify
            ),
        )


def make_tls(
    cafile: str | None, certfile: str | None = None, keyfile: str | None = None, *, verify: bool
) -> ssl.SSLContext:
    return FollowingContext.of(cafile, certfile, keyfile, verify=verify)


class SmtpSession:
    """Open, deliver any number of mails one after the other, close. `phase` is the step that a conversation is at."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server
        self._client: aiosmtplib.SMTP | None = None
        self.phase = Phase.CONNECT

    @property
    def is_open(self) -> bool:
        return self._client is not None and self._client.is_connected

    async def open(self) -> Result | None:
        """Connect, encrypt, say hello, log in. None when mail can be sent."""
        client = self._client = self._make_client()
        ended = await self._step(Phase.CONNECT, client.connect())
        ended = ended or await self._step(Phase.EHLO, client.ehlo())
        ended = ended or await self._encrypt(client)
        ended = ended or await self._log_in(client)
        if ended is not None:
            self.abort()
        return ended

    def _make_client(self) -> aiosmtplib.SMTP:
        server = self._server
        return aiosmtplib.SMTP(
            hostname=server.host,
            port=server.port,
            local_hostname=server.helo,
            timeout=server.timeout_s,
            use_tls=server.security == "tls",
            start_tls=False,
            tls_context=server.tls if server.security == "tls" else None,
        )

    async def _encrypt(self, client: aiosmtplib.SMTP) -> Result | None:
        security = self._server.security
        offered = client.supports_extension("starttls")
        if security in ("none", "tls") or (security == "auto" and not offered):
            return None
        if not offered:
            return Result(Phase.TLS, None, f"the server does not offer STARTTLS: {PLAIN}", setup=True)
        # RFC 3207: after the handshake the client forgets what the server said in clear, and sends EHLO again.
        ended = await self._step(Phase.TLS, client.starttls(tls_context=self._server.tls))
        return ended or await self._step(Phase.EHLO, client.ehlo())

    async def _log_in(self, client: aiosmtplib.SMTP) -> Result | None:
        server = self._server
        if server.username is None:
            return None
        if server.security == "auto" and client.get_transport_info("sslcontext") is None:
            return Result(Phase.AUTH, None, f"the server does not offer STARTTLS: {UNUSABLE}", setup=True)
        password = None if server.password is None else server.password()
        return await self._step(Phase.AUTH, client.login(server.username, password or ""))

    async def ask(self, sender: str) -> Result | None:
        """Whether mail would be taken from `sender`, as far as that is said without a recipient. None: it would."""
        client = self._client
        if client is None:
            return Result(Phase.CONNECT, None, "not connected")
        return await self._step(Phase.MAIL, client.mail(sender))

    async def deliver(
        self, sender: str, recipient: str, message: bytes, before_dot: Callable[[], Awaitable[bool]]
    ) -> Result | None:
        """Send one mail to one recipient. Returns None, with nothing handed over, when `before_dot` answers False.

        After a failure that leaves the state of the connection unknown the session is closed.
        """
        client = self._client
        if client is None:
            return Result(Phase.CONNECT, None, "not connected")
        ended = await self._step(Phase.MAIL, client.mail(sender))
        ended = ended or await self._step(Phase.RCPT, client.rcpt(recipient))
        ended = ended or await self._step(Phase.DATA, self._begin(client))
        if ended is not None:
            await self._put_in_step(ended)
            return ended
        ended = await self._step(Phase.BODY, self._write(client, quote_body(message)))
        if ended is None:
            if not await before_dot():
                self.abort()
                return None
            ended = await self._end(client)
        if ended.code is None or ended.code == CLOSING:
            self.abort()
        return ended

    async def _begin(self, client: aiosmtplib.SMTP) -> None:
        response = await client.execute_command(b"DATA")
        if response.code != START_INPUT:
            raise aiosmtplib.SMTPDataError(response.code, response.message)

    async def _write(self, client: aiosmtplib.SMTP, data: bytes) -> None:
        protocol_of(client).write(data)

    async def _end(self, client: aiosmtplib.SMTP) -> Result:
        await fault_point("email_before_dot")
        # A connection that is known to be gone takes no dot: still the body's phase, and nothing is in doubt.
        lost = await self._step(Phase.BODY, self._write(client, b".\r\n"))
        if lost is not None:
            return lost
        self.phase = Phase.DOT
        try:
            response = await protocol_of(client).read_response(timeout=self._server.dot_timeout_s)
        except (aiosmtplib.SMTPException, OSError) as error:
            return read_error(Phase.DOT, error)
        return Result(Phase.DOT, response.code, response.message)

    async def _step(self, phase: Phase, call: Awaitable[Any]) -> Result | None:
        """Take one step; None when it succeeded."""
        self.phase = phase
        try:
            await call
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            return read_error(phase, error)
        return None

    async def _put_in_step(self, ended: Result) -> None:
        """After a refusal the next mail needs a clean slate; after anything worse, another connection."""
        client = self._client
        if client is None or ended.code is None or not 400 <= ended.code < 600 or not client.is_connected:
            self.abort()
            return
        try:
            await client.rset()
        except (aiosmtplib.SMTPException, OSError):
            self.abort()

    async def close(self) -> None:
        """Send QUIT if the connection still stands, then close it."""
        client = self._client
        if client is not None and client.is_connected:
            try:
                await client.quit(timeout=QUIT_TIMEOUT_S)
            except (aiosmtplib.SMTPException, OSError):
                pass
        self.abort()

    def abort(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()


def protocol_of(client: aiosmtplib.SMTP) -> SMTPProtocol:
    if client.protocol is None:
        raise aiosmtplib.SMTPServerDisconnected("Connection lost")
    return client.protocol


def quote_body(message: bytes) -> bytes:
    """CRLF at the end and doubled leading dots (RFC 5321, 4.5.2). The message itself has CRLF throughout."""
    if not message.endswith(b"\r\n"):
        message += b"\r\n"
    return LEADING_DOT.sub(b"..", message)


def read_error(phase: Phase, error: BaseException) -> Result:
    """Make the result of a conversation from the exception that the library raised."""
    cause = error.__cause__ if isinstance(error, aiosmtplib.SMTPConnectError) else error
    if isinstance(cause, ssl.SSLError):
        if isinstance(cause, ssl.SSLCertVerificationError):
            said = f"the mail server {explain_certificate(cause, 'METERING_SMTP_CAFILE')}"
            return Result(Phase.TLS, None, said, setup=True)
        return Result(Phase.TLS, None, explain(cause))
    if isinstance(error, aiosmtplib.SMTPResponseException) and error.code > 0:
        return Result(phase, error.code, error.message)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return Result(phase, None, error.message)  # not an SMTP reply at all
    # The library raises its base class when the server lacks what the settings ask for, such as AUTH.
    known = isinstance(error, OSError)
    return Result(phase, None, explain(error), setup=not known)
