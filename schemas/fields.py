"""Field types of the event models: what each accepts from JSON, from Python, and how it is written and published."""

import re
from decimal import Decimal
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

from schemas.amounts import (
    MAX_AMOUNT,
    MAX_USAGE,
    MICRO,
    TOO_MUCH,
    Micro,
    Number,
    format_amount,
    parse_amount,
    parse_integer,
    parse_number,
    parse_signed,
)
from schemas.identity import ID_PATTERN, MAX_ID_CHARS, MAX_SOURCE_CHARS
from schemas.limits import MAX_NAME_CHARS
from schemas.resources import Resource
from schemas.times import format_time, parse_time
from schemas.zones import find_zone

# Kinds of validation errors that have a reason of their own; the others are `invalid_data`.
AMOUNT, CONTACTS, TEXT = "amount", "contacts", "text"
MAX_TIME_ZONE_CHARS: Final = 64
MAX_CONTACTS: Final = 20
MAX_ADDRESS_CHARS: Final = 254

# How an encoded word of a mail header begins (RFC 2047). Python decodes one when a header is set, mail programs when
# they show it, whatever it says, line ends among it.
ENCODED_WORD: Final = "=?"
PLAN_PATTERN: Final = r"^[a-z0-9_-]{1,64}$"
TIME_ZONE_PATTERN: Final = r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$"
ACCOUNT_PATTERN: Final = r"^[A-Za-z0-9._:@-]{1,128}$"
# Without control characters; and not of blanks alone.
NAME_PATTERN: Final = r"^[^\x00-\x1f\x7f-\x9f]*$"
FILLED_PATTERN: Final = r"^(?=.*\S)[^\x00-\x1f\x7f-\x9f]*$"
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_LABEL: Final = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_ATOM: Final = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
# One plain address: no comma, space, quote, angle bracket or line break can hide a second recipient or a header.
_ADDRESS: Final = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+", re.ASCII)


def read_credits(value: Any) -> Micro:
    """Micro-units of credits given as decimal text, JSON number, int, float or Decimal: exact or refused."""
    if type(value) is Micro:
        return _in_range(value)
    try:
        return Micro(_parse_credits(value))
    except ValueError as error:
        raise PydanticCustomError(AMOUNT, "{why}", {"why": str(error)}) from None


def _parse_credits(value: Any) -> int:
    if isinstance(value, str):
        return parse_amount(value)
    if isinstance(value, Number):
        return parse_number(value.text)
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("is neither decimal text nor a number")  # noqa: TRY004  collected as a validation error
    if value != value:  # a Decimal that is no number does not compare
        raise ValueError("is not a number")
    if not 0 <= value <= MAX_AMOUNT // MICRO:  # bounds the text below
        raise ValueError("is negative" if value < 0 else TOO_MUCH)
    return parse_number(str(value))


def _in_range(value: Micro) -> Micro:
    if not 0 <= value <= MAX_AMOUNT:
        raise PydanticCustomError(AMOUNT, "{why}", {"why": "is negative" if value < 0 else TOO_MUCH})
    return value


def refuse_zero(value: Micro) -> Micro:
    if value == 0:
        raise PydanticCustomError(AMOUNT, "is zero")
    return value


def read_total(value: Any) -> Micro:
    """Amounts in our own events: decimal text, or Micro from our own code. A plain number could mean either unit."""
    if type(value) is Micro:
        return value
    if isinstance(value, str):
        try:
            return Micro(parse_signed(value))
        except ValueError as error:
            raise PydanticCustomError(AMOUNT, "{why}", {"why": str(error)}) from None
    raise PydanticCustomError(AMOUNT, "is neither decimal text nor Micro")


def read_whole(value: Any) -> Any:
    """A number of any spelling becomes an int where it is whole: 2, 2.0, 2e0."""
    if isinstance(value, Number):
        return parse_integer(value.text)
    return parse_integer(str(value)) if isinstance(value, float | Decimal) else value


def read_runs(value: Any) -> Any:
    """A number of runs in any exact spelling: 3, 3.0, "3", "3.0"."""
    if not isinstance(value, str):
        return read_whole(value)
    try:
        micro = parse_amount(value)
    except ValueError as error:
        raise PydanticCustomError(AMOUNT, "{why}", {"why": str(error)}) from None
    if micro % MICRO:
        raise PydanticCustomError(AMOUNT, "is no whole number of runs")
    return micro // MICRO


def read_measure(value: Any) -> Any:
    """A number of any spelling as a Decimal, rounded to six decimals: what is for information need not be exact."""
    if isinstance(value, bool) or not isinstance(value, Number | int | float | Decimal):
        raise PydanticCustomError("measure", "is not a number")
    try:
        return round(Decimal(value.text if isinstance(value, Number) else str(value)), 6)
    except ArithmeticError:
        raise PydanticCustomError("measure", "is out of range") from None


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


def is_address(value: str) -> bool:
    return len(value) <= MAX_ADDRESS_CHARS and _ADDRESS.fullmatch(value) is not None


def check_address(value: str) -> str:
    if not is_address(value):
        raise PydanticCustomError(CONTACTS, "is not one plain email address")
    return value


def refuse_repeats(value: tuple[str, ...]) -> tuple[str, ...]:
    if len({address.casefold() for address in value}) < len(value):
        raise PydanticCustomError(CONTACTS, "has an address twice")
    return value


def read_contacts(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


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
