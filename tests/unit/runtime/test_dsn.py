"""Addresses of databases: what is none is refused without a part of the password."""

import pytest

from meter.runtime.dsn import check_dsn, describe_hosts
from meter.runtime.errors import SettingsError
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
