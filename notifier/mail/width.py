"""How many connections to the mail server are in use: more while letters are late, fewer when the server refuses them.

A server that takes 20 s for a letter is not overloaded by more connections, and one that is says so. So one is added
with each letter that is late, and half of what was added is taken back when the server refuses.
"""

import asyncio

from notifier.mail.verdict import BEFORE_RECIPIENT, Judgement, Verdict


class Width:
    """Between `least` and `most`. Senders have numbers from 0 on; those below `now` may work."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = max(least, most)
        self.now = least
        self._changed = asyncio.Event()

    @property
    def most(self) -> int:
        return self._most

    def admits(self, number: int) -> bool:
        return number < self.now

    async def enter(self, number: int) -> None:
        while not self.admits(number):
            self._changed.clear()
            await self._changed.wait()

    def grow(self) -> None:
        if self.now < self._most:
            self.now += 1
            self._changed.set()

    def shrink(self, judgement: Judgement) -> bool:
        """Whether the server only has too many connections of ours: then fewer are used from now on."""
        if self.now == self._least or not is_throttled(judgement):
            return False
        self.now = self._least + (self.now - self._least) // 2
        return True


def is_throttled(judgement: Judgement) -> bool:
    """The server put us off before it heard of a recipient. Where no connection was added, that is trouble."""
    result = judgement.result
    return (
        judgement.verdict is Verdict.TROUBLE
        and result is not None
        and result.phase in BEFORE_RECIPIENT
        and result.code is not None
        and 400 <= result.code < 500
    )
