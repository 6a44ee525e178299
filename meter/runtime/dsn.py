"""The address of a database as people write it: checked before the driver sees it, told without the password. Pure."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs, quote, unquote

from meter.runtime.dsn_parameters import check_names

FORM: Final = "postgresql://role@host:5432/database"
_HOST: Final = re.compile(r"(?:\[[0-9A-Za-z:.%]+\]|[^:\[\]@/?#]*)(?::([0-9]{1,5}))?")
_STRAY_PERCENT: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
MAX_PORT: Final = 65_535
_TLS_VERSIONS: Final = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
# What the driver takes in the parameters that it reads itself; the others are in dsn_parameters.
TAKEN: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
        "sslnegotiation": ("postgres", "direct"),
        "ssl_min_protocol_version": _TLS_VERSIONS,
        "ssl_max_protocol_version": _TLS_VERSIONS,
        "target_session_attrs": ("any", "primary", "standby", "read-write", "read-only", "prefer-standby"),
        "gsslib": ("gssapi", "sspi"),
    }
)
SYSTEM_AUTHORITIES: Final = "system"  # libpq's word, as sslrootcert, for those that the system trusts


def check_dsn(dsn: str) -> str:
    """The DSN, if it is one. Raises ValueError that shows no part of it: the driver's messages show the password."""
    scheme, _, rest = dsn.partition("://")
    if scheme not in ("postgresql", "postgres"):
        raise ValueError(f"is no address like {FORM}")
    authority, path = split(rest)
    login = authority.rpartition("@")[0]
    stray = re.search(r"[\[\]]", login) or _STRAY_PERCENT.search(authority) or "@" in path
    if stray or not all(map(is_host, hosts_of(authority))):
        raise ValueError(
            f"is no address like {FORM}. In a password / ? # [ ] @ and % must be written as %2F %3F %23 %5B %5D %40 "
            "and %25; better, leave it out of the address and set PGPASSWORD"
        )
    check_parameters(dsn)
    return dsn


def check_parameters(dsn: str) -> None:
    """Raises ValueError for what the driver would refuse, as if the server had. It shows the name alone of one that may
    be the password."""
    query = dsn.partition("?")[2].partition("#")[0]
    if not all("=" in pair for pair in query.split("&") if query):
        raise ValueError("has a parameter without a value: write ?name=value, with & between two of them")
    check_names(dsn)
    for name, taken in TAKEN.items():
        if (value := parameter(dsn, name)) is not None and value not in taken:
            raise ValueError(f"has {name}={value}; {name} must be one of: {', '.join(taken)}")
    ports = (parameter(dsn, "port") or "1").split(",")
    if not all(map(is_port, ports)) or len(ports) not in (1, len(host_names(dsn))):
        raise ValueError(f"has a port that is none: write one number from 1 to {MAX_PORT}, or one for each host")
    mode = parameter(dsn, "sslmode")
    if parameter(dsn, "sslnegotiation") == "direct" and mode in ("disable", "allow", "prefer"):
        raise ValueError(f"has sslnegotiation=direct with sslmode={mode}; it needs require, verify-ca or verify-full")


def is_port(text: str) -> bool:
    return re.fullmatch("[0-9]{1,5}", text) is not None and 0 < int(text) <= MAX_PORT


def add_password(dsn: str, password: str) -> str:
    """The DSN with a password as its last parameter: one that stands in front of the host wins over it."""
    return add_parameter(dsn, "password", password)


def holds_password(dsn: str) -> bool:
    """Whether a password stands in front of the host, which wins over any other."""
    return ":" in split(dsn.partition("://")[2])[0].rpartition("@")[0]


def add_parameter(dsn: str, name: str, value: str) -> str:
    return f"{dsn}{'&' if '?' in dsn else '?'}{name}={quote(value, safe='')}"


def parameter(dsn: str, name: str) -> str | None:
    """The last value that the DSN gives a parameter."""
    return parse_qs(dsn.partition("?")[2]).get(name, [None])[-1]


# With which the server's certificate is looked at.
CHECKED_MODES: Final = ("verify-full", "verify-ca")


def require_tls(dsn: str, cafile: str | None) -> str:
    """The DSN with verify-full where it names no sslmode, and the authorities to trust where it names none."""
    mode = parameter(dsn, "sslmode")
    if mode is None:
        dsn = add_parameter(dsn, "sslmode", "verify-full")
    if (mode is None or mode in CHECKED_MODES) and parameter(dsn, "sslrootcert") is None:
        dsn = add_parameter(dsn, "sslrootcert", cafile or SYSTEM_AUTHORITIES)
    return dsn


def split(rest: str) -> tuple[str, str]:
    """What names role and hosts, and the path behind it up to its parameters."""
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    return authority, rest[len(authority) :].partition("?")[0]


def hosts_of(authority: str) -> list[str]:
    return authority.rpartition("@")[2].split(",")


def is_host(text: str) -> bool:
    match = _HOST.fullmatch(text)
    return match is not None and int(match[1] or 0) <= MAX_PORT


def host_names(dsn: str) -> list[str]:
    """The hosts of a DSN that was checked, without ports; a socket's directory counts as one, none means a socket."""
    authority, _ = split(dsn.partition("://")[2])
    named = [re.sub(r":[0-9]+$", "", host).strip("[]") for host in hosts_of(authority) if host]
    return [unquote(host) for host in named] or (parameter(dsn, "host") or "").split(",")


def describe_hosts(dsn: str) -> str:
    """Hosts and ports of a DSN that was checked, for people; parameters and role are left out."""
    authority, _ = split(dsn.partition("://")[2])
    named = [host for host in hosts_of(authority) if host] or parse_qs(dsn.partition("?")[2]).get("host", [])
    return ", ".join(named) or "the socket of this machine"


def describe_role(dsn: str) -> str:
    """The role of a DSN that was checked, for people; "" where it names none."""
    login = split(dsn.partition("://")[2])[0].rpartition("@")[0]
    return unquote(login.partition(":")[0]) or parameter(dsn, "user") or ""
