"""Check 4, first half: notices are what the reference says, once each; banners show what is true now."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import asyncpg

from tests.faults.oracle.books import Book, lines_of
from tests.faults.oracle.findings import Findings
from tests.faults.oracle.offsets import Books
from tests.faults.truth import CREDITS, RESOURCES
from tests.faults.world import World

CODES = {name: code for code, name in RESOURCES.items()}
Key = tuple[int, int]  # account, resource


class NoticeCheck:
    def __init__(self, world: World, books: Books, findings: Findings) -> None:
        self._world = world
        self._books = books
        self._found = findings

    async def run(self, connection: asyncpg.Connection) -> None:
        rows = await connection.fetch("SELECT * FROM notifier.notices")
        self._check_notices(rows)
        self._check_banners(await connection.fetch("SELECT * FROM notifier.banners"))
        self._check_known(await connection.fetch("SELECT * FROM notifier.balances"))
        self._check_open(await connection.fetch("SELECT account_id, is_open FROM notifier.accounts"))
        self._found.figures["notices"] = len(rows)

    def _key(self, row: Any) -> Key:
        return self._world.index_of(row["account_id"]), CODES[row["resource"]]

    def _check_notices(self, rows: Iterable[Any]) -> None:
        by_book: defaultdict[Key, dict[tuple[int, str, int], str]] = defaultdict(dict)
        for row in rows:
            line = (row["epoch"], row["channel"], row["threshold"])
            if line in by_book[self._key(row)]:
                self._found.add("notices_doubled", "notice recorded twice", f"{row['account_id']} {line}")
            by_book[self._key(row)][line] = row["outcome"]
        for key in self._books.keys() | by_book.keys():
            self._compare(key, lines_of(self._books.get(key, Book())), by_book[key])

    def _compare(self, key: Key, wanted: dict[tuple[int, str, int], bool], found: dict[Any, str]) -> None:
        who = f"{self._world.accounts[key[0]].name} {RESOURCES[key[1]]}"
        for line in wanted.keys() - found.keys():
            self._found.add("notices_missing", "notice missing", f"{who} {line}")
        for line in found.keys() - wanted.keys():
            self._found.add("notices_doubled", "notice that must not be", f"{who} {line} {found[line]}")
        highest: dict[tuple[int, str], tuple[int, str]] = {}
        for line in sorted(wanted.keys() & found.keys()):
            epoch, channel, threshold = line
            if wanted[line] != (found[line] == "seeded"):
                counter = "notices_doubled" if wanted[line] else "notices_missing"
                self._found.add(counter, "notice with the wrong outcome", f"{who} {line} {found[line]}")
            if found[line] != "seeded":
                highest[epoch, channel] = (threshold, found[line])
        for place, (threshold, outcome) in highest.items():
            expected = self._expected_outcomes(key[0], place[1])
            if outcome not in expected:
                detail = f"{who} {place} {threshold}: {outcome}, must be {' or '.join(expected)}"
                self._found.add("notices_missing", "highest notice not delivered", detail)

    def _expected_outcomes(self, account: int, channel: str) -> set[str]:
        return {"no_contact"} if channel == "email" and not self._world.accounts[account].contacts else {"delivered"}

    def _check_banners(self, rows: Sequence[Any]) -> None:
        shown = {self._key(row): row["threshold"] for row in rows}
        for row in rows:
            self._check_text(row, self._books.get(self._key(row), Book()))
        for key in self._books.keys() | shown.keys():
            book = self._books.get(key, Book())
            wanted = book.banner
            if shown.get(key) != wanted:
                counter = "notices_doubled" if wanted is None else "notices_missing"
                detail = f"{self._world.accounts[key[0]].name} {RESOURCES[key[1]]}: {shown.get(key)}, must be {wanted}"
                self._found.add(counter, "banner that is not true", detail)

    def _check_text(self, row: Any, book: Book) -> None:
        refused = book.percent >= 100
        fits = (row["kind"], row["removable"], "refused now" in row["text"]) == (book.banner_kind, not refused, refused)
        if not fits:
            detail = f"{row['account_id']} {row['resource']}: {row['text']!r}, must be {book.banner_kind}"
            self._found.add("notices_missing", "banner with another text", detail)

    def _check_known(self, rows: Iterable[Any]) -> None:
        """The notifier knows every balance as it is, to the whole percent that is published."""
        known = {self._key(row): row for row in rows}
        for key, book in self._books.items():
            row, who = known.get(key), f"{self._world.accounts[key[0]].name} {RESOURCES[key[1]]}"
            if book.epochs and row is None:
                self._found.add("notices_missing", "balance that never reached the notifier", who)
            elif row is not None and (row["epoch"], percent_of(row)) != (book.epoch, book.percent):
                detail = f"{who}: epoch {row['epoch']}, {percent_of(row)} %, must be {book.epoch}, {book.percent} %"
                self._found.add("notices_missing", "balance known wrongly to the notifier", detail)

    def _check_open(self, rows: Iterable[Any]) -> None:
        """The notifier knows which accounts are closed: they have no banner and get no letter."""
        for row in rows:
            closed = self._books.get((self._world.index_of(row["account_id"]), CREDITS), Book()).closed
            if row["is_open"] is closed:
                detail = f"{row['account_id']}: must be {'closed' if closed else 'open'}"
                self._found.add("notices_missing", "account known wrongly to the notifier", detail)


def percent_of(row: Any) -> int:
    if row["allocation"] == 0:
        return 100 if row["consumed"] >= 0 else 0
    return max(0, int(row["consumed"] * 100 // row["allocation"]))
