"""Who may ask the console what, over HTTP: tokens, the cookie, origins, headers, limits; and the JSON against SQL."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import jsonschema
import pytest

from meter.runtime.postgres import Pool
from projections.console.access import COOKIE
from projections.console.reader import ConsoleReader
from schemas.resources import Resource
from tests.support.console import Books, days_ago, make_token, running_console, set_up_cursors

INSERT_OPENING = """
INSERT INTO meter.events (shard, position, amount, kafka_offset, occurred_at, recorded_at, event_id, event_key, type,
    account_id, name, source, data)
SELECT $1, 1, 0, 1, now(), now() - interval '3 minutes', gen_random_uuid(), 'x', code, $2, 'free', '/billing', '{}'
FROM meter.event_types WHERE type = 'account.opened.v1'
"""
NAMES = ("summary", "usage", "items", "banners", "history", "allowed")


class ShiftedClock:
    """Of a machine whose time is set wrong."""

    def __init__(self, by: timedelta) -> None:
        self._by = by

    def now(self) -> datetime:
        return datetime.now(UTC) + self._by


def bearer(account_id: str = "acct-1", **more: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {make_token(account_id, **more)}"}


@pytest.fixture
async def books(pool: Pool) -> Books:
    await set_up_cursors(pool)
    made = Books(pool, "acct-1")
    await made.open()
    await made.both("12.4", 45)
    return made


@pytest.fixture
async def client(dsn: str, books: Books) -> AsyncIterator[httpx.AsyncClient]:
    async with running_console(dsn) as address, httpx.AsyncClient(base_url=address, timeout=60) as made:
        yield made


@pytest.mark.parametrize("name", [*NAMES, "live"])
async def test_only_the_accounts_own_token_is_answered(client: httpx.AsyncClient, name: str) -> None:
    path = f"/v1/accounts/acct-1/{name}"
    for headers, status, code in (
        ({}, 401, "token_missing"),
        ({"Authorization": "Bearer nothing"}, 401, "token_invalid"),
        (bearer(minutes=-5), 401, "token_expired"),
        (bearer("acct-2"), 403, "other_account"),
    ):
        reply = await client.get(path, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (status, code)
    if name != "live":
        assert (await client.get(path, headers=bearer())).status_code == 200


async def test_a_token_in_the_address_counts_for_nothing(client: httpx.AsyncClient) -> None:
    reply = await client.get(f"/v1/accounts/acct-1/summary?token={make_token()}&access_token={make_token()}")
    assert reply.status_code == 401


async def test_a_token_is_exchanged_for_a_cookie_that_scripts_cannot_read(client: httpx.AsyncClient) -> None:
    reply = await client.post("/session", data={"token": make_token()})
    assert (reply.status_code, reply.headers["location"]) == (303, "/accounts/acct-1")
    cookie = reply.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}=")
    assert {"HttpOnly", "Secure", "SameSite=strict", "Path=/"} <= set(cookie.split("; "))
    value = cookie.split(";")[0].split("=", 1)[1]
    page = await client.get("/accounts/acct-1/overview", headers={"Cookie": f"{COOKIE}={value}"})
    assert page.status_code == 200
    other = await client.get(
        "/accounts/acct-2/overview", headers={"Cookie": f"{COOKIE}={value}", "Accept": "text/html"}
    )
    assert other.status_code == 403


async def test_a_form_of_another_site_is_refused(client: httpx.AsyncClient) -> None:
    for headers in ({"Origin": "https://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}):
        reply = await client.post("/session", data={"token": make_token()}, headers=headers)
        assert (reply.status_code, reply.json()["code"]) == (403, "other_origin")


async def test_a_page_without_token_leads_to_the_form(client: httpx.AsyncClient) -> None:
    reply = await client.get("/accounts/acct-1/overview", headers={"Accept": "text/html"})
    assert (reply.status_code, reply.headers["location"]) == (303, "/?why=token_missing")
    assert "Sign in with a token" in (await client.get("/?why=token_missing")).text
    assert "<script>alert" not in (await client.get("/?why=<script>alert(1)</script>")).text


@pytest.mark.parametrize("path", ["/", "/accounts/acct-1/overview", "/v1/accounts/acct-1/summary", "/nowhere"])
async def test_every_answer_has_the_headers(client: httpx.AsyncClient, path: str) -> None:
    reply = await client.get(path, headers=bearer())
    policy = reply.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy and "http" not in policy
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert reply.headers["cache-control"] == "no-store"
    assert "server" not in reply.headers


async def test_origins_are_those_of_the_settings(dsn: str, books: Books) -> None:
    origins = ("https://app.example.com",)
    async with (
        running_console(dsn, console_origins=origins) as address,
        httpx.AsyncClient(base_url=address, timeout=60) as client,
    ):
        for origin, allowed in (("https://app.example.com", True), ("https://evil.example.com", False)):
            asked = {"Origin": origin, "Access-Control-Request-Method": "GET",
                     "Access-Control-Request-Headers": "authorization"}  # fmt: skip
            reply = await client.options("/v1/accounts/acct-1/summary", headers=asked)
            assert (reply.headers.get("access-control-allow-origin") == origin) is allowed
            reply = await client.get("/v1/accounts/acct-1/summary", headers=bearer() | {"Origin": origin})
            assert (reply.headers.get("access-control-allow-origin") == origin) is allowed
            assert "access-control-allow-credentials" not in reply.headers


async def test_who_asks_too_often_waits(dsn: str, books: Books) -> None:
    async with (
        running_console(dsn, console_requests=10) as address,
        httpx.AsyncClient(base_url=address, timeout=60) as client,
    ):
        statuses = [(await client.get("/v1/openapi.json")).status_code for _ in range(12)]
        assert statuses[:10] == [200] * 10
        assert statuses[-1] == 429
        refused = await client.get("/v1/openapi.json")
        assert refused.json()["code"] == "too_many_requests"
        assert int(refused.headers["retry-after"]) >= 1


async def test_without_keys_only_a_name_of_this_machine_is_answered(dsn: str, books: Books) -> None:
    """A page of the web whose name leads to 127.0.0.1 sends its own name."""
    async with (
        running_console(dsn, console_secret=None) as address,
        httpx.AsyncClient(base_url=address, timeout=60) as client,
    ):
        assert (await client.get("/v1/accounts/acct-1/summary")).status_code == 200
        for host in ("evil.example.com", "127.0.0.1.example.com", ""):
            reply = await client.get("/v1/accounts/acct-1/summary", headers={"Host": host})
            assert (reply.status_code, reply.json()["code"]) == (403, "not_local"), host


@pytest.mark.parametrize("account_id", ["a b", "<b>", "x" * 129, "%00", "ä", "a'b"])
async def test_what_is_no_account_id_is_not_found(client: httpx.AsyncClient, account_id: str) -> None:
    reply = await client.get(f"/v1/accounts/{account_id}/summary", headers=bearer())
    assert reply.status_code == 404


async def test_the_summary_is_what_sql_says(client: httpx.AsyncClient, pool: Pool, books: Books) -> None:
    await books.banner(50)
    body = (await client.get("/v1/accounts/acct-1/summary", headers=bearer())).json()
    rows = await pool.fetch("SELECT * FROM projections.balances WHERE account_id = 'acct-1' ORDER BY resource")
    for share, row in zip(body["resources"], rows, strict=True):
        assert share["resource"] == row["resource"]
        for name in ("allocation", "consumed", "remaining", "exhaustion"):
            assert Decimal(share[name]) == row[name]
        assert (share["status"], share["allowed"]) == (row["status"], row["allowed"])
    assert [banner["threshold"] for banner in body["banners"]] == [50]
    assert (body["state"], body["status"], body["stale"]) == ("open", "good", False)
    assert body["sentence"] == "Credit usage. Model credits: 83 % left, good. Tool runs: 100 % left, good."


async def test_allowed_is_200_or_402_with_a_stable_code(client: httpx.AsyncClient, books: Books) -> None:
    async def ask(query: str = "", account: str = "acct-1") -> tuple[int, str]:
        reply = await client.get(f"/v1/accounts/{account}/allowed{query}", headers=bearer(account))
        return reply.status_code, reply.json()["code"]

    assert await ask() == (200, "allowed")
    await books.balance("75", resource=Resource.MODEL_CREDITS)
    assert await ask() == (402, "model_credits_exhausted")
    assert await ask("?resource=tool_runs") == (200, "allowed")
    assert await ask("?resource=model_credits") == (402, "model_credits_exhausted")
    assert await ask("?resource=gold") == (400, "resource_unknown")
    assert await ask(account="acct-nobody") == (402, "account_not_opened")


@pytest.mark.parametrize("clock", ["right", "an hour behind", "an hour ahead"])
async def test_an_account_that_is_opened_and_not_folded_yet_is_not_surely_refused(
    dsn: str, pool: Pool, clock: str
) -> None:
    """Its opening is in the log, and no balance is there. The console's own clock plays no part in it."""
    books = Books(pool, "acct-new")
    await set_up_cursors(pool)
    await pool.execute("UPDATE meter.shards SET next_position = 2 WHERE shard = $1", books.shard)
    await pool.execute(INSERT_OPENING, books.shard, books.account_id)
    same_shard, other = [
        next(name for name in map("acct-{}".format, range(100)) if (Books(pool, name).shard == books.shard) is same)
        for same in (True, False)
    ]
    hours = {"right": 0, "an hour behind": -1, "an hour ahead": 1}[clock]
    async with (
        running_console(dsn, ShiftedClock(timedelta(hours=hours)), console_secret=None) as address,
        httpx.AsyncClient(base_url=address, timeout=60) as client,
    ):
        for account_id, stale in ((books.account_id, True), (same_shard, True), (other, False)):
            reply = await client.get(f"/v1/accounts/{account_id}/allowed")
            body = reply.json()
            assert (reply.status_code, body["code"], body["stale"]) == (402, "account_not_opened", stale)
            summary = (await client.get(f"/v1/accounts/{account_id}/summary")).json()
            assert (summary["stale"], "not opened" in summary["sentence"]) == (stale, not stale)


async def test_usage_and_items_equal_sql(client: httpx.AsyncClient, pool: Pool, books: Books) -> None:
    for day in range(5):
        books.use("model", "small-chat", "1.25", days_ago(day), deployment="eu", category="inference", tokens=(8, 2))
        books.use("tool", "web-search", "3", days_ago(day), status="ok")
    await books.add_up()
    await books.item("tool", "calendar", owner="ops")
    body = (await client.get("/v1/accounts/acct-1/usage?period=7d", headers=bearer())).json()
    assert sum(Decimal(row["amount"]) for row in body["usage"] if row["resource"] == "model_credits") == Decimal("6.25")
    assert sum(Decimal(row["amount"]) for row in body["points"]) == Decimal("21.25")
    hours = (await client.get("/v1/accounts/acct-1/usage?period=24h", headers=bearer())).json()
    assert hours["period"]["unit"] == "hour"
    items = (await client.get("/v1/accounts/acct-1/items", headers=bearer())).json()["items"]
    assert [(item["kind"], item["id"], item["told"]) for item in items] == [
        ("model", "small-chat", False), ("tool", "calendar", True), ("tool", "web-search", False),
    ]  # fmt: skip


@pytest.mark.parametrize("period", ["7d", "24h"])
@pytest.mark.parametrize("first", ["usage", "amounts"])
async def test_figures_of_one_answer_are_of_one_moment(
    client: httpx.AsyncClient, books: Books, monkeypatch: pytest.MonkeyPatch, period: str, first: str
) -> None:
    """Usage is folded all the time, also between two statements of one page."""
    read = getattr(ConsoleReader, first)

    async def read_and_fold(*arguments: Any) -> Any:
        found = await read(*arguments)
        books.use("model", "small-chat", "1.25", days_ago(0))
        await books.add_up()
        return found

    books.use("model", "large-chat", "2", days_ago(0))
    await books.add_up()
    monkeypatch.setattr(ConsoleReader, first, read_and_fold)
    if first == "amounts":
        page = (await client.get(f"/accounts/acct-1/overview?period={period}", headers=bearer())).text
        assert "large-chat" in page and "small-chat" not in page and "3.25" not in page
        return
    body = (await client.get(f"/v1/accounts/acct-1/usage?period={period}", headers=bearer())).json()
    for part in ("usage", "points"):
        assert sum(Decimal(row["amount"]) for row in body[part]) == 2, part


@pytest.mark.parametrize("query", ["?period=forever", "?period=custom", "?period=custom&from=2999-01-01"])
async def test_a_period_that_cannot_be_shown_is_refused(client: httpx.AsyncClient, query: str) -> None:
    reply = await client.get(f"/v1/accounts/acct-1/usage{query}", headers=bearer())
    assert (reply.status_code, reply.json()["code"]) == (400, "period_unknown")


async def test_every_answer_is_as_the_openapi_document_says(client: httpx.AsyncClient, books: Books) -> None:
    books.use("model", "small-chat", "1", days_ago(0))
    await books.add_up()
    await books.banner(50)
    paths = (await client.get("/v1/openapi.json")).json()["paths"]
    for name in NAMES:
        reply = await client.get(f"/v1/accounts/acct-1/{name}", headers=bearer())
        answers = paths[f"/v1/accounts/{{account_id}}/{name}"]["get"]["responses"]
        schema = answers[str(reply.status_code)]["content"]["application/json"]["schema"]
        jsonschema.validate(reply.json(), schema)
        assert reply.json().keys() == schema["properties"].keys()
