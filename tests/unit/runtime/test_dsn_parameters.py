"""Parameters of libpq in METERING_POSTGRES_DSN: each is taken as libpq means it, or refused by name."""

import asyncio
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest
from asyncpg import connect_utils

from meter.runtime.dsn import check_dsn
from meter.runtime.dsn_parameters import ADVICE, HARMLESS, PASSED, connect_timeout_s, for_driver
from meter.runtime.errors import SettingsError, TransientError
from meter.runtime.postgres.hosts import Hosts
from meter.runtime.settings import Settings, load_settings

BASE = "postgresql://u@localhost/metering"
# Of libpq 18: https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS
LIBPQ = {
    "host", "hostaddr", "port", "dbname", "user", "password", "passfile", "require_auth", "channel_binding",
    "connect_timeout", "client_encoding", "options", "application_name", "fallback_application_name", "keepalives",
    "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout", "replication", "gssencmode",
    "sslmode", "requiressl", "sslnegotiation", "sslcompression", "sslcert", "sslkey", "sslkeylogfile",
    "sslpassword", "sslcertmode", "sslrootcert", "sslcrl", "sslcrldir", "sslsni", "requirepeer",
    "ssl_min_protocol_version", "ssl_max_protocol_version", "min_protocol_version", "max_protocol_version",
    "krbsrvname", "gsslib", "gssdelegation", "scram_client_key", "scram_server_key", "service", "servicefile",
    "target_session_attrs", "load_balance_hosts", "oauth_issuer", "oauth_client_id", "oauth_client_secret",
    "oauth_scope",
}  # fmt: skip
FOR_SERVER = {"application_name", "options"}  # what a session may be given


def laid_on_server(dsn: str) -> set[str]:
    """What the driver sends as settings of the session."""
    names = (
        "host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile", "direct_tls",
        "server_settings", "target_session_attrs", "krbsrvname", "gsslib",
    )  # fmt: skip
    parse: Any = vars(connect_utils)["_parse_connect_dsn_and_args"]
    _, parameters = parse(dsn=dsn, **dict.fromkeys(names))
    return set(parameters.server_settings or {})


def test_every_parameter_of_libpq_is_known() -> None:
    ours = PASSED | {"connect_timeout", "fallback_application_name"} | HARMLESS.keys() | ADVICE.keys()
    assert ours - {"database"} == LIBPQ
    assert not ADVICE.keys() & PASSED and HARMLESS.keys() <= ADVICE.keys()


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in HARMLESS.items() for value in values])
def test_what_happens_anyway_is_taken_and_not_laid_on_the_server(name: str, value: str) -> None:
    dsn = f"{BASE}?{name}={value}&application_name=billing"
    assert check_dsn(dsn) == dsn
    assert laid_on_server(for_driver(dsn)) == {"application_name"}
    assert laid_on_server(dsn) == {"application_name", name}, "the driver does it by itself: take this away"


@pytest.mark.parametrize("name", ADVICE)
def test_what_cannot_be_taken_is_refused_by_its_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_POSTGRES_DSN", f"{BASE}?{name}=require")
    with pytest.raises(SettingsError, match=f"METERING_POSTGRES_DSN: has {name}, which cannot be taken so: ") as caught:
        load_settings(Settings)
    assert ADVICE[name] in str(caught.value)


@pytest.mark.parametrize(
    ("query", "seen", "seconds"),
    [
        ("connect_timeout=10", "", 10.0),
        ("connect_timeout=0", "", None),
        ("sslmode=disable&connect_timeout=3", "?sslmode=disable", 3.0),
        ("connect_timeout=3&options=-c%20geqo%3Doff", "?options=-c%20geqo%3Doff", 3.0),
        ("fallback_application_name=billing", "?application_name=billing", None),
        ("fallback_application_name=x&application_name=billing", "?application_name=billing", None),
        ("", "", None),
    ],
)
def test_what_the_driver_sees(query: str, seen: str, seconds: float | None) -> None:
    dsn = f"{BASE}?{query}" if query else BASE
    assert check_dsn(dsn) == dsn
    assert (for_driver(dsn), connect_timeout_s(dsn)) == (BASE + seen, seconds)
    assert laid_on_server(for_driver(dsn)) <= FOR_SERVER


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("connect_timeout=soon", "connect_timeout that is no whole number of seconds"),
        ("statement_timeout=5", "libpq does not know, statement_timeout.* options=-c%20name%3Dvalue"),
        ("sslmoed=require", "libpq does not know, sslmoed: correct its name"),
        ("password=hun&ter2=x", "or a password with & in it: write %26 there"),
    ],
)
def test_another_one_is_refused(query: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_POSTGRES_DSN", f"{BASE}?{query}")
    with pytest.raises(SettingsError, match=f"METERING_POSTGRES_DSN: has .*{said}") as caught:
        load_settings(Settings)
    assert "ter2" not in str(caught.value)


@pytest.fixture
def key_pair(tmp_path: Path) -> Path:
    """cert.pem and key.pem, and other.pem, a key of nobody's."""
    for name in ("key", "other"):
        subject = ["-subj", "/CN=u", "-days", "1", "-nodes", "-newkey", "rsa:2048"]
        files = ["-keyout", f"{tmp_path}/{name}.pem", "-out", f"{tmp_path}/cert-{name}.pem"]
        subprocess.run(["openssl", "req", "-x509", *subject, *files], check=True, capture_output=True)
    (tmp_path / "text.pem").write_text("no certificate")
    return tmp_path


@pytest.mark.parametrize("tls", ["sslmode=require", "sslrootcert=system&sslmode=verify-full"])
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("sslcert=D/gone.pem", "sslcert in METERING_POSTGRES_DSN names D/gone.pem, which cannot be read: No such file"),
        ("sslcert=D/cert-key.pem&sslkey=D/gone.pem", "sslkey in METERING_POSTGRES_DSN names D/gone.pem"),
        ("sslcert=D/text.pem", "sslcert in METERING_POSTGRES_DSN: there is no certificate in PEM with its key"),
        ("sslcert=D/cert-key.pem&sslkey=D/other.pem", "there is no certificate in PEM with its key"),
        ("sslcrl=D/gone.pem", "sslcrl in METERING_POSTGRES_DSN names D/gone.pem"),
        ("sslcrl=D/text.pem", "sslcrl in METERING_POSTGRES_DSN names D/text.pem, which holds no revocation list"),
        ("target_session_attrs=standby", "target_session_attrs=standby, and this needs a server that takes writes"),
        ("sslcert=D/cert-key.pem&sslkey=D/key.pem", ""),
    ],
)
def test_files_that_cannot_be_used_are_refused_by_name(key_pair: Path, query: str, said: str, tls: str) -> None:
    dsn = f"{BASE}?{tls}&{query.replace('D/', quote(str(key_pair), safe='') + '%2F')}"
    assert check_dsn(dsn) == dsn
    if not said:
        assert Hosts(dsn).current is not None
        return
    with pytest.raises(SettingsError) as caught:
        Hosts(dsn)
    assert said.replace("D/", f"{key_pair}/") in str(caught.value)


def test_a_variable_of_libpq_is_named(key_pair: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSSLCERT", f"{key_pair}/gone.pem")
    with pytest.raises(SettingsError, match=r"PGSSLCERT names .*gone\.pem, which cannot be read"):
        Hosts(f"{BASE}?sslmode=require")
    Hosts(f"{BASE}?sslmode=disable")


@pytest.mark.parametrize("name", ["sslpassword", "sslcrl", "ssl_min_protocol_version"])
def test_what_the_authorities_of_the_system_would_leave_out_is_refused(name: str, key_pair: Path) -> None:
    value = quote(f"{key_pair}/cert-key.pem", safe="") if name == "sslcrl" else "TLSv1.3"
    with pytest.raises(SettingsError, match=f"have {name}, which the driver takes with a file of authorities alone"):
        Hosts(f"{BASE}?sslrootcert=system&sslmode=verify-full&{name}={value}")


@pytest.mark.parametrize("query", ["", "sslcert=D/cert-key.pem&sslkey=D/key.pem"])
async def test_a_server_that_closes_at_the_start_may_distrust_our_certificate(
    key_pair: Path, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The alert that would say so is lost where the reset of the connection overtakes it."""

    async def close(*_arguments: object, **_options: object) -> None:
        await asyncio.sleep(0)
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    monkeypatch.setattr("asyncpg.connect", close)
    dsn = f"postgresql://db.example.com/x?sslmode=require&{query.replace('D/', f'{key_pair}/')}".rstrip("&")
    with pytest.raises(TransientError if query else asyncpg.ConnectionDoesNotExistError) as caught:
        await Hosts(dsn).connect()
    assert ("does it trust the certificate of sslcert?" in str(caught.value)) is bool(query)
