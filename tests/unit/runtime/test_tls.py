"""Certificates: what is refused is said in a sentence that tells why; what is replaced counts without a restart."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from meter.runtime.errors import SettingsError
from meter.runtime.tls import FollowingContext, explain_certificate

VARIABLE = "METERING_KAFKA_SSL_CAFILE"
NAME = "localhost"


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(certificate: trustme.LeafCert, trusted: trustme.CA | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    if trusted is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        trusted.configure_trust(context)
    return context


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[str]]]:
    """A server's port, and the serial numbers of the clients' certificates that it saw."""
    seen: list[str] = []

    async def accept(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = writer.get_extra_info("peercert") or {}
        seen.append(str(peer.get("serialNumber", "")))
        writer.write(b"hello")
        writer.close()

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def shake_hands(port: int, context: ssl.SSLContext, name: str = NAME) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=name)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


def write(path: Path, authority: trustme.CA) -> str:
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def put(path: Path, content: bytes) -> None:
    """In one step, as tools that renew certificates do it."""
    beside = path.with_suffix(".new")
    beside.write_bytes(content)
    beside.replace(path)


def write_client(folder: Path, certificate: trustme.LeafCert) -> tuple[str, str]:
    files = str(folder / "client.pem"), str(folder / "client.key")
    for file, blob in zip(files, (certificate.cert_chain_pems[0], certificate.private_key_pem), strict=True):
        put(Path(file), blob.bytes())
    return files


async def test_a_good_certificate_is_taken(authority: trustme.CA, tmp_path: Path) -> None:
    context = FollowingContext.of(write(tmp_path / "ca.pem", authority))
    async with serving(server_context(authority.issue_cert(NAME))) as (port, _):
        assert await shake_hands(port, context) == b"hello"


def expired(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert(NAME, not_before=DAY_BEFORE - timedelta(days=1), not_after=DAY_BEFORE)


def not_yet(authority: trustme.CA) -> trustme.LeafCert:
    return authority.issue_cert(NAME, not_before=datetime.now(UTC) + timedelta(days=1))


DAY_BEFORE = datetime.now(UTC) - timedelta(days=1)


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("authority", f"that is not trusted (unable to get local issuer certificate): {VARIABLE}"),
        ("name", "for another host name (Hostname mismatch, certificate is not valid for 'localhost'.)"),
        ("expired", "that has expired (certificate has expired)"),
        ("not yet", "that is not valid yet (certificate is not yet valid)"),
    ],
)
async def test_a_bad_certificate_is_refused_with_its_fault(
    kind: str, words: str, authority: trustme.CA, tmp_path: Path
) -> None:
    shown = {
        "authority": lambda: trustme.CA().issue_cert(NAME),
        "name": lambda: authority.issue_cert("elsewhere.example.com"),
        "expired": lambda: expired(authority),
        "not yet": lambda: not_yet(authority),
    }[kind]()
    context = FollowingContext.of(write(tmp_path / "ca.pem", authority))
    async with serving(server_context(shown)) as (port, _):
        with pytest.raises(ssl.SSLCertVerificationError) as caught:
            await shake_hands(port, context)
    said = explain_certificate(caught.value, VARIABLE)
    assert said.startswith("shows a certificate ") and words in said


async def test_a_new_authority_counts_from_the_next_handshake_and_the_old_one_no_more(tmp_path: Path) -> None:
    old, new = trustme.CA(), trustme.CA()
    context = FollowingContext.of(write(tmp_path / "ca.pem", old))
    async with (
        serving(server_context(old.issue_cert(NAME))) as (old_port, _),
        serving(server_context(new.issue_cert(NAME))) as (new_port, _),
    ):
        with pytest.raises(ssl.SSLCertVerificationError):
            await shake_hands(new_port, context)
        put(tmp_path / "ca.pem", new.cert_pem.bytes())
        assert await shake_hands(new_port, context) == b"hello"
        with pytest.raises(ssl.SSLCertVerificationError):
            await shake_hands(old_port, context)


async def test_a_new_certificate_of_ours_is_shown_from_the_next_handshake(
    authority: trustme.CA, tmp_path: Path
) -> None:
    first, second = authority.issue_cert("one.example.com"), authority.issue_cert("two.example.com")
    context = FollowingContext.of(write(tmp_path / "ca.pem", authority), *write_client(tmp_path, first))
    async with serving(server_context(authority.issue_cert(NAME), trusted=authority)) as (port, seen):
        await shake_hands(port, context)
        write_client(tmp_path, second)
        await shake_hands(port, context)
        await shake_hands(port, context)
    assert len(seen) == 3 and seen[0] != seen[1] == seen[2]


async def test_a_protocol_is_offered_and_a_name_may_be_another(authority: trustme.CA, tmp_path: Path) -> None:
    """`sslnegotiation=direct` of Postgres needs the first, `sslmode=verify-ca` the second."""
    server = server_context(authority.issue_cert("elsewhere.example.com"))
    server.set_alpn_protocols(["other", "postgresql"])
    context = FollowingContext.reading(write(tmp_path / "ca.pem", authority), names=False, protocols=("postgresql",))
    async with serving(server) as (port, _):
        _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=NAME)
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == "postgresql"
        writer.close()
        await writer.wait_closed()


async def test_a_half_written_file_leaves_the_one_before_in_force(
    authority: trustme.CA, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = write(tmp_path / "ca.pem", authority)
    context = FollowingContext.of(file)
    put(Path(file), b"-----BEGIN CERTIFICATE-----\nMIIB")
    async with serving(server_context(authority.issue_cert(NAME))) as (port, _):
        assert await shake_hands(port, context) == b"hello"
    [line] = caplog.messages
    assert line.startswith("certificates_unreadable: ") and file in line


def test_files_that_are_not_there_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"No such file.*none\.pem.*_CAFILE"):
        FollowingContext.of(str(tmp_path / "none.pem"))
    (tmp_path / "empty.pem").touch()
    with pytest.raises(SettingsError, match=r"cannot be read from .*empty\.pem"):
        FollowingContext.of(str(tmp_path / "empty.pem"))


def test_without_verification_neither_name_nor_authority_counts() -> None:
    context = FollowingContext.of(None, verify=False)
    assert (context.check_hostname, context.verify_mode) == (False, ssl.CERT_NONE)
