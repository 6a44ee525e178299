"""The dry run on the page: other lines beside those in force, what cannot be read, and a period that counts."""

import re
from collections.abc import AsyncIterator

import httpx
import pytest

from meter.runtime.postgres import Pool
from schemas.resources import Resource
from tests.support.console import Books, days_ago, make_token, running_console, set_up_cursors

INSERT_NOTICE = """
INSERT INTO notifier.notices (notice_id, account_id, resource, epoch, channel, threshold, outcome, allocation, consumed,
    shard, position, created_at)
VALUES (gen_random_uuid(), 'acct-1', 'model_credits', $1, $2, $3, 'delivered', 75000000, 40000000, 0, 2, $4)
"""


@pytest.fixture
async def books(pool: Pool) -> Books:
    """Two epochs: 53 % were used 40 days ago, 94 % ten days ago; then a top-up, and 60 % yesterday."""
    await set_up_cursors(pool)
    made = Books(pool, "acct-1", "Europe/Berlin")
    await made.open()
    await made.both(45)
    for position, (consumed, days, epoch) in enumerate(
        ((0, 50, 1), (40, 40, 1), (71, 10, 1), (0, 9, 2), (45, 1, 2)), 1
    ):
        await made.step(consumed, days_ago(days), position=position, epoch=epoch)
    await made.step(0, days_ago(50), position=9, allocation=10_000, resource=Resource.TOOL_RUNS)
    return made


@pytest.fixture
async def client(dsn: str, books: Books) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"Authorization": f"Bearer {make_token()}"}
    async with (
        running_console(dsn) as address,
        httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as made,
    ):
        yield made


async def ask(client: httpx.AsyncClient, **query: str) -> str:
    reply = await client.get("/accounts/acct-1/history", params=query)
    assert reply.status_code == 200
    return reply.text


def cells(page: str) -> list[tuple[str, str, str]]:
    """Line, with these lines, with the lines in force: of each row."""
    rows = re.findall(r"<tr>(.*?)</tr>", page.split("Lines reached, newest first")[-1], re.DOTALL)
    found = [re.findall(r"<bdi>(.*?)</bdi>", row) for row in rows]
    return [(row[2], row[4], row[5]) for row in found if row]


async def test_lines_stand_beside_those_in_force(client: httpx.AsyncClient, books: Books) -> None:
    await books.thresholds((20, 50, 100), (50, 70, 80, 90))
    page = await ask(client, period="90d", lines="60, 93")
    assert "In force for letters: 50, 70, 80, 90 %." in page
    assert cells(page) == [
        ("60 %", "warned", "no line"), ("50 %", "no line", "warned"),
        ("93 %", "warned", "no line"), ("90 %", "no line", "warned"), ("80 %", "no line", "with a higher line"),
        ("70 %", "no line", "with a higher line"), ("60 %", "with a higher line", "no line"),
        ("50 %", "no line", "warned"),
    ]  # fmt: skip
    assert "With 60, 93 %: 2 warnings. With the lines in force: 3 warnings." in page
    page = await ask(client, period="90d", lines="60", channel="banner")
    assert "In force for banners: 20, 50, 100 %." in page


async def test_the_period_counts_and_what_came_before_is_known(client: httpx.AsyncClient, books: Books) -> None:
    await books.thresholds((), (50, 90))
    page = await ask(client, period="30d", lines="50, 93")
    # 50 % of the first allocation was reached before: it is not reached again within the period.
    assert cells(page) == [
        ("50 %", "warned", "warned"), ("93 %", "warned", "no line"), ("90 %", "no line", "warned"),
    ]  # fmt: skip


async def test_without_a_notifier_nothing_is_said_of_lines_in_force(client: httpx.AsyncClient) -> None:
    page = await ask(client, period="90d", lines="60")
    assert "No thresholds are recorded yet" in page
    assert "With 60 %: 2 warnings." in page and "With the lines in force" not in page


@pytest.mark.parametrize("typed", ["0", "60.5", "<script>alert(1)</script>", '"><b>', "9" * 3000])
async def test_what_is_no_line_is_said_with_an_example(client: httpx.AsyncClient, typed: str) -> None:
    page = await ask(client, lines=typed)
    assert 'role="alert"' in page and "such as 60, 85." in page
    assert "<script>alert" not in page and '"><b>' not in page


async def test_history_is_that_of_the_period(client: httpx.AsyncClient, pool: Pool) -> None:
    await pool.execute(INSERT_NOTICE, 1, "email", 50, days_ago(40))
    assert "50 % reached" in await ask(client, period="90d")
    page = await ask(client, period="7d")
    assert "50 % reached" not in page and "Nothing happened in this period." in page
    reply = await client.get("/accounts/acct-1/history.csv", params={"period": "7d"})
    assert "50 % reached" not in reply.text
    assert "50 % reached" in (await client.get("/v1/accounts/acct-1/history")).text


async def test_of_lines_of_one_moment_those_of_the_newest_count_come_first(
    client: httpx.AsyncClient, pool: Pool
) -> None:
    """Grants that are folded together begin counts in one moment: lines of several stood mixed."""
    at = days_ago(1)
    for epoch, channel, line in ((2, "email", 50), (3, "banner", 20), (2, "banner", 80), (2, "email", 80)):
        await pool.execute(INSERT_NOTICE, epoch, channel, line, at)
    page = await ask(client, period="7d")
    assert re.findall(r"(\d+) % reached \((\w+)\).*?allocation (\d)", page, re.DOTALL) == [
        ("20", "banner", "3"), ("80", "banner", "2"), ("80", "email", "2"), ("50", "email", "2"),
    ]  # fmt: skip
