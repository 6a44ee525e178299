"""The hosts of a DSN."""

import pytest

from meter.runtime.postgres.hosts import Host, Hosts, find_hosts


@pytest.mark.parametrize(
    ("dsn", "expected"),
    [
        ("postgresql://db.example.com/metering", [("db.example.com", 5432)]),
        ("postgresql://a:1,b:2/metering?sslmode=verify-full", [("a", 1), ("b", 2)]),
        ("postgresql://user:p%40ss@a,b:6432/metering", [("a", 5432), ("b", 6432)]),
        ("postgres://[::1]:5433,[2001:db8::2]/metering", [("::1", 5433), ("2001:db8::2", 5432)]),
        ("postgresql:///metering?host=a,b&port=1,2", [("a", 1), ("b", 2)]),
        ("postgresql:///metering?host=a&host=b&port=7", [("a", 7), ("b", 7)]),
        ("postgresql:///metering", []),
        ("postgresql://", []),
    ],
)
def test_the_hosts_of_a_dsn_in_its_order(
    dsn: str, expected: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PGPORT", raising=False)
    assert list(find_hosts(dsn)) == [Host(*host) for host in expected]


def test_the_port_of_the_environment_is_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPORT", "7777")
    assert find_hosts("postgresql://a,b:1/x") == (Host("a", 7777), Host("b", 1))


def test_the_host_to_ask_first() -> None:
    hosts = Hosts("postgresql://a:1,b:2/x")
    assert hosts.several
    assert str(hosts.current) == "a:1"
    hosts.ask_last(Host("a", 1))
    assert str(hosts.current) == "b:2"
    hosts.ask_last(Host("b", 2))
    assert str(hosts.current) == "a:1"
    assert not Hosts("postgresql://a/x").several
