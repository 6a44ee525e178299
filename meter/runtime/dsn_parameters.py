"""Parameters of an address of a database: what libpq knows and the driver does not. Pure.

asyncpg lays each that it does not know on the server as a setting of the session, and the server then refuses what it
never heard of. So here each parameter of libpq is taken as libpq means it, or refused by its name with what to do.
https://www.postgresql.org/docs/18/libpq-connect.html#LIBPQ-PARAMKEYWORDS
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs

# The driver reads them as libpq does; the last two are for the server, whoever connects.
PASSED: Final = frozenset(
    {"host", "port", "dbname", "database", "user", "password", "passfile", "service", "sslmode", "sslnegotiation",
     "sslcert", "sslkey", "sslpassword", "sslrootcert", "sslcrl", "ssl_min_protocol_version",
     "ssl_max_protocol_version", "target_session_attrs", "krbsrvname", "gsslib", "application_name", "options"}
)  # fmt: skip
# We read them ourselves.
CONNECT_TIMEOUT: Final = "connect_timeout"  # seconds for each host; 0 and less: our own limit
FALLBACK_NAME: Final = "fallback_application_name"
# With these values what happens is what libpq means: they are left out of what the driver sees.
HARMLESS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "channel_binding": ("disable", "prefer"),
        "client_encoding": ("auto", "UTF8", "utf8", "UTF-8", "utf-8"),
        "gssdelegation": ("0",),
        "gssencmode": ("disable", "prefer"),
        "keepalives": ("1",),
        "load_balance_hosts": ("disable",),
        "max_protocol_version": ("3.0", "latest"),
        "min_protocol_version": ("3.0",),
        "replication": ("false", "off", "no", "0"),
        "requiressl": ("0",),
        "sslcertmode": ("allow",),
        "sslcompression": ("0",),
        "sslsni": ("1",),
    }
)
OWN_KEEPALIVE: Final = "leave it out: every connection is watched, by keepalive and TCP_USER_TIMEOUT"
OWN_LOGIN: Final = "leave it out: the server's pg_hba.conf says how to log in"
# What to do about what is not supported, or has another value than above.
ADVICE: Final[Mapping[str, str]] = MappingProxyType(
    {
        "channel_binding": "leave it out: the driver binds no channel; sslmode=verify-full proves who the server is",
        "client_encoding": "leave it out: text is UTF-8",
        "gssdelegation": OWN_LOGIN,
        "gssencmode": "leave it out: connections are encrypted with TLS (sslmode)",
        "hostaddr": "write the address in place of the host",
        "keepalives": OWN_KEEPALIVE,
        "keepalives_count": OWN_KEEPALIVE,
        "keepalives_idle": OWN_KEEPALIVE,
        "keepalives_interval": OWN_KEEPALIVE,
        "load_balance_hosts": "leave it out: the host that takes writes is asked first",
        "max_protocol_version": "leave it out: the driver speaks version 3.0",
        "min_protocol_version": "leave it out: the driver speaks version 3.0",
        "oauth_client_id": OWN_LOGIN,
        "oauth_client_secret": OWN_LOGIN,
        "oauth_issuer": OWN_LOGIN,
        "oauth_scope": OWN_LOGIN,
        "replication": "leave it out: nothing here replicates",
        "require_auth": OWN_LOGIN,
        "requirepeer": "leave it out: use a socket whose folder the server's user alone may write",
        "requiressl": "write sslmode=require, or verify-full",
        "scram_client_key": "write the password, or set METERING_POSTGRES_PASSWORD",
        "scram_server_key": "write the password, or set METERING_POSTGRES_PASSWORD",
        "servicefile": "set PGSERVICEFILE",
        "sslcertmode": "leave it out: a certificate is sent where sslcert names one",
        "sslcompression": "leave it out: TLS does not compress any more",
        "sslcrldir": "write sslcrl=FILE",
        "sslkeylogfile": "leave it out: keys of connections are written nowhere",
        "sslsni": "leave it out: the server is told the name that it is asked by",
        "tcp_user_timeout": OWN_KEEPALIVE,
    }
)
SECONDS: Final = re.compile(r"[+-]?[0-9]{1,9}")
UNKNOWN: Final = (
    "has a parameter that libpq does not know, {name}: correct its name. A setting of the session goes into "
    "options=-c%20name%3Dvalue"
)
HIDDEN: Final = (
    "has a parameter that libpq does not know, or a password with & in it: write %26 there, or better, leave the "
    "password out of the address and set PGPASSWORD"
)


def check_names(dsn: str) -> None:
    """Raises ValueError for a parameter that cannot be taken as libpq means it. Of an unknown one behind a password
    the name is not shown: it may be a part of it."""
    given = parameters(dsn)
    for name, value in given.items():
        if name in PASSED or name == FALLBACK_NAME or value in HARMLESS.get(name, ()):
            continue
        if name == CONNECT_TIMEOUT:
            if not SECONDS.fullmatch(value):
                raise ValueError(f"has {name} that is no whole number of seconds: write one, like {name}=10")
        elif name in ADVICE:
            raise ValueError(f"has {name}, which cannot be taken so: {ADVICE[name]}")
        else:
            raise ValueError(HIDDEN if "password" in given else UNKNOWN.format(name=name))


def parameters(dsn: str) -> dict[str, str]:
    """The last value of each."""
    return {name: values[-1] for name, values in parse_qs(dsn.partition("?")[2].partition("#")[0]).items()}


def for_driver(dsn: str) -> str:
    """A DSN that was checked, without what the driver would lay on the server."""
    base, mark, query = dsn.partition("?")
    own_name = "application_name" in parameters(dsn)
    kept = []
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if name == FALLBACK_NAME and not own_name:
            kept.append(f"application_name={value}")
        elif name in PASSED:
            kept.append(pair)
    return f"{base}{mark}{'&'.join(kept)}" if kept else base


def connect_timeout_s(dsn: str) -> float | None:
    """The time for a connection to one host that the DSN gives; None where it leaves it to us."""
    seconds = int(parameters(dsn).get(CONNECT_TIMEOUT, 0))
    return float(seconds) if seconds > 0 else None
