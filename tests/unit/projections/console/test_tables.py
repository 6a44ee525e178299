"""Tables: what people see is safe and short, what spreadsheets get is exact and runs nothing."""

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from projections.console.tables import Column, Row, Table, show, show_name, to_csv

COLUMNS = (Column("name", "Name"), Column("amount", "Credits", "amount"), Column("last", "Last", "moment"))
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TABLE = Table(
    COLUMNS,
    [
        Row("b", ["beta", Decimal("2.5"), None]),
        Row("a", ["Alpha", Decimal("10"), NOON]),
        Row("c", ["", Decimal(0), NOON]),
    ],
)


def read(table: Table) -> list[list[str]]:
    return list(csv.reader(io.StringIO(to_csv(table).decode("utf-8-sig"), newline="")))


def test_text_is_in_quotes_so_that_no_separator_makes_a_formula_of_its_rest() -> None:
    columns = (Column("name", "Name"), Column("amount", "Credits", "amount"))
    table = Table(columns, [Row("a", ["a;=1+1", Decimal("1.50")])])
    assert to_csv(table).decode("utf-8-sig") == '"Name","Credits"\r\n"a;=1+1",1.50\r\n'


def test_numbers_sort_as_numbers_and_names_without_case() -> None:
    assert [row.id for row in TABLE.sorted("amount", descending=True).rows] == ["a", "b", "c"]
    assert [row.id for row in TABLE.sorted("name", descending=False).rows] == ["c", "a", "b"]


def test_what_has_no_value_comes_last_either_way() -> None:
    for descending in (True, False):
        assert TABLE.sorted("last", descending=descending).rows[-1].id == "b"


def test_an_unknown_column_changes_nothing() -> None:
    assert TABLE.sorted("'; DROP TABLE", descending=True) is TABLE


def test_a_search_finds_parts_of_names_in_any_case() -> None:
    assert [row.id for row in TABLE.found("ALPH").rows] == ["a"]


@pytest.mark.parametrize(
    "name",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1+1", "\u00a0=1", "\uff1d1+1", "=cmd|' /C calc'!A0", '="a"'],
)
def test_no_cell_is_a_formula(name: str) -> None:
    [_, row] = read(Table(COLUMNS, [Row("x", [name, Decimal("-1.5"), None])]))
    assert row[0] == f"'{name}"
    assert row[1] == "-1.5", "an amount is a number, and stays one"


@pytest.mark.parametrize("name", ['a "quoted", name', "two\nlines", "x" * 10_000, "<script>", "שלום", "a=1"])
def test_other_names_arrive_whole(name: str) -> None:
    assert read(Table(COLUMNS, [Row("x", [name, Decimal(1), NOON])]))[1] == [name, "1", "2026-11-24T12:00:00+00:00"]


def test_the_csv_is_exact() -> None:
    assert read(Table(COLUMNS, [Row("x", ["x", Decimal("0.000001"), None])]))[1][1] == "0.000001"


def test_amounts_in_a_column_have_two_decimals() -> None:
    assert [show(Decimal(text), "amount") for text in ("0", "0.004", "2.5", "1234", "-3.205", "2.345")] == [
        "0", "<0.01", "2.50", "1,234.00", "\u22123.20", "2.34",
    ]  # fmt: skip


@pytest.mark.parametrize("mark", ["\u202e", "\u2066", "\u200f", "\x00", "\x1b", "\ufeff"])
def test_a_name_changes_no_direction(mark: str) -> None:
    assert show_name(f"pay{mark}load") in ("payload", "pay load")


def test_joiners_of_scripts_and_families_stay() -> None:
    for name in ("می\u200cخواهم", "👨\u200d👩\u200d👧"):
        assert show_name(name) == name


def test_a_long_name_is_cut_and_an_empty_one_is_said() -> None:
    assert len(show_name("x" * 10_000)) == 200
    assert show_name(" \u202e ") == "(no name)"
