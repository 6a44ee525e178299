"""A mail sink: an SMTP server in a thread that keeps what it is sent, and answers as a test tells it to."""

import asyncio
import email
import email.policy
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any, Literal, Protocol

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

HOST = "127.0.0.1"
STOP_TIMEOUT_S = 60
WAIT_POLL_S = 0.01
# greeting: at connection; data: at the DATA command; body: within the body; dot: after the body and its final dot.
Phase = Literal["greeting", "ehlo", "mail", "rcpt", "data", "body", "dot"]
DROP = "drop"  # in place of a reply (and always within the body): the connection breaks


@dataclass(frozen=True)
class Mail:
    sender: str
    recipients: tuple[str, ...]
    content: bytes

    @property
    def message(self) -> EmailMessage:
        parsed = email.message_from_bytes(self.content, policy=email.policy.default)
        assert isinstance(parsed, EmailMessage)
        return parsed

    @property
    def message_id(self) -> str:
        return str(self.message["Message-ID"])


class Inbox(Protocol):
    """Where mails arrive, oldest first."""

    @property
    def mails(self) -> list[Mail]: ...


@dataclass
class Rule:
    """A reply to give instead of the usual one: to a recipient or to all, so often (None: always)."""

    phase: Phase
    reply: str
    recipient: str | None = None
    times: int | None = None
    keep: bool = False  # at the dot: the mail is kept although the reply says otherwise or never comes
    wait: threading.Event | None = None  # the reply comes once this is set
    used: int = field(default=0, compare=False)

    def fits(self, phase: Phase, recipients: list[str]) -> bool:
        if phase != self.phase or (self.times is not None and self.used >= self.times):
            return False
        return self.recipient is None or self.recipient in recipients


class MailSink:
    """Start, read `mails`, stop. `rule` scripts faults; rules are tried in order and the first that fits is used."""

    kind = "aiosmtpd"

    def __init__(self, *, password: str | None = None) -> None:
        self.host = HOST
        self.port = 0
        self.attempts = 0  # connections taken
        self._password = password
        self._mails: list[Mail] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="mail-sink", daemon=True)
        self._server: asyncio.Server | None = None
        self._connections: set[SinkConnection] = set()

    @property
    def mails(self) -> list[Mail]:
        with self._lock:
            return list(self._mails)

    def sent_to(self, recipient: str) -> list[Mail]:
        return [mail for mail in self.mails if recipient in mail.recipients]

    def rule(
        self,
        phase: Phase,
        reply: str,
        *,
        recipient: str | None = None,
        times: int | None = None,
        keep: bool = False,
        wait: threading.Event | None = None,
    ) -> Rule:
        """From now on answer so, for example `rule("rcpt", "550 5.1.1 no such user", recipient="a@example.com")`."""
        made = Rule(phase, reply, recipient, times, keep, wait)
        with self._lock:
            self._rules.append(made)
        return made

    def clear_rules(self) -> None:
        with self._lock:
            self._rules.clear()

    def start(self) -> None:
        """Listen on a free port; after a stop, on the same one."""
        if not self._thread.is_alive():
            self._thread.start()
        self._call(self._listen)

    def stop(self) -> None:
        """Refuse connections and break the open ones; what was sent is kept."""
        self._call(self._unlisten)

    def close(self) -> None:
        if self._thread.is_alive():
            self.stop()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(STOP_TIMEOUT_S)
        self._loop.close()

    def keep(self, mail: Mail) -> None:
        with self._lock:
            self._mails.append(mail)

    def take_rule(self, phase: Phase, recipients: list[str]) -> Rule | None:
        with self._lock:
            for rule in self._rules:
                if rule.fits(phase, recipients):
                    rule.used += 1
                    return rule
        return None

    def _call(self, work: Callable[[], Any]) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work(), self._loop)
        done.result(STOP_TIMEOUT_S)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(self._connect, self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def _unlisten(self) -> None:
        server, self._server = self._server, None
        if server is None:
            return
        server.close()
        for connection in list(self._connections):
            connection.abort()
        await server.wait_closed()
        # The handlers of broken connections end in the next turns of the loop; nothing is left for the collector.
        rest = [task for task in asyncio.all_tasks(self._loop) if task is not asyncio.current_task()]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def _connect(self) -> "SinkConnection":
        self.attempts += 1
        return SinkConnection(self, self._connections, self._password)


class SinkHandler:
    async def handle_DATA(  # noqa: N802  # aiosmtpd finds it by this name
        self, server: "SinkConnection", _session: Session, envelope: Envelope
    ) -> str:
        return await server.receive(envelope)


class SinkConnection(SMTP):  # type: ignore[misc]  # aiosmtpd is untyped
    """One connection, in the sink's loop."""

    def __init__(self, sink: MailSink, connections: "set[SinkConnection]", password: str | None) -> None:
        authenticate = (lambda *given: check_password(password, *given)) if password is not None else None
        super().__init__(
            SinkHandler(),
            hostname="sink.example.com",
            ident="ready",
            loop=sink._loop,
            authenticator=authenticate,
            auth_required=password is not None,
            auth_require_tls=False,
            enable_SMTPUTF8=True,
        )
        self._sink = sink
        self._connections = connections

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._connections.add(self)
        super().connection_made(transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._connections.discard(self)
        super().connection_lost(error)

    def abort(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    async def push(self, status: Any) -> None:
        """Every reply goes through here; the first one of a connection is the greeting."""
        if self.transport is None or self.transport.is_closing():
            return
        if not getattr(self, "_greeted", False):
            self._greeted = True
            rule = await self._rule("greeting", [])
            if rule is not None:
                if rule.reply != DROP:
                    await super().push(rule.reply)
                self.transport.close()
                return
        await super().push(status)

    async def smtp_EHLO(self, hostname: str) -> None:  # noqa: N802
        if not await self._answered("ehlo"):
            await super().smtp_EHLO(hostname)

    async def smtp_MAIL(self, arg: str) -> None:  # noqa: N802
        if not await self._answered("mail"):
            await super().smtp_MAIL(arg)

    async def smtp_RCPT(self, arg: str) -> None:  # noqa: N802
        named = arg.partition("<")[2].partition(">")[0]
        if not await self._answered("rcpt", named):
            await super().smtp_RCPT(arg)

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        if await self._answered("data", *self.envelope.rcpt_tos):
            return
        if await self._rule("body", self.envelope.rcpt_tos) is not None:
            await self.push("354 go on")
            await self._reader.readline()
            self.abort()
            return
        await super().smtp_DATA(arg)

    async def _answered(self, phase: Phase, *recipients: str) -> bool:
        rule = await self._rule(phase, list(recipients))
        if rule is None:
            return False
        if rule.reply == DROP:
            self.abort()
        else:
            await self.push(rule.reply)
        return True

    async def _rule(self, phase: Phase, recipients: list[str]) -> Rule | None:
        rule = self._sink.take_rule(phase, recipients)
        if rule is not None and rule.wait is not None:
            # Set from another thread. Polled, because a thread that waits for it could not be cancelled at the end.
            while not rule.wait.is_set():  # noqa: ASYNC110
                await asyncio.sleep(WAIT_POLL_S)
        return rule

    async def receive(self, envelope: Envelope) -> str:
        """After the final dot: keep the mail and say so, unless a rule says otherwise."""
        content = envelope.original_content or b""
        mail = Mail(str(envelope.mail_from), tuple(envelope.rcpt_tos), content)
        rule = await self._rule("dot", envelope.rcpt_tos)
        if rule is None or rule.keep:
            self._sink.keep(mail)
        if rule is None:
            return "250 2.0.0 kept"
        if rule.reply == DROP:
            self.abort()
        return rule.reply


def check_password(
    password: str, _server: SMTP, _session: Session, _envelope: Envelope, _mech: str, data: Any
) -> AuthResult:
    given = getattr(data, "password", b"")
    return AuthResult(success=given == password.encode())
