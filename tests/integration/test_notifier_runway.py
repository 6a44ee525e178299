"""How long credits last: letters and the page say the same, from one view; and nothing where too little is known."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from meter.runtime.postgres import Pool, is_on_citus, load_sql
from notifier.decide import BalanceSnapshot
from notifier.model import AccountSnapshot
from notifier.render import Renderer, Sender
from projections.console.reader import sql
from projections.console.summary import summary_of, to_json
from schemas.amounts import MICRO
from tests.support.console import Books, set_up_cursors

ZONE = ZoneInfo("Asia/Kathmandu")
LETTERS = Renderer(Sender("credits@example.com"))


async def write_books(pool: Pool, hours: int) -> Books:
    await set_up_cursors(pool)
    books = Books(pool, "acct-1", ZONE.key)
    await books.open()
    await books.both("52.5")
    now = datetime.now(UTC)
    for hour in range(hours):
        books.use("model", "small-chat", "0.75", now - timedelta(hours=hour), events=4)
    await books.add_up()
    return books


async def read_both(pool: Pool) -> tuple[dict[str, datetime], dict[str, str] | None]:
    """What letters are made from, and the summary's text of model credits; within one transaction, so at one moment."""
    async with pool.acquire() as connection, connection.transaction():
        rows = await connection.fetch(load_sql("notifier", "fetch_runways"), "acct-1")
        name = "read_summaries_apart" if await is_on_citus(pool) else "read_summaries"
        [row] = await connection.fetch(sql(name), ["acct-1"], True)
    summary = to_json(summary_of(dict(row)), timedelta(seconds=10), ZONE, now=datetime.now(UTC))
    return {row["resource"]: row["empty_at"] for row in rows}, summary["resources"][0]["runway"]


async def test_a_letter_says_what_the_page_says(pool: Pool) -> None:
    await write_books(pool, hours=5)
    runways, shown = await read_both(pool)
    assert list(runways) == ["model_credits"]  # no runs were used
    assert shown is not None
    empty_at = runways["model_credits"]
    assert datetime.fromisoformat(shown["empty_at"]) == empty_at.replace(microsecond=0)
    account = AccountSnapshot("acct-1", 0, 1, "free", None, ("owner@example.com",), time_zone=ZONE.key)
    balance = BalanceSnapshot("acct-1", "model_credits", 1, 75 * MICRO, 52_500_000, 0, 1, line=70)
    letter = LETTERS.render_letter([balance], account, datetime.now(UTC), runways=runways)
    local = empty_at.astimezone(ZONE)
    assert f"{local:%a %-d %b %Y, %H:%M}" in shown["text"]
    assert f"the rest lasts until {local:%A, %-d %B %Y, %H:%M} (Asia/Kathmandu, UTC+5:45)." in letter.text


async def test_usage_in_two_hours_is_too_little_to_say_anything(pool: Pool) -> None:
    await write_books(pool, hours=2)
    runways, shown = await read_both(pool)
    assert not runways and shown is None
