"""Field types of the event models: what each accepts from JSON, from Python, and how it is written and published."""

import re
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    InstanceOf,
    PlainSerializer,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from schemas.addresses import CONTACTS as CONTACTS
from schemas.addresses import ENCODED_WORD as ENCODED_WORD
from schemas.addresses import MAX_ADDRESS_CHARS as MAX_ADDRESS_CHARS
from schemas.addresses import MAX_CONTACTS as MAX_CONTACTS
from schemas.addresses import check_address, read_contacts, refuse_repeats
from schemas.addresses import is_address as is_address
from schemas.amounts import MAX_AMOUNT, MAX_USAGE, MICRO, Micro, format_amount
from schemas.identity import ID_PATTERN, MAX_ID_CHARS, MAX_SOURCE_CHARS
from schemas.limits import MAX_NAME_CHARS
from schemas.number_fields import AMOUNT as AMOUNT
from schemas.number_fields import read_credits, read_total, read_whole, refuse_zero
from schemas.number_fields import read_measure as read_measure
from schemas.number_fields import read_runs as read_runs
from schemas.resources import Resource
from schemas.times import format_time, parse_time
from schemas.zones import find_zone

# A kind of validation errors that has a reason of its own, like AMOUNT and CONTACTS; the others are `invalid_data`.
TEXT: Final = "text"
MAX_TIME_ZONE_CHARS: Final = 64
PLAN_PATTERN: Final = r"^[a-z0-9_-]{1,64}$"
TIME_ZONE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"
ACCOUNT_PATTERN: Final = r"^[A-Za-z0-9._:@-]{1,128}$"
# Without control characters; and not of blanks alone.
NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
FILLED_PATTERN: Final = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]*$"
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def read_aware(value: Any) -> Any:
    """A moment with its offset from UTC."""
    moment = parse_time(value) if isinstance(value, str) else value
    if getattr(moment, "tzinfo", None) is None:
        raise PydanticCustomError("moment", "is not a time with its offset")
    return moment


def lower_plan(value: Any) -> Any:
    """Plans are one in any case. Letters beyond ASCII stay, and the pattern refuses them: one lowers to `k`."""
    return value.lower() if isinstance(value, str) and value.isascii() else value


def leave_out(value: Any, read: ValidatorFunctionWrapHandler) -> Any:
    """None for what cannot be read: a field for information never costs the billing of its event."""
    try:
        return read(value)
    except ValidationError:
        return None


def read_zone(value: str) -> str:
    """IANA's spelling of a zone; any case is taken."""
    zone = find_zone(value)
    if zone is None:
        raise PydanticCustomError("zone", "is no IANA time zone")
    return zone


def refuse_blank(value: str) -> str:
    if not value.strip():
        raise PydanticCustomError("blank", "is blank")
    return value


def refuse_control(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError(TEXT, "has a control character or an unpaired surrogate")
    return value


def read_moment(value: Any) -> Any:
    return parse_time(value) if isinstance(value, str) else value


def _schema_up_to(most: int, words: str) -> JsonDict:
    """Of an amount of at most `most` credits or runs, a power of ten."""
    below = len(str(most)) - 1
    pattern = rf"^0*([0-9]{{1,{below}}}(\.[0-9]{{1,6}}0*)?|{most}(\.0+)?)$"
    return {
        "anyOf": [
            {"type": "string", "pattern": pattern, "examples": ["0.25"]},
            {"type": "number", "minimum": 0, "maximum": most},
        ],
        "description": f"{words} and at most 6 decimals that are not zero. Decimal text is best: it is exact in every "
        "language. A number with more decimals is refused; JSON Schema cannot say so.",
    }


_CREDITS_SCHEMA: Final = _schema_up_to(
    MAX_AMOUNT // MICRO, f"Credits or runs, not negative, at most {MAX_AMOUNT // MICRO}"
)
_USAGE_SCHEMA: Final = _schema_up_to(
    MAX_USAGE // MICRO,
    f"Credits, not negative, at most {MAX_USAGE // MICRO} in one event (an installation may set another limit)",
)
_TOTAL_SCHEMA: Final = {
    "type": "string",
    "pattern": r"^-?[0-9]{1,18}(\.[0-9]{1,6})?$",
    "description": "Credits or runs as exact decimal text, perhaps negative.",
}
_AS_TEXT: Final = PlainSerializer(format_amount, return_type=str, when_used="json")

# Of one usage event. The limit is the reader's, because it is a setting; its schema has the usual one.
UsageCredits = Annotated[InstanceOf[Micro], BeforeValidator(read_credits), _AS_TEXT, WithJsonSchema(_USAGE_SCHEMA)]
PositiveCredits = Annotated[
    InstanceOf[Micro],
    AfterValidator(refuse_zero),
    BeforeValidator(read_credits),
    _AS_TEXT,
    WithJsonSchema(
        {
            **_CREDITS_SCHEMA,
            "not": {"anyOf": [{"const": 0}, {"type": "string", "pattern": r"^[0.]*$"}]},
            "description": f"More than zero. {_CREDITS_SCHEMA['description']}",
        }
    ),
]
Total = Annotated[InstanceOf[Micro], BeforeValidator(read_total), _AS_TEXT, WithJsonSchema(_TOTAL_SCHEMA)]
AsSent = BeforeValidator(read_whole)
_NAME_SCHEMA: Final = {"type": "string", "minLength": 1, "maxLength": MAX_NAME_CHARS, "pattern": NAME_PATTERN}
Name = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=MAX_NAME_CHARS),
    AfterValidator(refuse_control),
    WithJsonSchema(_NAME_SCHEMA),
]
# The name of what was used or why. Blank is no name: the reference reader refuses it. Events that were stored before
# that rule may have one, so the model reads it.
FilledName = Annotated[Name, WithJsonSchema({**_NAME_SCHEMA, "pattern": FILLED_PATTERN})]
# For information: what is no name is left out. Its schema takes anything, as the parser does.
ANYTHING: Final[JsonDict] = {}
# What Postgres can store, of what an event carries without our knowing it.
STORABLE: Final[JsonDict] = {"not": {"type": "string", "pattern": r"\x00"}}
NameOrNone = Annotated[
    Annotated[Name, AfterValidator(refuse_blank)] | None, WrapValidator(leave_out), WithJsonSchema(ANYTHING)
]
# An IANA time zone: in our own events by its form alone, in those of others one that there is. For information, too.
TimeZone = Annotated[str, Field(strict=True, max_length=MAX_TIME_ZONE_CHARS, pattern=TIME_ZONE_PATTERN)]
TimeZoneOrNone = Annotated[
    Annotated[TimeZone, AfterValidator(read_zone)] | None, WrapValidator(leave_out), WithJsonSchema(ANYTHING)
]
# For information: a time with its offset.
MomentOrNone = Annotated[
    Annotated[AwareDatetime, BeforeValidator(read_aware)] | None, WrapValidator(leave_out), WithJsonSchema(ANYTHING)
]
Text = Annotated[str, Field(strict=True, min_length=1, max_length=2000), AfterValidator(refuse_control)]
Plan = Annotated[
    str,
    Field(strict=True, pattern=PLAN_PATTERN),
    BeforeValidator(lower_plan),
    WithJsonSchema({"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"}),
]
AccountId = Annotated[str, Field(strict=True, pattern=ACCOUNT_PATTERN)]
ID_SCHEMA: Final[JsonDict] = {"type": "string", "minLength": 1, "maxLength": MAX_ID_CHARS, "pattern": ID_PATTERN}
EventId = Annotated[str, Field(strict=True, min_length=1, max_length=MAX_ID_CHARS, pattern=ID_PATTERN)]
SOURCE_SCHEMA: Final[JsonDict] = {
    "type": "string", "minLength": 1, "maxLength": MAX_SOURCE_CHARS, "pattern": NAME_PATTERN,
}  # fmt: skip
EventSource = Annotated[
    str,
    Field(strict=True, min_length=1, max_length=MAX_SOURCE_CHARS),
    AfterValidator(refuse_control),
    WithJsonSchema(SOURCE_SCHEMA),
]
Address = Annotated[
    str,
    Field(strict=True),
    AfterValidator(check_address),
    WithJsonSchema({"type": "string", "format": "email", "maxLength": MAX_ADDRESS_CHARS}),
]
Contacts = Annotated[
    tuple[Address, ...], Field(max_length=MAX_CONTACTS), AfterValidator(refuse_repeats), BeforeValidator(read_contacts)
]
ResourceName = Annotated[Resource, Field(strict=False)]
Moment = Annotated[
    AwareDatetime,
    Field(strict=True),
    BeforeValidator(read_moment),
    PlainSerializer(format_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Identifier = Annotated[UUID, Field(strict=False)]
Shard = Annotated[int, Field(strict=True, ge=0, description="Kafka partition of the account."), AsSent]
Position = Annotated[
    int,
    Field(
        strict=True,
        ge=1,
        description="Position in the shard's event log it follows from; of one account, resource and type drop what is "
        "not newer within a generation.",
    ),
    AsSent,
]
