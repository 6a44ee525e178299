"""The files of TLS to Postgres: followed while the process runs, and looked at before the driver does, which says of a
file that is not there neither which it is nor who named it."""

from __future__ import annotations

import os
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from meter.runtime.dsn import CHECKED_MODES, SYSTEM_AUTHORITIES, parameter
from meter.runtime.errors import SettingsError, explain
from meter.runtime.tls import FollowingContext

VARIABLES = {"sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslcrl": "PGSSLCRL"}  # libpq's
FILE_ONLY = ("sslpassword", "sslcrl", "ssl_min_protocol_version", "ssl_max_protocol_version")
FOUND_BY_DRIVER = tuple(f"~/.postgresql/{name}" for name in ("postgresql.crt", "postgresql.key", "root.crl"))
PROTOCOL = "postgresql"  # by ALPN, which sslnegotiation=direct needs


class Named(NamedTuple):
    """A file, and what names it."""

    file: str
    by: str


def named_file(dsn: str, name: str) -> Named | None:
    if file := parameter(dsn, name):
        return Named(file, f"{name} in METERING_POSTGRES_DSN")
    file = os.environ.get(VARIABLES[name])
    return Named(file, VARIABLES[name]) if file else None


def check_files(dsn: str) -> None:
    """Raises SettingsError for files that cannot be used. Without TLS nobody reads them."""
    if parameter(dsn, "sslmode") == "disable":
        return
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    certificate, key, revoked = (named_file(dsn, name) for name in VARIABLES)
    for named in filter(None, (certificate, key, revoked)):
        try:
            open(named.file, "rb").close()
        except OSError as error:
            raise SettingsError(
                f"{named.by} names {named.file}, which cannot be read: {error.strerror or explain(error)}. Put the "
                f"file there, or correct or take out {named.by}"
            ) from None
    if certificate is not None:
        try:
            password = parameter(dsn, "sslpassword") or ""
            context.load_cert_chain(certificate.file, key.file if key else None, password=lambda: password)
        except (OSError, ValueError):
            where = f"{certificate.by} and {key.by}" if key else certificate.by
            raise SettingsError(
                f"{where}: there is no certificate in PEM with its key, or the key needs another password "
                "(sslpassword). Put both there, the certificate first"
            ) from None
    if revoked is not None:
        try:
            context.load_verify_locations(cafile=revoked.file)
        except OSError:
            raise SettingsError(f"{revoked.by} names {revoked.file}, which holds no revocation list in PEM") from None


class FollowingTls:
    """The TLS of all connections to one DSN. Where the server is checked its files are followed, as for Kafka: one that
    is half written or away leaves the one before in force. Otherwise, and with a parameter that only the driver takes
    (FILE_ONLY, files in ~/.postgresql), the driver reads them anew for each connection."""

    def __init__(self, dsn: str) -> None:
        """Raises SettingsError for what the authorities of the system do not go with."""
        self._ours, authorities = follows(dsn), parameter(dsn, "sslrootcert")
        self._authorities = None if authorities == SYSTEM_AUTHORITIES else authorities
        certificate, key = named_file(dsn, "sslcert"), named_file(dsn, "sslkey")
        self._own = (certificate.file, key.file if key else None) if certificate else (None, None)
        self._names = self._authorities is None or parameter(dsn, "sslmode") != "verify-ca"
        self._context: FollowingContext | None = None

    def options(self) -> dict[str, Any]:
        """What `asyncpg.connect` takes beside the DSN. Raises OSError for files that cannot be used at the first
        connection."""
        if not self._ours:
            return {}
        if self._context is None:
            self._context = FollowingContext.reading(
                self._authorities, *self._own, names=self._names, protocols=(PROTOCOL,)
            )
        return {"ssl": self._context}


def follows(dsn: str) -> bool:
    """Whether the context is ours. Raises SettingsError."""
    own = [name for name in FILE_ONLY if parameter(dsn, name) or os.environ.get(VARIABLES.get(name, ""))]
    if parameter(dsn, "sslrootcert") != SYSTEM_AUTHORITIES:
        named = parameter(dsn, "sslmode") in CHECKED_MODES and parameter(dsn, "sslrootcert") is not None
        return named and not own and not any(Path(file).expanduser().exists() for file in FOUND_BY_DRIVER)
    if own:
        raise SettingsError(
            f"METERING_POSTGRES_DSN or libpq's variables have {', '.join(own)}, which the driver takes with a file of "
            "authorities alone: name one in METERING_POSTGRES_SSL_CAFILE, or leave it out"
        )
    return True
