"""The circuit breaker of sending: closed to senders while the mail server as a whole is in trouble."""

import asyncio
from collections.abc import Callable, Iterator

from meter.runtime.waiting import pauses
from notifier.mail.verdict import Judgement, Verdict, is_about_us


class Gate:
    """Open, everyone passes. Closed, everyone waits for the end of a growing pause; then one passes, as a probe."""

    def __init__(self, first_s: float, max_s: float) -> None:
        self._fresh: Callable[[], Iterator[float]] = lambda: pauses(first_s, max_s)
        self._steps = self._fresh()
        self._closed_until: float | None = None
        self._probe: object | None = None
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        return self._closed_until is None

    async def enter(self, who: object) -> None:
        """Wait for the right to send. Whoever entered then calls `open`, `close` or `leave`."""
        while not self._admits(who):
            self._changed.clear()
            await self._wait()

    def _admits(self, who: object) -> bool:
        if self._closed_until is None:
            return True
        if self._probe is None and asyncio.get_running_loop().time() >= self._closed_until:
            self._probe = who
        return self._probe is who

    async def _wait(self) -> None:
        pause_s = None
        if self._probe is None and self._closed_until is not None:
            pause_s = max(0.0, self._closed_until - asyncio.get_running_loop().time())
        try:
            async with asyncio.timeout(pause_s):
                await self._changed.wait()
        except TimeoutError:
            pass

    def is_probe(self, who: object) -> bool:
        """Whether they alone may send, while all others wait for what comes of it."""
        return self._probe is who

    def open(self, *, proven: bool = True) -> bool:
        """Record that the server works. True when the gate was closed before. `proven`: by a letter; else the pauses go
        on growing where the next one finds trouble."""
        news, self._closed_until, self._probe = self._closed_until is not None, None, None
        if proven:
            self._steps = self._fresh()
        self._changed.set()
        return news

    def close(self) -> float:
        """Record that the server is in trouble; the seconds until the next try. Failures at one time count as one."""
        now = asyncio.get_running_loop().time()
        if self._closed_until is None or now >= self._closed_until:
            self._closed_until = now + next(self._steps)
        self._probe = None
        self._changed.set()
        return self._closed_until - now

    def leave(self, who: object) -> None:
        """Give up the right to send without a result: another sender may be the probe."""
        if self._probe is who:
            self._probe = None
            self._changed.set()


class Relay:
    """Tells a relay that has something against us from one that refuses a recipient."""

    def __init__(self) -> None:
        self._took_one = False
        self._refused: set[str] = set()  # recipients, since it last took a mail

    def works_for_others(self, recipient: str) -> bool:
        """It took a mail, and has refused nobody else since."""
        return self._took_one and self._refused <= {recipient}

    def note(self, recipient: str, judgement: Judgement) -> None:
        if judgement.verdict is Verdict.ACCEPTED:
            self._took_one = True
            self._refused.clear()
        elif judgement.result is not None and is_about_us(judgement.result):
            self._refused.add(recipient)
