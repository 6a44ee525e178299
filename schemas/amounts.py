"""Exact amounts: micro-units as integers (1 credit = 1 run = 1,000,000), decimal text in JSON. Never a float."""

import re
from dataclasses import dataclass
from typing import Final

MICRO: Final = 1_000_000
# Bounded so that sums stay within BIGINT: it holds 922,337 events of the largest amount.
MAX_AMOUNT: Final = 10_000_000 * MICRO

_SCALE: Final = tuple(10 ** (6 - decimals) for decimals in range(7))
# Exponents come from clients that send floats (1e-05). The bounds keep the integer below small: no 1e1000000.
_SCIENTIFIC: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,17}))?[eE]([+-]?[0-9]{1,2})")


class Micro(int):
    """Micro-units, marked as such, so that nobody takes a plain number of credits for micro-units."""

    __slots__ = ()

    def __repr__(self) -> str:
        return f"Micro({int(self)})"


@dataclass(frozen=True, slots=True)
class Number:
    """The text of a JSON number as it was sent. It is not converted, so no size and no precision can do harm."""

    text: str


def parse_amount(text: str) -> int:
    """Micro-units of strict decimal text: ASCII digits, at most 6 after the point, no sign.

    Raises ValueError, also above 10,000,000 credits.
    """
    whole, point, fraction = text.partition(".")
    digits = whole + fraction
    # The lengths come first: int() of a long text takes quadratic time. isdigit alone would take "²" and "٣".
    if not (0 < len(whole) <= 12 and (0 < len(fraction) <= 6 or not point) and digits.isascii() and digits.isdigit()):
        raise ValueError("not a decimal number of 1 to 12 digits with at most 6 decimals, without sign or exponent")
    return _bounded(int(digits) * _SCALE[len(fraction)])


def parse_number(text: str) -> int:
    """Micro-units of a JSON number, as its text was sent: as `parse_amount`, and exponents where the value is exact.

    Raises ValueError: an inexact amount is never rounded.
    """
    match = _SCIENTIFIC.fullmatch(text)
    if match is None:
        return parse_amount(text)
    whole, fraction, exponent = match.groups("")
    shift = int(exponent) - len(fraction) + 6
    digits = int(whole + fraction)
    amount, rest = (digits * 10**shift, 0) if shift >= 0 else divmod(digits, 10**-shift)
    if rest:
        raise ValueError("more than 6 decimals")
    return _bounded(amount)


def _bounded(amount: int) -> int:
    if amount > MAX_AMOUNT:
        raise ValueError(f"more than {MAX_AMOUNT // MICRO}")
    return amount


def parse_signed(text: str) -> int:
    """Micro-units of what `format_amount` wrote: any size, perhaps negative. Raises ValueError."""
    match = re.fullmatch(r"(-?)([0-9]{1,18})(?:\.([0-9]{1,6}))?", text)
    if match is None:
        raise ValueError("not a decimal number with at most 6 decimals")
    sign, whole, fraction = match.groups("")
    amount = int(whole) * MICRO + int(fraction.ljust(6, "0"))
    return -amount if sign else amount


def format_amount(micro: int) -> str:
    """The shortest exact decimal text: "12.5", "0.000001", "-3"."""
    whole, fraction = divmod(abs(micro), MICRO)
    sign = "-" if micro < 0 else ""
    return f"{sign}{whole}.{fraction:06d}".rstrip("0").rstrip(".")
