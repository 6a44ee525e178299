"""Requests that mean harm or make no sense, and a database that is away: each answer says what to do."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import httpx
import pytest

from meter.runtime.postgres import Pool
from projections.console import live
from projections.console.contents import MOST_ROWS
from tests.faults.proxy import Proxy
from tests.support import until
from tests.support.console import Books, days_ago, make_token, running_console, set_up_cursors

HTML = {"Accept": "text/html"}


class MovedClock:
    """The machine's, and ahead of it as far as the test says."""

    ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead


def bearer() -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token()}"}


@pytest.fixture
async def books(pool: Pool) -> Books:
    await set_up_cursors(pool)
    made = Books(pool, "acct-1")
    await made.open()
    await made.both("12.4", 45)
    return made


@pytest.fixture
async def client(dsn: str, books: Books) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        running_console(dsn) as address,
        httpx.AsyncClient(base_url=address, headers=bearer(), timeout=60) as made,
    ):
        yield made


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://["}, {"Referer": "http://["}, {"Host": "["}, {"Host": ""},
        {"Cookie": f"credit-console-closed={'%5B' * 9_000}"}, {"Cookie": f"credit-console-closed={'9' * 9_000}"},
        {"Cookie": "; ".join(f"c{n}=v" for n in range(3_000))}, {"Authorization": "Bearer"},
        {"Referer": "https://evil.example.com//accounts/acct-1/"}, {"X-Forwarded-Host": "evil.example.com"},
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/accounts/acct-1/overview"), ("POST", "/session"), ("POST", "/accounts/acct-1/banners/close"),
     ("POST", "/session/end")],
)  # fmt: skip
async def test_no_header_is_a_fault_or_leads_elsewhere(
    client: httpx.AsyncClient, method: str, path: str, headers: dict[str, str]
) -> None:
    data = {"token": make_token()} if method == "POST" else None
    reply = await client.request(method, path, headers=headers, data=data)
    assert reply.status_code < 500, reply.text
    assert reply.headers.get("location", "/").startswith("/")
    assert not reply.headers.get("location", "/").startswith("//")


@pytest.mark.parametrize("body", [b"a=1&" * 1_500, b"token=%FF%FE", b"\xff\xfe\x00", b"token=" + b"x" * 10_000_000])
async def test_no_body_is_a_fault(client: httpx.AsyncClient, body: bytes) -> None:
    reply = await client.post("/session", content=body)
    assert reply.status_code in (400, 401, 413), reply.text
    assert reply.json()["detail"]


@pytest.mark.parametrize("path", ["/static", "/accounts/acct-1/", "/accounts/acct-1/overview/"])
async def test_no_answer_leads_to_the_host_that_a_request_names(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path, headers={"Host": "evil.example.com"})
    assert "evil" not in reply.headers.get("location", "")


@pytest.mark.parametrize(
    "path", ["../settings.py", "%2e%2e/settings.py", "..%2fsettings.py", "%2e%2e%5csettings.py", "%00", ""]
)
async def test_static_files_are_those_of_one_folder(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/static/{path}")).status_code == 404


async def test_what_is_refused_below_static_is_kept_by_no_cache(dsn: str, books: Books) -> None:
    """It is one client's, at one moment: a cache would give it to everybody."""
    async with (
        running_console(dsn, console_requests=10) as address,
        httpx.AsyncClient(base_url=address, timeout=60) as client,
    ):
        found = [await client.get("/static/credit-usage.js"), await client.get("/static/nothing.js")]
        while found[-1].status_code != 429:
            found.append(await client.get("/static/credit-usage.js"))
    kept = {reply.status_code: reply.headers["cache-control"] for reply in found}
    assert kept == {200: "public, max-age=300", 404: "no-store", 429: "no-store"}


@pytest.mark.parametrize("account_id", ["tools", "tools-team", "models"])
async def test_the_link_to_a_file_leads_to_it_whatever_the_account_is_called(
    pool: Pool, dsn: str, account_id: str
) -> None:
    await set_up_cursors(pool)
    await Books(pool, account_id).open()
    await Books(pool, account_id).both("12.4", 45)
    token = {"Authorization": f"Bearer {make_token(account_id)}"}
    async with (
        running_console(dsn) as address,
        httpx.AsyncClient(base_url=address, headers=token, timeout=60) as client,
    ):
        for tab in ("models", "tools"):
            page = (await client.get(f"/accounts/{account_id}/{tab}?period=30d")).text
            [link] = re.findall(r'href="([^"]+)" download', page)
            reply = await client.get(link.replace("&amp;", "&"))
            assert (reply.status_code, reply.headers["content-type"]) == (200, "text/csv; charset=utf-8"), link


async def test_links_carry_on_what_pages_are_asked_by_and_nothing_else(client: httpx.AsyncClient, books: Books) -> None:
    books.use("model", "small-chat", "1", days_ago(0))
    await books.add_up()
    page = (await client.get("/accounts/acct-1/models", params={"period": "30d", "zzz": "y" * 50_000})).text
    assert "period=30d" in page and "zzz" not in page
    for name in ("q", "open", "sort", "lines"):
        page = (await client.get("/accounts/acct-1/models", params={name: "y" * 50_000})).text
        assert "y" * 600 not in page, name


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("from=1970-01-01", 400), ("from=0001-01-01", 400), ("from=9999-12-31", 400), ("from=2999-01-01", 400),
        ("from=-1", 400), ("from=%00", 400), ("from=", 400), ("from=2026-02-30", 400), (f"from={'x' * 30_000}", 400),
        (f"from={days_ago(3).date()}&to={days_ago(9).date()}", 400), (f"from={days_ago(3).date()}&to=0001-01-01", 400),
        (f"from={days_ago(3).date()}&to=9999-12-31", 200),
    ],
    ids=range(12),  # without today's date: each worker names the tests, perhaps on either side of midnight
)  # fmt: skip
async def test_periods_that_make_no_sense_are_refused_with_a_link_to_the_account(
    client: httpx.AsyncClient, query: str, status: int
) -> None:
    for tab in ("overview", "models", "history", "tools.csv"):
        reply = await client.get(f"/accounts/acct-1/{tab}?period=custom&{query}", headers=HTML)
        assert reply.status_code == status, (tab, reply.text)
        if status == 400:
            assert "That period cannot be shown: " in reply.text
            assert 'href="/accounts/acct-1/overview">Show the usage of this account' in reply.text


@pytest.mark.parametrize(
    ("path", "link"),
    [("/nowhere", "/"), ("/accounts/acct-1/nothing", "/accounts/acct-1/overview"), ("//evil.example.com/x", "/")],
)
async def test_an_address_that_there_is_not_has_a_page_and_a_code(
    client: httpx.AsyncClient, path: str, link: str
) -> None:
    reply = await client.get(f"{client.base_url}{path}", headers=HTML)
    assert (reply.status_code, reply.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "There is no such page." in reply.text and f'href="{link}"' in reply.text
    assert (await client.get(path)).json()["code"] == "no_page"
    assert (await client.put("/v1/accounts/acct-1/summary")).json()["code"] == "no_method"


async def test_who_asks_too_often_reads_why_from_any_allowed_origin(dsn: str, books: Books) -> None:
    origins = ("https://app.example.com",)
    async with (
        running_console(dsn, console_requests=10, console_origins=origins) as address,
        httpx.AsyncClient(base_url=address, timeout=60) as client,
    ):
        for _ in range(11):
            reply = await client.get("/v1/openapi.json", headers={"Origin": origins[0]})
        assert reply.status_code == 429
        assert reply.headers["access-control-allow-origin"] == origins[0]
        assert "Retry-After" in reply.headers["access-control-expose-headers"]
        page = await client.get("/accounts/acct-1/models?period=24h", headers=HTML)
        assert page.status_code == 429
        assert 'href="/accounts/acct-1/models?period=24h">Try again' in page.text


async def test_a_stream_ends_with_its_token(dsn: str, books: Books, monkeypatch: pytest.MonkeyPatch) -> None:
    """At the first heartbeat behind its end: each sends the figures again."""
    monkeypatch.setattr(live, "HEARTBEAT", timedelta(milliseconds=100))
    clock = MovedClock()
    async with (
        asyncio.timeout(60),
        running_console(dsn, clock) as address,
        httpx.AsyncClient(base_url=address, headers=bearer(), timeout=60) as client,
        client.stream("GET", "/v1/accounts/acct-1/live") as reply,
    ):
        states = (line async for line in reply.aiter_lines() if line.startswith("data:"))
        for _ in range(3):
            await anext(states)
        clock.ahead = timedelta(hours=1)
        async for _ in states:
            pass


async def test_while_the_database_is_away_it_says_so_and_goes_on_after(dsn: str, books: Books) -> None:
    parts = urlsplit(dsn)
    proxy = Proxy("postgres", parts.port or 5432)
    await proxy.start()
    behind = parts._replace(netloc=parts.netloc.replace(str(parts.port), str(proxy.port))).geturl()
    try:
        async with (
            running_console(behind) as address,
            httpx.AsyncClient(base_url=address, headers=bearer(), timeout=60) as client,
        ):
            assert (await client.get("/accounts/acct-1/overview")).status_code == 200
            async with client.stream("GET", "/v1/accounts/acct-1/live") as stream:
                lines = (line async for line in stream.aiter_lines() if line.startswith("data:"))
                await anext(lines)
                proxy.refuse(True)
                proxy.reset()
                page = await client.get("/accounts/acct-1/models?period=30d", headers=HTML)
                assert (page.status_code, page.headers["retry-after"]) == (503, "5")
                assert "the database does not answer" in page.text
                assert 'href="/accounts/acct-1/models?period=30d">Try again' in page.text
                assert "default-src 'none'" in page.headers["content-security-policy"]
                reply = await client.get("/v1/accounts/acct-1/summary")
                assert (reply.status_code, reply.json()["code"]) == (503, "not_readable")
                proxy.refuse(False)
                await books.balance("60", 75)
                async with asyncio.timeout(60):
                    while '"consumed": "60' not in await anext(lines):
                        pass

            async def answers() -> bool:
                return (await client.get("/v1/accounts/acct-1/summary")).status_code == 200

            await until(answers)
    finally:
        await proxy.close()


async def test_made_up_items_and_deployments_keep_a_page_short(
    client: httpx.AsyncClient, books: Books, pool: Pool
) -> None:
    """20,000 items made a page of 14 MB that kept every other reader waiting for six seconds."""
    many = 3_000
    for number in range(many):
        books.use("model", "small-chat", "0.001", days_ago(0.1), deployment=f"made-up-{number}")
    await books.add_up()
    await pool.execute(
        "INSERT INTO projections.items (shard, account_id, kind, id, name, status, position) "
        "SELECT $1, 'acct-1', 'model', 'idle-' || n, 'Idle', 'deployed', n FROM generate_series(1, $2::int) n",
        books.shard, many - 1,
    )  # fmt: skip
    page = (await client.get("/accounts/acct-1/models?open=small-chat")).text
    assert page.count('<tr id="row-') == MOST_ROWS
    assert "The first 1,000 of 3,000 are shown." in page
    assert "The first 1,000 of 3,000 deployments are shown; the total is of all." in page
    assert len(page) < 2_000_000
    found = (await client.get("/accounts/acct-1/models?q=small")).text
    assert found.count('<tr id="row-') == 1 and "are shown." not in found
    assert len((await client.get("/accounts/acct-1/models.csv")).text.splitlines()) == many + 1
