"""Scripts, styles and icon: types that browsers want, and no second transfer of what they have."""

import httpx
import pytest
from starlette.applications import Starlette

from projections.console.static_files import folder, static_route

TYPES = {"credit-usage.js": "text/javascript", "console.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


@pytest.fixture
async def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(Starlette(routes=[static_route()])), base_url="http://c")


@pytest.mark.parametrize("name", TYPES)
async def test_a_file_is_sent_with_its_type(client: httpx.AsyncClient, name: str) -> None:
    answer = await client.get(f"/static/{name}")
    assert answer.content == folder().joinpath(name).read_bytes()
    assert answer.headers["content-type"].startswith(TYPES[name].partition(";")[0])
    head = await client.head(f"/static/{name}")
    assert head.content == b"" and head.headers["content-length"] == str(len(answer.content))


async def test_what_the_browser_has_is_not_sent_again(client: httpx.AsyncClient) -> None:
    etag = (await client.get("/static/console.css")).headers["etag"]
    again = await client.get("/static/console.css", headers={"If-None-Match": f'W/"x", {etag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
    assert (await client.get("/static/console.js", headers={"If-None-Match": etag})).status_code == 200


@pytest.mark.parametrize("path", ["none.js", "../app.py", "%2e%2e%2fapp.py", "", "static/console.css"])
async def test_nothing_else_is_sent(client: httpx.AsyncClient, path: str) -> None:
    assert (await client.get(f"/static/{path}")).status_code == 404


async def test_only_reading_is_possible(client: httpx.AsyncClient) -> None:
    assert (await client.post("/static/console.css")).status_code == 405
