"""Tables at the width of the terminal: columns where they fit, else a block of lines for each row."""

import io

import pytest
from rich.console import Console, Group
from rich.text import Text

from meter.terminal_table import lay_out_table, shorten_to_fit, wrap_words

COLUMNS = ("created_at", "resource", "consumed", "allocation", "recipient", "reason")
ROW = (
    "2026-11-24T12:00:00+00:00", "model_credits", "74.999001", "75", "owner@example.com",
    "connection lost after the message was sent, try again",
)  # fmt: skip
BLOCK = """\
created_at  2026-11-24T12:00:00+00:00
resource    model_credits
consumed    74.999001
allocation  75
recipient   owner@example.com
reason      connection lost after the message was sent, try again"""
WRAPPED = """\
created_at                 resource       consumed   allocation  recipient          reason
2026-11-24T12:00:00+00:00  model_credits  74.999001  75          owner@example.com  connection lost after the message was sent,
                                                                                    try again"""  # noqa: E501
TABLE = """\
created_at                 resource       consumed   allocation  recipient          reason
2026-11-24T12:00:00+00:00  model_credits  74.999001  75          owner@example.com  connection lost after the message was sent, \
try again"""  # noqa: E501


def shown(width: int) -> str:
    """Without the rule under the heading, the margin and trailing blanks."""
    console = Console(file=io.StringIO(), width=width, height=50)
    laid_out = lay_out_table(COLUMNS, [[Text(cell) for cell in ROW]], width=width)
    console.print(Group(laid_out), crop=False)
    assert isinstance(console.file, io.StringIO)
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    return "\n".join(line.removeprefix(" ") for line in lines if line.strip(" ─"))


@pytest.mark.parametrize(("width", "expected"), [(80, BLOCK), (100, BLOCK), (130, WRAPPED), (160, TABLE)])
def test_a_row_at_the_width_of_the_terminal(width: int, expected: str) -> None:
    assert shown(width) == expected
    assert all(cell in shown(width) for cell in ROW[:-1])


def test_a_sentence_in_a_block_is_broken_between_words_and_nothing_else_is() -> None:
    long = "x" * 90
    console = Console(file=io.StringIO(), width=80)
    cells = [
        [Text(long), Text("id u1 belongs to an event that is stored\n  with other words than " + "this one " * 12)]
    ]
    console.print(Group(lay_out_table(("name", "detail"), cells, width=80)), crop=False)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert lines[:2] == [f"name    {long}", "detail  id u1 belongs to an event that is stored"]
    assert lines[2] == "          with other words than this one this one this one this one this one"
    assert all(len(line) <= 80 for line in lines[1:])


def test_a_dumb_terminal_gets_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rich takes it for one of 80 columns: cells were cut to fit where none was too wide."""
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as if it wrote to a terminal
    assert shown(80) == BLOCK and shown(160) == TABLE


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_time_is_not_broken_between_its_day_and_its_hour(width: int) -> None:
    told = "told by letter 6b0e2f0e-6a53 at 2026-03-01 16:03:15 UTC, and by another at 2026-03-02 08:00:00 UTC"
    lines = wrap_words(told, width)
    assert "".join(lines).count("2026-03-01 16:03:15 UTC") == 1 and all(len(line) <= width for line in lines)


ACCOUNT = "tenant-" + "x" * 100 + "-north-0001"  # as long as some ids are
LISTING = (
    ("019b76da-a800-79ab-aa7b-5bf55eb561a4", ACCOUNT, "74.999001", "2026-11-24T12:00:00+00:00"),
    ("019b76da-a800-79ab-aa7b-5bf55eb561a5", ACCOUNT[:-1] + "2", "1", "2026-11-24T12:00:01+00:00"),
    ("run-1", "acct-1", "10000000", "2026-11-24T12:00:02+00:00"),
)
LISTED = ("event_id", "account", "amount", "time")


def listed(width: int) -> list[list[str]] | None:
    rows = [[Text(cell) for cell in row] for row in LISTING]
    shortened = shorten_to_fit(LISTED, rows, {"event_id", "account"}, width=width)
    return None if shortened is None else [[cell.plain for cell in row] for row in shortened]


@pytest.mark.parametrize("width", [80, 100, 160])
def test_ids_are_shortened_to_what_tells_them_apart(width: int) -> None:
    rows = listed(width)
    assert rows is not None
    for number in (0, 1):
        assert len({row[number] for row in rows}) == len(LISTING)
    assert [row[2:] for row in rows] == [list(row[2:]) for row in LISTING]
    assert rows[2][:2] == ["run-1", "acct-1"]  # what is short stays whole
    console = Console(file=io.StringIO(), width=width, height=50)
    console.print(Group(lay_out_table(LISTED, [[Text(c) for c in row] for row in rows], width=width)), crop=False)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert all(len(line) <= width for line in lines)
    assert any(all(cell in line for cell in rows[0]) for line in lines)  # a table, and no blocks


def test_no_id_is_shortened_where_all_fits_or_nothing_helps() -> None:
    assert listed(250) is None
    assert listed(50) is None  # blocks, with whole ids


def test_a_wide_terminal_shortens_no_more_than_it_must() -> None:
    rows = listed(160)
    assert rows is not None and rows[0][0] == LISTING[0][0]


@pytest.mark.parametrize("width", range(20, 70))
def test_what_is_beside_a_time_stays_there(width: int) -> None:
    said = "opened (2026-03-01 16:03:15 UTC), closed 2026-03-02 08:00:00 UTC; that is all"
    assert " ".join(wrap_words(said, width)) == said
