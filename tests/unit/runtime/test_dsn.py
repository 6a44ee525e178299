"""Addresses of databases: what is none is refused without a part of the password."""

from typing import Any

import asyncpg
import pytest
from asyncpg import connect_utils

from meter.runtime.dsn import TAKEN, check_dsn, describe_hosts
from meter.runtime.errors import SettingsError
from meter.runtime.postgres import explain_misconfigured
from meter.runtime.settings import Settings, load_settings

GOOD = {
    "postgresql://localhost:5432/metering": "localhost:5432",
    "postgres://role@db.example.com/metering": "db.example.com",
    "postgresql://role:pa%2Fss@db.example.com:6432/metering?sslmode=require": "db.example.com:6432",
    "postgresql://role@a.example.com:5432,b.example.com:5433/metering": "a.example.com:5432, b.example.com:5433",
    "postgresql://role@[2001:db8::1]:5432/metering": "[2001:db8::1]:5432",
    "postgresql:///metering?host=/run/postgresql": "/run/postgresql",
    "postgresql:///metering": "the socket of this machine",
    "postgresql://%2Frun%2Fpostgresql/metering": "%2Frun%2Fpostgresql",
    "postgresql://role:a:b@db.example.com/metering": "db.example.com",
}
BAD = [
    "postgresql://role:se/cret@db.example.com/x", "postgresql://role:se[cret@db.example.com/x",
    "postgresql://role:se?cret@db.example.com/x", "postgresql://role:se#cret@db.example.com/x",
    "postgresql://role:se%cret@db.example.com/x", "secret", "mysql://role:secret@db.example.com/x", "",
    "postgresql://role:secret@db.example.com:99999/x", "postgresql://role:secret@db.example.com:port/x",
]  # fmt: skip


@pytest.mark.parametrize(("dsn", "shown"), GOOD.items())
def test_good_ones_are_told_without_role_and_password(dsn: str, shown: str) -> None:
    assert describe_hosts(check_dsn(dsn)) == shown


@pytest.mark.parametrize("dsn", [dsn for dsn in BAD if dsn])
def test_a_bad_one_is_a_fault_of_its_variable(dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_POSTGRES_DSN", dsn)
    with pytest.raises(SettingsError, match="METERING_POSTGRES_DSN: is no address like postgresql://") as caught:
        load_settings(Settings)
    assert "se" not in str(caught.value).replace("settings", "").replace("database", "").replace("set ", "")


BASE = "postgresql://u@localhost/metering"
# What the driver reads itself (the rest goes to the server), each with a value that it refuses.
REFUSED = {name: f"{BASE}?{name}=nonsense" for name in TAKEN} | {
    "port": "postgresql://u@/metering?host=localhost&port=nonsense",
    "empty port": "postgresql://u@/metering?host=localhost&port=5432,",
    "too many ports": "postgresql://u@/metering?host=localhost&port=5432,5433,5434",
    "no value": f"{BASE}?sslmode",
    "direct": f"{BASE}?sslmode=prefer&sslnegotiation=direct",
    "TLS": f"{BASE}?sslmode=require&ssl_min_protocol_version=SSLv3",
}


def ask_driver(dsn: str) -> None:
    """What asyncpg makes of a DSN before it asks a server."""
    nothing = dict.fromkeys(
        ("host", "port", "user", "password", "passfile", "database", "ssl", "service", "servicefile", "direct_tls",
         "server_settings", "target_session_attrs", "krbsrvname", "gsslib")
    )  # fmt: skip
    parse: Any = vars(connect_utils)["_parse_connect_dsn_and_args"]
    parse(dsn=dsn, **nothing)


@pytest.mark.parametrize("dsn", REFUSED.values(), ids=REFUSED)
def test_a_parameter_that_the_driver_refuses_is_a_fault_of_its_variable(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not of the server and the role, which nobody asked."""
    with pytest.raises((asyncpg.ClientConfigurationError, ValueError)):
        ask_driver(dsn if "sslmode" in dsn else f"{dsn}&sslmode=require")
    monkeypatch.setenv("METERING_POSTGRES_DSN", dsn)
    with pytest.raises(SettingsError, match="METERING_POSTGRES_DSN: has "):
        load_settings(Settings)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, taken in TAKEN.items() for value in taken])
@pytest.mark.filterwarnings("ignore:.*TLSv1.*:DeprecationWarning")
def test_what_is_taken_the_driver_takes(name: str, value: str) -> None:
    dsn = f"{BASE}?{name}={value}" + ("" if name == "sslmode" else "&sslmode=require")
    if not value.startswith("verify"):  # they want the file of an authority
        ask_driver(dsn)
    assert check_dsn(dsn) == dsn


def test_what_the_driver_refuses_of_the_variables_of_libpq_is_not_laid_on_the_server() -> None:
    error = asyncpg.ClientConfigurationError("`sslmode` parameter must be one of: disable, allow")
    said = explain_misconfigured(error, address="localhost:5432", role="u", needed="credit_support")
    assert said is not None and "refuses" not in said and "role" not in said
    assert "METERING_POSTGRES_DSN" in said and "begins with PG" in said
