"""Which hosts connections may go to without TLS: this machine, and those that a setting names. Pure."""

import ipaddress
from collections.abc import Collection, Iterable

LOCAL_NAMES = ("", "localhost", "localhost.localdomain")


def is_local(host: str) -> bool:
    """Whether what is sent there stays on this machine: its own names, loopback addresses, sockets in a directory."""
    name = host.strip("[]").rstrip(".").lower()
    if name in LOCAL_NAMES or name.endswith(".localhost") or name.startswith(("/", "@")):
        return True
    try:
        return ipaddress.ip_address(name.partition("%")[0]).is_loopback
    except ValueError:
        return False


def read_hosts(text: str) -> frozenset[str]:
    """The hosts of a list with commas."""
    return frozenset(part.strip().lower() for part in text.split(",") if part.strip())


def away(hosts: Iterable[str]) -> list[str]:
    """Those of the hosts that are not this machine."""
    return [host for host in hosts if not is_local(host)]


def may_be_plain(hosts: Iterable[str], allowed: Collection[str]) -> bool:
    """Whether all of these hosts are this machine or stand in the list."""
    return all(host.lower() in allowed for host in away(hosts))


def bootstrap_hosts(bootstrap: str) -> list[str]:
    """The hosts of Kafka's list of brokers, `host:port,host:port`."""
    return [host_of(part.strip()) for part in bootstrap.split(",") if part.strip()]


def host_of(broker: str) -> str:
    if broker.startswith("["):
        return broker[1:].partition("]")[0]
    return broker.rpartition(":")[0] or broker
