from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.amounts import MAX_AMOUNT, Micro, format_amount, parse_amount, parse_integer, parse_number, parse_signed


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("0", 0),
        ("0.000001", 1),
        ("0.1", 100_000),
        ("75", 75_000_000),
        ("007.50", 7_500_000),
        ("10000000", MAX_AMOUNT),
        ("10000000.000000", MAX_AMOUNT),
        ("12.5000000", 12_500_000),
        ("0.25000000", 250_000),
        ("0" * 20 + "1.5" + "0" * 5000, 1_500_000),
    ],
)
def test_decimal_text_is_read_exactly(text: str, micro: int) -> None:
    assert parse_amount(text) == micro


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "5.",
        ".5",
        "-1",
        "+1",
        " 1",
        "1 ",
        "1\n",
        "1_000",
        "1,5",
        "1e3",
        "0x1",
        "NaN",
        "Infinity",
        "٣",
        "²",
        "1.٣",
        "0.0000001",
        "10000000.000001",
        "999999999999",
        "1" * 13,
        "1" * 5000,
        "1.2.3",
        "1\x00",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_amount(text)


@pytest.mark.parametrize(
    ("text", "micro"),
    [
        ("1e-05", 10),
        ("1E-6", 1),
        ("1.5e3", 1_500_000_000),
        ("2.5E+0", 2_500_000),
        ("0e99", 0),
        ("3", 3_000_000),
        ("12.5000000", 12_500_000),
        ("-0", 0),
        ("1e3", 1_000_000_000),
        ("1000000000000000e-15", 1_000_000),
        ("0e-99999999999", 0),
    ],
)
def test_numbers_may_have_exponents_where_the_value_is_exact(text: str, micro: int) -> None:
    assert parse_number(text) == micro


@pytest.mark.parametrize(
    "text", ["1e-7", "1.5e-6", "1e400", "1e8", "1e1000000", "-1e1", "1e-400", "0.30000000000000004", "1e", "e1"]
)
def test_numbers_that_are_not_exact_or_too_large_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_number(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("0.30000000000000004", "has more than six decimals: round it"),
        ("1e-7", "has more than six decimals"),
        ("1e-99999999", "has more than six decimals"),
        ("-1", "is negative"),
        ("-0.0000001", "is negative"),
        ("10000000.000001", "is more than 10000000"),
        ("1e99999999", "is more than 10000000"),
        ("9" * 5000, "is more than 10000000"),
        ("1,5", "is not a decimal number"),
    ],
)
def test_each_fault_has_its_own_words(text: str, why: str) -> None:
    for parse in (parse_number, parse_amount) if "e" not in text else (parse_number,):
        with pytest.raises(ValueError, match=f"^{why}"):
            parse(text)


def test_only_of_a_number_the_advice_is_to_send_text() -> None:
    """What came as text, from an event or a command line, was told the same."""
    for parse, says in ((parse_amount, "round it"), (parse_number, "round it, or send it as text")):
        with pytest.raises(ValueError, match=f"^has more than six decimals: {says}$"):
            parse("0.30000000000000004")


@pytest.mark.parametrize(
    ("text", "integer"), [("2", 2), ("2.0", 2), ("2e0", 2), ("20e-1", 2), ("-2.0", -2), ("0.0", 0), ("1e17", 10**17)]
)
def test_integers_of_any_spelling(text: str, integer: int) -> None:
    assert parse_integer(text) == integer


@pytest.mark.parametrize("text", ["2.5", "1e18", "1e99999999", "25e-1", "x", ""])
def test_other_numbers_are_no_integers(text: str) -> None:
    assert parse_integer(text) is None


@given(st.integers(0, MAX_AMOUNT))
def test_amounts_survive_text(micro: int) -> None:
    text = format_amount(micro)
    assert parse_amount(text) == micro
    assert Decimal(text) * 1_000_000 == micro


@given(st.integers(-(10**18), 10**18))
def test_totals_survive_text(micro: int) -> None:
    assert parse_signed(format_amount(micro)) == micro


@given(st.floats(0, 10_000_000))
def test_a_float_counts_as_what_its_text_says_or_not_at_all(number: float) -> None:
    try:
        micro = parse_number(repr(number))
    except ValueError:
        assert Decimal(repr(number)) * 1_000_000 % 1 != 0
    else:
        assert micro == Decimal(repr(number)) * 1_000_000


@pytest.mark.parametrize(
    ("micro", "text"), [(12_500_000, "12.5"), (1, "0.000001"), (-3_000_000, "-3"), (0, "0"), (-1, "-0.000001")]
)
def test_the_shortest_text_is_written(micro: int, text: str) -> None:
    assert format_amount(micro) == text
    assert format_amount(Micro(micro)) == text


@pytest.mark.parametrize("text", ["", "--1", "1.", "+1", "1.0000000", "1e3", "1" * 19, "1\n"])
def test_other_totals_are_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_signed(text)
