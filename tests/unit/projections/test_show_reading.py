"""How much of an account's usage `projections show` reads: what it shows."""

from datetime import date
from typing import cast

import pytest

from projections.reader import BalanceReader, UsageDay
from projections.show import RECENT, SHOWN_DAYS, read_shown_usage

TODAY = date(2026, 11, 24)


class Reader:
    """Has so many lines of the last weeks."""

    def __init__(self, recent: int) -> None:
        self.recent = recent
        self.asked: list[date | None] = []

    async def usage_by_day(self, _account_id: str, since: date | None = None) -> list[UsageDay]:
        self.asked.append(since)
        return [cast(UsageDay, object())] * (self.recent if since else self.recent + 1)


async def read(reader: Reader, *, as_json: bool = False) -> int:
    return len(await read_shown_usage(cast(BalanceReader, reader), "acct-1", TODAY, as_json=as_json))


@pytest.mark.parametrize(("recent", "asked"), [(SHOWN_DAYS, [TODAY - RECENT]), (3, [TODAY - RECENT, None])])
async def test_a_terminal_needs_the_newest_lines_alone(
    recent: int, asked: list[date | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    reader = Reader(recent)
    assert await read(reader) >= min(recent, SHOWN_DAYS)
    assert reader.asked == asked


async def test_a_pipe_shows_no_usage_and_reads_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    reader = Reader(3)
    assert await read(reader) == 0
    assert reader.asked == []


async def test_json_has_all_of_it() -> None:
    reader = Reader(3)
    assert await read(reader, as_json=True) == 4
    assert reader.asked == [None]
