"""A DSN with several hosts: each has its own time, and the one that took writes last is asked first.

asyncpg gives one timeout to the walk over all hosts, so that a first host that accepts and never answers takes it all,
at every new connection. What is known of the hosts is shared by all connections of the process to one DSN.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, cast
from urllib.parse import parse_qs, unquote
from weakref import WeakKeyDictionary

import asyncpg
from asyncpg.connect_utils import SessionAttribute

from meter.runtime.dsn import holds_password, parameter
from meter.runtime.dsn_parameters import connect_timeout_s, for_driver
from meter.runtime.errors import LoginRefusedError, SettingsError, TransientError, explain
from meter.runtime.postgres.certificates import FollowingTls, check_files, named_file
from meter.runtime.postgres.failures import is_transient
from meter.runtime.settings import Settings
from meter.runtime.tls import explain_certificate

HOST_TIMEOUT_S = 3.0
DEFAULT_PORT = 5432
NO_WRITES = ("standby", "read-only", "prefer-standby")
OF_TWO_PAIRS = "KEY_VALUES_MISMATCH"  # OpenSSL's, also while one of two files is renewed
OF_CERTIFICATES = ("CERTIFICATE", "UNKNOWN_CA", "DECRYPT_ERROR")  # in the names of OpenSSL's alerts
CLOSED = (ConnectionResetError, asyncpg.ConnectionDoesNotExistError)
OF_POOLERS = "unsupported startup parameter"
NO_POOLER = (
    "A pooler such as PgBouncer does that: have METERING_POSTGRES_DSN name Postgres itself. Readers of balances may "
    "use one (deploy/README.md)."
)
AUTHORITY = re.compile(r"^[a-z]+://(?:[^/?#]*@)?([^/?#@]*)", re.IGNORECASE)


class Host(NamedTuple):
    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


def find_hosts(dsn: str) -> tuple[Host, ...]:
    """The hosts of a libpq URI in its order: `//a:1,b:2/db`, or `?host=a,b&port=1,2`. None named: nothing."""
    match = AUTHORITY.match(dsn)
    if match is not None and match[1]:
        return tuple(read_host(part) for part in match[1].split(","))
    query = parse_qs(dsn.partition("?")[2])
    names = [name for part in query.get("host", []) for name in part.split(",")]
    ports = [port for part in query.get("port", []) for port in part.split(",")]
    if len(ports) <= 1:
        ports = (ports or [""]) * len(names)
    return tuple(Host(name, read_port(port)) for name, port in zip(names, ports, strict=False))


def read_host(text: str) -> Host:
    if text.startswith("["):
        name, _, rest = text[1:].partition("]")
        return Host(name, read_port(rest.removeprefix(":")))
    name, _, port = text.partition(":")
    return Host(unquote(name), read_port(port))


def read_port(text: str) -> int:
    text = text or os.environ.get("PGPORT", "")
    return int(text) if text.isdecimal() else DEFAULT_PORT


class NoPrimaryError(TransientError):
    """None of the hosts takes writes right now."""


class Hosts:
    """Opens connections of one DSN, and knows where they lead."""

    def __init__(self, dsn: str, timeout_s: float = HOST_TIMEOUT_S) -> None:
        """Raises SettingsError for files that are not there, and for a server that is not to take writes."""
        check_files(dsn)
        if (kind := parameter(dsn, "target_session_attrs")) in NO_WRITES:
            raise SettingsError(
                f"METERING_POSTGRES_DSN has target_session_attrs={kind}, and this needs a server that takes writes: "
                "leave it out, or write read-write"
            )
        self._dsn = for_driver(dsn)
        self._own_timeout_s = connect_timeout_s(dsn)
        self._timeout_s = self._own_timeout_s or timeout_s
        self.all = find_hosts(dsn)
        self._tls = FollowingTls(dsn)
        self.password: Callable[[], str] | None = None  # asked before each login; None: the DSN's own
        self._first = 0  # the index of the host to ask first
        self._open: WeakKeyDictionary[asyncpg.Connection[Any], Host] = WeakKeyDictionary()

    @property
    def several(self) -> bool:
        return len(self.all) > 1

    @property
    def current(self) -> Host | None:
        """The host that the next connection asks first."""
        return self.all[self._first] if self.all else None

    async def connect(self, dsn: object = None, **options: Any) -> asyncpg.Connection[Any]:
        """A connection to a host that takes writes. Parameters are those of `asyncpg.connect`; a pool gives the DSN as
        well.

        Raises NoPrimaryError, which names every host and what it did, or the error of the one host.
        """
        if self.password is not None:
            options["password"] = self.password
        if not self.several:
            own = {} if self._own_timeout_s is None else {"timeout": self._own_timeout_s}
            return await self._open_one(self.current, {**options, **own})
        return await self._walk({**options, "target_session_attrs": SessionAttribute.read_write})

    async def _open_one(self, host: Host | None, options: dict[str, Any]) -> asyncpg.Connection[Any]:
        """Raises LoginRefusedError where the server cannot be trusted or has no TLS: settings are at fault;
        SettingsError where it is no Postgres but a pooler that refuses the session's settings."""
        try:
            return cast("asyncpg.Connection[Any]", await asyncpg.connect(self._dsn, **options, **self._tls.options()))
        except asyncpg.ProtocolViolationError as error:
            if OF_POOLERS not in str(error):
                raise
            raise SettingsError(
                f"what answers at {host} refuses the limits that services set for their sessions: {explain(error)}. "
                f"{NO_POOLER}"
            ) from error
        except (ssl.SSLError, ConnectionError, FileNotFoundError, asyncpg.ConnectionDoesNotExistError) as error:
            if (refusal := explain_tls(error, parameter(self._dsn, "sslrootcert"))) is None:
                if named_file(self._dsn, "sslcert") is None or not isinstance(error, CLOSED):
                    raise
                # A reset may overtake the alert that says it; the next try may hear it.
                raise TransientError(
                    f"postgres at {host} closed the connection at its start: does it trust the certificate of sslcert?",
                    dependency="postgres",
                ) from error
            raise LoginRefusedError(f"postgres at {host} {refusal}", dependency="postgres") from error

    async def _walk(self, options: dict[str, Any]) -> asyncpg.Connection[Any]:
        failed: list[str] = []
        start = self._first
        for step in range(len(self.all)):
            index = (start + step) % len(self.all)
            host = self.all[index]
            options |= {"host": host.name, "port": host.port, "timeout": self._timeout_s}
            try:
                connection = await self._open_one(host, options)
            except Exception as error:
                if not is_transient(error):
                    raise
                failed.append(f"{host}: {self._explain(error)}")
                continue
            self._first = index
            self._open[connection] = host
            return connection
        raise NoPrimaryError(f"no host takes writes: {'; '.join(failed)}", dependency="postgres")

    def _explain(self, error: BaseException) -> str:
        if isinstance(error, asyncpg.TargetServerAttributeNotMatched):
            return "takes no writes"
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        return explain(error)

    def where(self, connection: asyncpg.Connection[Any]) -> Host | None:
        """The host that a connection leads to, where several are named."""
        return self._open.get(connection)

    def ask_last(self, host: Host) -> None:
        """The next connection asks this host last."""
        self._first = (self.all.index(host) + 1) % len(self.all)

    def end_others(self, kept: asyncpg.Connection[Any]) -> int:
        """End the connections to other hosts than this one's at once, those with statements in flight as well; returns
        their number.

        Their transactions are undone, or at COMMIT their outcome is unknown, as with any lost connection. No cancel
        request is sent.
        """
        now = self._open[kept]
        others = [connection for connection, host in list(self._open.items()) if host != now]
        ended = [connection for connection in others if not connection.is_closed()]
        for connection in others:
            del self._open[connection]
            connection.terminate()
        return len(ended)


def explain_tls(error: Exception, cafile: str | None) -> str | None:
    """What keeps a connection from being encrypted, and what to do; None for anything else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return explain_certificate(error, "METERING_POSTGRES_SSL_CAFILE")
    if (alert := find_alert(error)) is not None:
        return (
            f"wants a certificate of ours that it trusts ({alert}): renew the files that sslcert and sslkey in "
            "METERING_POSTGRES_DSN name, or have the server trust their authority (ssl_ca_file)"
        )
    if isinstance(error, ssl.SSLError) and error.reason == OF_TWO_PAIRS:
        return "is shown no certificate of ours: sslkey is not the key of sslcert. Put both there, of one pair"
    if isinstance(error, ssl.SSLError) and error.library in ("X509", "PEM"):
        return f"cannot be checked: there is no certificate in {cafile}. See METERING_POSTGRES_SSL_CAFILE"
    if isinstance(error, FileNotFoundError) and cafile is not None and not Path(cafile).exists():
        return f"cannot be checked: the authorities are not there in {cafile}. See METERING_POSTGRES_SSL_CAFILE"
    if "rejected SSL upgrade" in str(error):
        return (
            "speaks no TLS: turn it on there, or, where the network between can be trusted, name the host in "
            "METERING_PLAINTEXT_HOSTS"
        )
    return None


def find_alert(error: BaseException | None) -> str | None:
    """What the server said of our certificate: after the handshake, so that the driver tells of a lost connection."""
    while error is not None:
        reason = (error.reason or "") if isinstance(error, ssl.SSLError) else ""
        if "ALERT" in reason and any(word in reason for word in OF_CERTIFICATES):
            return reason.lower().replace("_", " ")
        error = error.__cause__
    return None


def hosts_for(settings: Settings) -> Hosts:
    """Those of a service. From now on each login of the process to this DSN takes the password that is in its file."""
    hosts, file = hosts_of(settings.postgres_dsn), settings.secret_file("postgres_password")
    if file is not None and not holds_password(settings.postgres_dsn):
        hosts.password = file.read
    return hosts


@cache
def hosts_of(dsn: str) -> Hosts:
    return Hosts(dsn)
