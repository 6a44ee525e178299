"""One SMTP conversation with a server that follows a script."""

from collections.abc import Awaitable, Callable

from notifier.mail.session import SmtpServer, SmtpSession, make_tls
from notifier.mail.verdict import Result
from tests.unit.notifier.scripted import Script, serving

MESSAGE = b"Subject: hello\r\n\r\n.dots\r\nand more\r\n"
# Long, so that a busy machine is not taken for a silent server; a test of silence sets its own.
TIMEOUT_S = 30
SILENCE_S = 1


def server(script: Script, **values: object) -> SmtpServer:
    found: dict[str, object] = {
        "host": "127.0.0.1",
        "port": script.port,
        "security": "auto",
        "helo": "example.com",
        "timeout_s": TIMEOUT_S,
        "dot_timeout_s": TIMEOUT_S,
        "tls": make_tls(None, verify=True),
    }
    return SmtpServer(**{**found, **values})  # type: ignore[arg-type]


def answer(value: bool) -> Callable[[], Awaitable[bool]]:
    async def before_dot() -> bool:
        return value

    return before_dot


async def converse(script: Script, **values: object) -> Result | None:
    async with serving(script):
        session = SmtpSession(server(script, **values))
        try:
            ended = await session.open()
            if ended is not None:
                return ended
            return await session.deliver("from@example.com", "to@example.com", MESSAGE, answer(True))
        finally:
            await session.close()
