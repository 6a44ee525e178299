"""Names of time zones: IANA's, in its spelling. What two programs read differently is no zone of an account."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Final
from zoneinfo import available_timezones

# Zones of one machine, or of none. `zoneinfo` leaves out posix/ and right/, whose days would be others'.
NOT_ZONES: Final = frozenset({"localtime", "Factory"})


@cache
def known_zones() -> Mapping[str, str]:
    """IANA's spelling by the name in small letters. Empty on a machine without the data."""
    return MappingProxyType({name.casefold(): name for name in available_timezones() - NOT_ZONES})


def find_zone(name: str) -> str | None:
    """The zone in IANA's spelling; None where there is no such zone. Without data any name is taken as it is."""
    known = known_zones()
    return known.get(name.casefold()) if known else name
