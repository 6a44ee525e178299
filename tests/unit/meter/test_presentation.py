"""Output: nothing from a record reaches a terminal as it is, one cell stays one cell."""

import io
import json
import re
import sys

import pytest

from meter.presentation import describe_bytes, print_fields, print_result, print_sentences, print_table, printable
from meter.runtime.process.cli import fail
from meter.runtime.process.exits import Exit
from meter.runtime.process.terminal import fit, fit_beside


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain ä 模型", "plain ä 模型"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("a\tb\nc\r\x00", "a\\tb\\nc\\r\\x00"),
        ("\u202eabc", "\\u202eabc"),
        ("\u2066a\u2069\u200f\u061cb\u200b\ufeff", "\\u2066a\\u2069\\u200f\\u061cb\\u200b\\ufeff"),
        ("\u2028\x85\x9b2J", "\\u2028\\x85\\x9b2J"),
        ("\u0645\u06cc\u200c\u0634\u0648\u062f", "\u0645\u06cc\u200c\u0634\u0648\u062f"),  # a Persian word
        ("\U0001f469\u200d\U0001f467", "\U0001f469\u200d\U0001f467"),
        ("   ", '"   "'),
        ("", ""),
        ("\ud800", "\\ud800"),
        (None, ""),
        (17, "17"),
    ],
)
def test_control_characters_are_shown_as_escapes(value: object, shown: str) -> None:
    assert printable(value) == shown


def test_bytes_are_text_where_they_can_be() -> None:
    assert [describe_bytes(value) for value in (None, b"", "ä".encode(), b"\xff")] == [None, "", "ä", "hex:ff"]


def test_a_pipe_gets_tab_separated_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "detail"], [[1, "a\tb"], [2, None]], as_json=False)
    assert capsys.readouterr().out == "id\tdetail\n1\ta\\tb\n2\t\n"


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(["id", "detail"], [[1, "\x1b"]], as_json=True)
    out = capsys.readouterr().out
    assert json.loads(out) == {"id": 1, "detail": "\x1b"} and "\x1b" not in out


def test_a_terminal_gets_a_table_without_markup_of_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    print_table(["id", "detail"], [[1, "[red]x[/red]\x1b]0;title\x07"]], as_json=False)
    assert "[red]x[/red]\\x1b]0;title\\x07" in terminal.getvalue()


def test_a_pipe_gets_a_line_per_entry_with_a_tab(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"id": 1, "headers": ["a: 1", "b: 2"], "none": [], "refused": False, "name": None}, as_json=False)
    assert capsys.readouterr().out == "id\t1\nheaders\ta: 1\nheaders\tb: 2\nrefused\tfalse\nname\t\n"


def test_a_pipe_gets_true_and_false_and_a_terminal_yes_and_no(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = [True, False, "2026-03-01T12:00:00.123456+00:00"]
    print_table(["allowed", "fixed", "at"], [row], as_json=False)
    assert capsys.readouterr().out.splitlines()[1] == "true\tfalse\t2026-03-01T12:00:00.123456+00:00"
    monkeypatch.setattr(sys, "stdout", terminal := Narrow())
    print_table(["allowed", "fixed", "at"], [row], as_json=False)
    assert terminal.getvalue().splitlines()[3].split() == ["yes", "no", "2026-03-01", "12:00:00", "UTC"]


def test_a_list_of_nothing_says_so_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", terminal := Narrow())
    print_table(["id", "detail"], [], as_json=False)
    assert terminal.getvalue() == "none\n"


class Narrow(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_fields_and_sentences_fit_a_terminal_of_80_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Narrow()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("COLUMNS", "80")
    words = "contact 2 is not one plain email address: left out (offset 3, recorded 2026-03-01 00:00:00 UTC)"
    print_fields({"account": "a", "remarks": [words, "short"], "name": " ", "none": None}, as_json=False)
    print_sentences([f"acct-1 is named {'x' * 40} and has time zone Europe/Berlin; now open, plan team\x1b[2J"])
    lines = terminal.getvalue().splitlines()
    assert all(len(line) <= 80 for line in lines) and "\x1b" not in terminal.getvalue()
    assert lines[:4] == [
        "account  a",
        "remarks  contact 2 is not one plain email address: left out (offset 3, recorded",
        "         2026-03-01 00:00:00 UTC)",
        "remarks  short",
    ]


def test_what_was_done_is_a_sentence_or_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        print_result({"rows": 1}, "removed 1 row\x1b[2J", as_json=as_json)
    assert capsys.readouterr().out == 'removed 1 row\\x1b[2J\n{"rows": 1}\n'


def test_ids_that_do_not_fit_are_shortened_on_a_terminal_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    rows = [[f"tenant-{'x' * 100}-{n}", "74.999001", "2026-03-01T12:00:00+00:00"] for n in range(2)]
    columns = ["account", "amount", "at"]
    for as_json in (False, True):
        print_table(columns, rows, as_json=as_json, ids=("account",))
    assert capsys.readouterr().out.count("x" * 100) == 4
    monkeypatch.setattr(sys, "stdout", terminal := Narrow())
    print_table(columns, rows, as_json=False, ids=("account",))
    shown = re.sub(r"\x1b\[[0-9;]*m", "", terminal.getvalue())  # the heading is bold
    assert "x…" in shown and "x-0 " in shown and "x-1 " in shown and shown.count("74.999001") == 2
    assert max(map(len, shown.splitlines())) <= 80
    assert "--full-ids" in capsys.readouterr().err
    print_table(columns, rows, as_json=False)
    assert terminal.getvalue().count("x" * 100) == 2


def test_an_error_that_names_what_a_record_says_obeys_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    fail("plan: it has \x1b]0;title\x07\u202e, not free\n  second line", Exit.FAILED)
    assert capsys.readouterr().err == "plan: it has \\x1b]0;title\\x07\\u202e, not free\n  second line\n"


@pytest.mark.parametrize("width", range(24, 60))
def test_a_time_is_never_broken(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    said = "the anchor at offset 3, recorded 2026-03-01 16:03:15 UTC, and 2026-03-02 08:00:00 UTC by us"
    for text in (fit(said, Narrow()), fit_beside("a  ", said, Narrow())):
        assert "2026-03-01 16:03:15 UTC" in text and "2026-03-02 08:00:00 UTC" in text
        assert text.split() == [*(["a"] if text.startswith("a ") else []), *said.split()]
