"""The console's line of progress: what it answered."""

import asyncio

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from meter.runtime.process.metrics import Metrics
from meter.runtime.process.progress import Progress
from projections.console.counting import Counted


async def answer(request: Request) -> Response:
    return Response(status_code=int(request.path_params["status"]))


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(200, "answered"), (204, "answered"), (303, "redirected"), (401, "refused"), (429, "refused"), (500, "failed")],
)
async def test_each_answer_counts_once_and_shows_in_the_line_of_progress(status: int, outcome: str) -> None:
    metrics = Metrics()
    app = Counted(Starlette(routes=[Route("/{status}", answer)]), metrics)
    progress = Progress(metrics)
    assert progress.take() is None
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://console") as client:
        await asyncio.gather(*(client.get(f"/{status}") for _ in range(3)))
    assert progress.take() == {"requests": {outcome: 3}}
    assert b'metering_requests_total{outcome="failed"}' in metrics.render(), "counters are there from the start"
