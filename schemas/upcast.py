"""Stored events, read as the latest version of their type.

A new version is a new type. The log keeps the old events as they were, so every reader of stored data calls
`read_stored` and sees latest versions only. An entry of UPCASTS takes the data of one version to the next and is never
removed. Usage events are folded from their columns, and what they say for information is read by SQL: this module costs
them nothing.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from schemas.events import INPUT_TYPES, TYPES_BY_CODE, EventData
from schemas.stored_json import read_stored_json

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


def read_stored(code: int, text: str, upcasts: Mapping[str, Upcast] = UPCASTS) -> EventData:
    """Data of a stored event, as the model of the latest version of its type.

    `code` is the stored type code and `text` the stored JSON text. Raises KeyError for a code that this version does
    not know, and pydantic's ValidationError for data that breaks the contract: no event of the log does.
    """
    return read_data(code, read_stored_json(text), upcasts)


def read_data(code: int, data: Data, upcasts: Mapping[str, Upcast] = UPCASTS) -> EventData:
    """The same of data that is read from JSON already."""
    type, latest = upcast(TYPES_BY_CODE[code], data, upcasts)
    return INPUT_TYPES[type].model.model_validate(latest)
