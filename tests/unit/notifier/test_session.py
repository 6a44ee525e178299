"""One SMTP conversation with a server that fails at every step: the phase and the reply must come out right."""

import asyncio
import base64
import shutil
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from meter.runtime.settings import load_settings
from notifier.mail.session import SmtpServer, SmtpSession, make_tls, quote_body
from notifier.mail.verdict import Phase, Result
from notifier.settings import NotifierSettings
from tests.support import until
from tests.support.certificates import NAME, Certificates, server_context
from tests.unit.notifier.conftest import Certificate
from tests.unit.notifier.scripted import DROP, HANG, LATE, Script, serving

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


async def test_a_mail_is_accepted() -> None:
    script = Script()
    result = await converse(script)
    assert result == Result(Phase.DOT, 250, "accepted")
    assert script.bodies == [b"Subject: hello\r\n\r\n..dots\r\nand more\r\n"]
    assert script.seen == [
        "EHLO example.com", "MAIL FROM:<from@example.com>", "RCPT TO:<to@example.com>", "DATA", "QUIT",
    ]  # fmt: skip


@pytest.mark.parametrize("phase", ["ehlo", "mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("reply", ["421 4.3.2 going down", "451 4.3.0 later", "550 5.1.1 never", "999 what"])
async def test_a_refusal_is_told_with_its_phase_and_code(phase: str, reply: str) -> None:
    result = await converse(Script({phase: [reply]}))
    assert result is not None
    assert (result.phase, result.code) == (Phase(phase), int(reply[:3]))
    assert result.detail == reply[4:]


@pytest.mark.parametrize(("phase", "told"), [
    ("greeting", Phase.CONNECT), ("ehlo", Phase.EHLO), ("mail", Phase.MAIL), ("rcpt", Phase.RCPT), ("data", Phase.DATA),
    ("dot", Phase.DOT),
])  # fmt: skip
@pytest.mark.parametrize("how", [DROP, HANG, "not an SMTP reply"])
async def test_a_lost_connection_a_silent_server_and_nonsense_have_a_phase_and_no_code(
    phase: str, told: Phase, how: str
) -> None:
    own = "dot_timeout_s" if phase == "dot" else "timeout_s"
    result = await converse(Script({phase: [how]}), **({own: SILENCE_S} if how == HANG else {}))
    assert result is not None
    assert (result.phase, result.code, result.setup) == (told, None, False)
    assert result.handed_over == (told is Phase.DOT)


@pytest.mark.parametrize(("reply", "code"), [("421 too busy", 421), ("554 go away", 554)])
async def test_a_greeting_that_refuses(reply: str, code: int) -> None:
    result = await converse(Script({"greeting": [reply]}))
    assert result is not None and (result.phase, result.code) == (Phase.CONNECT, code)


async def test_nobody_listens() -> None:
    script = Script()
    async with serving(script):
        pass
    result = await SmtpSession(server(script)).open()
    assert result is not None and (result.phase, result.code, result.setup) == (Phase.CONNECT, None, False)


async def test_a_connection_lost_before_the_dot_is_not_in_doubt() -> None:
    script = Script()
    async with serving(script):
        session = SmtpSession(server(script))
        assert await session.open() is None

        async def lose() -> bool:
            assert session._client is not None and session._client.protocol is not None
            lost = session._client.protocol
            lost.transport.abort()  # type: ignore[union-attr]
            return await until(lambda: not lost.is_connected, message="the connection stays")

        result = await session.deliver("from@example.com", "to@example.com", MESSAGE, lose)
        assert result is not None and result.phase is Phase.BODY and not result.handed_over
        assert script.bodies == [] and not session.is_open


async def test_a_server_that_gives_up_during_the_body_has_not_accepted_it() -> None:
    script = Script(during_body="421 4.4.2 too slow")
    result = await converse(script)
    assert result is not None and result.code == 421 and not result.handed_over
    assert script.bodies == []


async def test_a_no_before_the_dot_keeps_the_mail_from_being_accepted() -> None:
    script = Script()
    async with serving(script):
        session = SmtpSession(server(script))
        assert await session.open() is None
        assert await session.deliver("from@example.com", "to@example.com", MESSAGE, answer(False)) is None
        assert script.bodies == [] and not session.is_open


async def test_the_last_reply_has_a_deadline_of_its_own() -> None:
    script = Script({"dot": [HANG]})
    async with serving(script):
        session = SmtpSession(server(script, dot_timeout_s=SILENCE_S))
        assert await session.open() is None
        result = await session.deliver("from@example.com", "to@example.com", MESSAGE, answer(True))
        assert result is not None and result.handed_over


async def test_a_reply_to_the_dot_may_take_longer_than_any_other() -> None:
    script = Script({"dot": [LATE]})
    async with serving(script):
        session = SmtpSession(server(script, timeout_s=SILENCE_S))
        assert await session.open() is None
        delivering = asyncio.create_task(session.deliver("from@example.com", "to@example.com", MESSAGE, answer(True)))
        await script.dot_seen.wait()
        asyncio.get_running_loop().call_later(1.5 * SILENCE_S, script.release.set)
        assert await delivering == Result(Phase.DOT, 250, "at last")
        await session.close()


async def test_the_session_is_used_again_after_a_refusal() -> None:
    script = Script({"rcpt bad@example.com": ["550 5.1.1 no such user"]})
    async with serving(script):
        session = SmtpSession(server(script))
        assert await session.open() is None
        refused = await session.deliver("from@example.com", "bad@example.com", MESSAGE, answer(True))
        assert refused is not None and refused.code == 550 and session.is_open
        for _ in range(2):
            accepted = await session.deliver("from@example.com", "good@example.com", MESSAGE, answer(True))
            assert accepted is not None and accepted.code == 250
        await session.close()
    assert script.connections == 1 and script.commands("rset") == ["RSET"] and len(script.bodies) == 2


# --- encryption and passwords ----------------------------------------------------------------------------------------


async def test_auto_encrypts_where_it_is_offered_and_says_hello_again(certificate: Certificate) -> None:
    script = Script(extensions=("STARTTLS",), tls=certificate.server())
    result = await converse(script, host="localhost", tls=make_tls(str(certificate.certificate), verify=True))
    assert result is not None and result.code == 250
    assert len(script.commands("ehlo")) == 2 and script.commands("starttls")


async def test_starttls_is_required_where_it_is_asked_for() -> None:
    result = await converse(Script(), security="starttls")
    assert result is not None and (result.phase, result.code, result.setup) == (Phase.TLS, None, True)


async def test_a_certificate_that_is_not_trusted_is_our_fault_to_mend(certificate: Certificate) -> None:
    script = Script(extensions=("STARTTLS",), tls=certificate.server())
    result = await converse(script, host="localhost", tls=ssl.create_default_context())
    assert result is not None and (result.phase, result.setup) == (Phase.TLS, True)
    assert result.detail.startswith("the mail server shows a certificate that is not trusted")
    assert script.commands("mail") == []


async def test_without_verification_any_certificate_will_do(certificate: Certificate) -> None:
    script = Script(extensions=("STARTTLS",), tls=certificate.server())
    result = await converse(script, security="starttls", tls=make_tls(None, verify=False))
    assert result is not None and result.code == 250


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        ("other_name", "for another host name"),
        ("expired", "that has expired"),
    ],
)
async def test_what_is_wrong_with_a_certificate_is_said(shown: str, words: str, tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    script = Script(extensions=("STARTTLS",), tls=server_context(getattr(certificates, shown)()))
    result = await converse(script, host="localhost", tls=make_tls(certificates.cafile, verify=True))
    assert result is not None and (result.phase, result.setup) == (Phase.TLS, True)
    assert result.detail.startswith(f"the mail server shows a certificate {words}")


async def test_tls_from_the_first_byte(certificate: Certificate) -> None:
    script, trusted = Script(), make_tls(str(certificate.certificate), verify=True)
    async with serving(script, certificate.server()):
        session = SmtpSession(server(script, host="localhost", security="tls", tls=trusted))
        assert await session.open() is None
        result = await session.deliver("from@example.com", "to@example.com", MESSAGE, answer(True))
        await session.close()
    assert result is not None and result.code == 250


async def test_tls_against_a_server_that_does_not_speak_it() -> None:
    result = await converse(Script(), security="tls", host="localhost")
    assert result is not None and result.code is None and result.phase in (Phase.TLS, Phase.CONNECT)


async def test_a_password_is_not_sent_in_clear_unless_it_is_asked_for() -> None:
    script = Script(extensions=("AUTH PLAIN",))
    result = await converse(script, username="us", password=lambda: "secret")
    assert result is not None and (result.phase, result.setup) == (Phase.AUTH, True)
    assert script.commands("auth") == []
    script = Script(extensions=("AUTH PLAIN",))
    result = await converse(script, username="us", password=lambda: "secret", security="none")
    assert result is not None and result.code == 250 and len(script.commands("auth")) == 1


async def test_a_refused_password_is_told() -> None:
    script = Script({"auth": ["535 5.7.8 no"]}, extensions=("AUTH PLAIN",))
    result = await converse(script, username="us", password=lambda: "secret", security="none")
    assert result is not None and (result.phase, result.code) == (Phase.AUTH, 535)
    assert "secret" not in result.detail


async def test_a_server_without_auth_is_told() -> None:
    result = await converse(Script(), username="us", password=lambda: "secret", security="none")
    assert result is not None and (result.phase, result.setup) == (Phase.AUTH, True)


async def test_a_new_password_and_certificates_count_from_the_next_connection_on(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By their files; the server asks for a certificate of an authority that it trusts, and for a password."""
    first, second = Certificates(folder(tmp_path, "first")), Certificates(folder(tmp_path, "second"))
    files = {name: tmp_path / name for name in ("ca.pem", "tls.crt", "tls.key", "password")}
    install(files, first, "old one")
    for name, file in {
        "cafile": "ca.pem",
        "certfile": "tls.crt",
        "keyfile": "tls.key",
        "password_file": "password",
    }.items():
        monkeypatch.setenv(f"METERING_SMTP_{name.upper()}", str(files[file]))
    for name, value in {"host": NAME, "security": "starttls", "username": "us"}.items():
        monkeypatch.setenv(f"METERING_SMTP_{name.upper()}", value)
    settings, script = load_settings(NotifierSettings), Script()
    async with serving(script):
        own = replace(SmtpServer.of(settings), port=script.port)
        for certificates, password in ((first, "old one"), (second, "new one")):
            expect(script, certificates, password)
            if password == "new one":
                assert await SmtpSession(own).open() is not None, "nothing of the old counts any more"
                install(files, certificates, password)
                expect(script, certificates, password)
            session = SmtpSession(own)
            assert await session.open() is None
            await session.close()


def folder(parent: Path, name: str) -> Path:
    made = parent / f"of-{name}"
    made.mkdir()
    return made


def install(files: dict[str, Path], certificates: Certificates, password: str) -> None:
    certificate, key = certificates.client("credit-notifier")
    for name, source in {"ca.pem": certificates.cafile, "tls.key": key, "tls.crt": certificate}.items():
        shutil.copy(source, files[name])
    files["password"].write_text(f"{password}\n")


def expect(script: Script, certificates: Certificates, password: str) -> None:
    """From the next connection on, with the certificates of this authority and this password alone."""
    script.tls = server_context(certificates.server())
    script.tls.verify_mode = ssl.CERT_REQUIRED
    certificates.authority.configure_trust(script.tls)
    script.extensions = ("STARTTLS", "AUTH PLAIN")
    plain = base64.b64encode(f"\0us\0{password}".encode()).decode()
    script.replies = {f"auth PLAIN {plain}": ["235 welcome"], "auth": ["535 5.7.8 no"]}


def test_leading_dots_are_doubled_and_the_end_is_a_line_end() -> None:
    assert quote_body(b".a\r\n..b\r\nc.") == b"..a\r\n...b\r\nc.\r\n"
