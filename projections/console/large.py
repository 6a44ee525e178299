"""Large answers: a few are made at a time, and one of an account, so that one with many items holds nobody else up."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from projections.console.tokens import AccessError

log = structlog.get_logger(component="console")
AT_ONCE: Final = 2
# Answers that wait for their turn, are made, or are large and not read yet: each holds memory.
MOST: Final = 64
MOST_OF_ACCOUNT: Final = 8
LARGE: Final = 262_144  # bytes
CHUNK: Final = 65_536  # bytes
# To read a large answer. A reader that takes a little now and then would keep its place for hours, and others out.
READ_S: Final = 300.0


class LargeAnswers:
    """Of one process. Whoever asks for an account waits for those before, of that account and then of all."""

    def __init__(self, at_once: int = AT_ONCE, most: int = MOST, most_of_account: int = MOST_OF_ACCOUNT) -> None:
        self._at_once = asyncio.Semaphore(at_once)
        self._most = most
        self._most_of_account = most_of_account
        self._queues: dict[str, Queue] = {}

    @property
    def taken(self) -> int:
        return sum(queue.length for queue in self._queues.values())

    async def make(self, account_id: str, make: Callable[[], Awaitable[Response]]) -> Response:
        """The answer, when its turn has come. Raises AccessError (503) where too many are asked for already."""
        queue = self._enter(account_id)
        try:
            async with queue.lock, self._at_once:
                answer = await make()
        except BaseException:
            self._leave(account_id, queue)
            raise
        if len(answer.body) > LARGE:
            return Large(answer, lambda: self._leave(account_id, queue))
        self._leave(account_id, queue)
        return answer

    def _enter(self, account_id: str) -> "Queue":
        queue = self._queues.get(account_id)
        if self.taken >= self._most or (queue is not None and queue.length >= self._most_of_account):
            raise AccessError(503, "too_many_answers", "Too many large answers are asked for: wait for one of them.")
        queue = self._queues.setdefault(account_id, Queue())
        queue.length += 1
        return queue

    def _leave(self, account_id: str, queue: "Queue") -> None:
        queue.length -= 1
        if queue.length == 0:
            self._queues.pop(account_id, None)


class Queue:
    """The answers of one account."""

    def __init__(self) -> None:
        self.length = 0
        self.lock = asyncio.Lock()


class Large(Response):
    """Handed over as it is read, so that its place is held until then; after `read_s` the connection ends."""

    def __init__(self, answer: Response, release: Callable[[], None], read_s: float = READ_S) -> None:
        super().__init__(status_code=answer.status_code, background=answer.background)
        self.body, self.raw_headers = answer.body, answer.raw_headers
        self._release = release
        self._read_s = read_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with asyncio.timeout(self._read_s) as reading:
                await self._hand_over(send)
        except TimeoutError:
            if not reading.expired():
                raise
            # The server ends the connection of an answer that is not whole.
            log.info("answer_not_read", detail=f"{len(self.body)} bytes were not read within {self._read_s:.0f} s")
        finally:
            self._release()

    async def _hand_over(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self.body), CHUNK):
            body = bytes(self.body[start : start + CHUNK])
            await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
