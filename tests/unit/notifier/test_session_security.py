"""Encryption, certificates and passwords of an SMTP conversation."""

import base64
import shutil
import ssl
from dataclasses import replace
from pathlib import Path

import pytest

from meter.runtime.settings import load_settings
from notifier.mail.session import SmtpServer, SmtpSession, make_tls
from notifier.mail.verdict import Phase
from notifier.settings import NotifierSettings
from tests.support.certificates import NAME, Certificates, server_context
from tests.unit.notifier.conftest import Certificate
from tests.unit.notifier.conversing import MESSAGE, answer, converse, server
from tests.unit.notifier.scripted import Script, serving


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
