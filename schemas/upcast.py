"""Old stored events, read as if they had been written today.

A new version is a new type; the log keeps the old ones as they were. Whoever folds the log asks here first and only
ever sees current types. An entry takes the data of one version to the next and is never removed.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

Data = Mapping[str, Any]


class Upcast(NamedTuple):
    """The next version of a type and how its data follows from the old."""

    type: str
    convert: Callable[[Data], Data]


# Every type is at its first version so far.
UPCASTS: Final[Mapping[str, Upcast]] = MappingProxyType({})


def upcast(type: str, data: Data, upcasts: Mapping[str, Upcast] = UPCASTS) -> tuple[str, Data]:
    """Type and data in the latest version, step by step."""
    while type in upcasts:
        step = upcasts[type]
        type, data = step.type, step.convert(data)
    return type, data
