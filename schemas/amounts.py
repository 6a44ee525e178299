"""Exact amounts: micro-units as integers (1 credit = 1 run = 1,000,000), decimal text in JSON. Never a float."""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

MICRO: Final = 1_000_000
# Bounded so that what one statement adds up stays within BIGINT: it holds 922,337 events of the largest amount. Totals
# of a lifetime have no bound.
MAX_AMOUNT: Final = 10_000_000 * MICRO
# Of one usage event, where the installation sets no other limit: a wrong unit shows at once instead of in the account.
MAX_USAGE: Final = 10_000 * MICRO
TOO_MUCH: Final = f"is more than {MAX_AMOUNT // MICRO}"
TOO_FINE: Final = "has more than six decimals: round it"

_SCALE: Final = tuple(10 ** (6 - decimals) for decimals in range(7))
# Spellings beyond the usual one: zeros in front and behind, exponents from clients that send floats (1e-05).
_TEXT: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?()", re.ASCII)
_NUMBER: Final = re.compile(r"(-?)([0-9]+)(?:\.([0-9]+))?(?:[eE]([+-]?[0-9]+))?", re.ASCII)
# An exponent beyond it makes any number that fits into a record too large or too fine.
_HUGE: Final = 10_000_000
_FAR: Final = 10**30
_FAR_DIGITS: Final = 1000


class Micro(int):
    """Micro-units, marked as such, so that nobody takes a plain number of credits for micro-units."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Micro({int(self)})"


@dataclass(frozen=True, slots=True)
class Number:
    """The text of a JSON number as it was sent. It is not converted, so no size and no precision can do harm."""

    text: str


class Digits(NamedTuple):
    """A decimal number as digits * 10**exponent. `digits` starts and ends with no zero; it is empty for zero."""

    negative: bool
    digits: str
    exponent: int


def parse_amount(text: str) -> int:
    """Micro-units of decimal text: ASCII digits, no sign, no exponent, at most 6 decimals that are not zero.

    Raises ValueError, also above 10,000,000 credits. The message follows the name of a field.
    """
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    # The lengths come first: int() of a long text takes quadratic time. isdigit alone would take "²" and "٣".
    if 0 < len(whole) <= 12 and (0 < len(fraction) <= 6 or not point) and digits.isascii() and digits.isdigit():
        return _bounded(int(digits) * _SCALE[len(fraction)])
    match = _TEXT.fullmatch(text)
    if match is not None and match[1]:
        raise ValueError("is negative")
    return _micro(_read_digits(match), TOO_FINE)


def parse_number(text: str) -> int:
    """Micro-units of a JSON number, as its text was sent: as `parse_amount`, with exponents, and -0 is zero.

    Raises ValueError: an inexact amount is never rounded.
    """
    return _micro(_read_digits(_NUMBER.fullmatch(text)), f"{TOO_FINE}, or send it as text")


def parse_integer(text: str) -> int | None:
    """The integer that a JSON number of any spelling is (2, 2.0, 2e0), below 10**18; None for any other."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    negative, digits, exponent = _read_digits(match)
    if exponent < 0 or len(digits) + exponent > 18:
        return None
    shifted = int(digits + "0" * exponent) if digits else 0
    return -shifted if negative else shifted


def _read_digits(match: re.Match[str] | None) -> Digits:
    """Raises ValueError for None. Takes linear time: no digit is converted."""
    if match is None:
        raise ValueError("is not a decimal number like 0.25")
    sign, whole, fraction, exponent = match.groups("")
    digits = (whole + fraction).rstrip("0")
    shift = (_HUGE if "-" not in exponent else -_HUGE) if len(exponent) > 7 else int(exponent or "0")
    zeros = len(whole) + len(fraction) - len(digits)
    return Digits(bool(sign), digits.lstrip("0"), shift + zeros - len(fraction) if digits else 0)


def _micro(number: Digits, too_fine: str) -> int:
    negative, digits, exponent = number
    if not digits:
        return 0
    if negative:
        raise ValueError("is negative")
    if len(digits) + exponent > 8:
        raise ValueError(TOO_MUCH)
    if exponent < -6:
        raise ValueError(too_fine)
    return _bounded(int(digits) * 10 ** (exponent + 6))


def _bounded(amount: int) -> int:
    if amount > MAX_AMOUNT:
        raise ValueError(TOO_MUCH)
    return amount


def parse_signed(text: str) -> int:
    """Micro-units of what `format_amount` wrote: any size, perhaps negative. Raises ValueError."""
    match = re.fullmatch(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,6}))?", text)
    if match is None:
        raise ValueError("not a decimal number with at most 6 decimals")
    sign, whole, fraction = match.groups("")
    amount = int(whole) * MICRO + int(fraction.ljust(6, "0"))
    return -amount if sign else amount


def format_number(number: Decimal | int) -> str:
    """Exact decimal text without an exponent. Of a number that is far too large or too fine for any amount a short one
    that is refused for the same reason: Decimal("1e999999") would have a million digits."""
    if isinstance(number, int):
        return str(max(-_FAR, min(number, _FAR)))
    if not number.is_finite():
        return str(number)
    digits, exponent = number.as_tuple().digits, number.as_tuple().exponent
    if not any(digits):
        return "0"
    sign = "-" if number.is_signed() else ""
    if number.adjusted() > _FAR_DIGITS:
        return f"{sign}{_FAR}"
    if isinstance(exponent, int) and exponent < -_FAR_DIGITS:
        return f"{sign}0.{'0' * 30}1"
    return format(number, "f")


def format_amount(micro: int) -> str:
    """The shortest exact decimal text: "12.5", "0.000001", "-3"."""
    whole, fraction = divmod(abs(micro), MICRO)
    sign = "-" if micro < 0 else ""
    return f"{sign}{whole}.{fraction:06d}".rstrip("0").rstrip(".")
