"""Counts what the console answered, for its line of progress and for /metrics."""

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from meter.runtime.process.metrics import Metrics, begin

OUTCOMES: Final = ("answered", "redirected", "refused", "failed")


class Counted:
    """Around the whole application, so that what its middleware refuses counts as well. A live page counts when it is
    opened."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._requests = metrics.requests
        begin(metrics.requests, OUTCOMES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counting(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._requests.labels(outcome_of(message["status"])).inc()
            await send(message)

        await self._app(scope, receive, counting)


def outcome_of(status: int) -> str:
    return OUTCOMES[min(3, max(0, status // 100 - 2))]
