"""Numbers in data of events, in any exact spelling: amounts, runs and measures. Raise what pydantic collects."""

from decimal import Decimal
from typing import Any, Final

from pydantic_core import PydanticCustomError

from schemas.amounts import (
    MAX_AMOUNT,
    MICRO,
    TOO_MUCH,
    Micro,
    Number,
    parse_amount,
    parse_integer,
    parse_number,
    parse_signed,
)

AMOUNT: Final = "amount"  # a kind of validation errors with a reason of its own


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
