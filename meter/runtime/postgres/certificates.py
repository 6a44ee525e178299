"""The certificate that we show to Postgres, and its revocation list: looked at before the driver does, which says of a
file that is not there neither which it is nor who named it."""

from __future__ import annotations

import os
import ssl
from typing import NamedTuple

from meter.runtime.dsn import SYSTEM_AUTHORITIES, parameter
from meter.runtime.errors import SettingsError, explain
from meter.runtime.tls import FollowingContext

VARIABLES = {"sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY", "sslcrl": "PGSSLCRL"}  # libpq's
FILE_ONLY = ("sslpassword", "sslcrl", "ssl_min_protocol_version", "ssl_max_protocol_version")


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


def system_context(dsn: str) -> FollowingContext | None:
    """With the authorities of the system, where the DSN asks for these: asyncpg knows none. Raises SettingsError."""
    if parameter(dsn, "sslrootcert") != SYSTEM_AUTHORITIES:
        return None
    if lost := [name for name in FILE_ONLY if parameter(dsn, name) or os.environ.get(VARIABLES.get(name, ""))]:
        raise SettingsError(
            f"METERING_POSTGRES_DSN or libpq's variables have {', '.join(lost)}, which the driver takes with a file of "
            "authorities alone: name one in METERING_POSTGRES_SSL_CAFILE, or leave it out"
        )
    certificate, key = named_file(dsn, "sslcert"), named_file(dsn, "sslkey")
    return FollowingContext.of(None, certificate and certificate.file, key.file if certificate and key else None)
