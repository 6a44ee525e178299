"""One connection to the mail server and the conversation on it."""

import asyncio
from typing import Any

from notifier.mail.session import SmtpServer, SmtpSession
from notifier.mail.verdict import Phase, Result
from notifier.settings import NotifierSettings
from notifier.store.port import ClaimedEmail, MailQueue

# After a stop: the share of the grace time that conversations in flight may take.
DRAIN_SHARE = 0.6


class Sender:
    """Sends one letter at a time, or asks whether one would be taken."""

    def __init__(self, queue: MailQueue, server: SmtpServer, settings: NotifierSettings, stop: asyncio.Event) -> None:
        self._queue = queue
        self._session = SmtpSession(server)
        self._settings = settings
        self._stop = stop
        self._hurry = asyncio.Event()
        self._idle_since: float | None = None
        self.interrupted = False

    async def send(self, email: ClaimedEmail) -> Result | None:
        """The end of the conversation; None when nothing was handed over: see `MailQueue.hand_over`."""
        self._idle_since = None
        conversation = asyncio.create_task(self._converse(email))
        try:
            await self._attend(conversation)
        finally:
            if not conversation.done():
                conversation.cancel()
                await asyncio.wait({conversation})
        if conversation.cancelled():
            self.interrupted = True
            self._session.abort()
            return Result(self._session.phase, None, "the notifier was stopped before the reply came")
        return conversation.result()

    async def _attend(self, conversation: "asyncio.Task[Any]") -> None:
        """Wait for the end of the conversation; after a stop, for DRAIN_SHARE of the grace time at most."""
        hurried = [asyncio.create_task(event.wait()) for event in (self._stop, self._hurry)]
        try:
            await asyncio.wait({conversation, *hurried}, return_when=asyncio.FIRST_COMPLETED)
            if not conversation.done():
                await asyncio.wait({conversation}, timeout=self._settings.grace_s * DRAIN_SHARE)
        finally:
            for task in hurried:
                task.cancel()

    async def _converse(self, email: ClaimedEmail) -> Result | None:
        reused = self._session.is_open
        ended = None if reused else await self._session.open()
        if ended is not None:
            return ended
        result = await self._deliver(email)
        if reused and result is not None and result.phase is Phase.MAIL and result.code in (None, 421):
            # The server closed a connection that stood unused: no trouble, and no reason to wait.
            return await self._session.open() or await self._deliver(email)
        return result

    async def _deliver(self, email: ClaimedEmail) -> Result | None:
        async def before_dot() -> bool:
            return await self._queue.hand_over(email, self._settings.smtp_dot_timeout_s + self._settings.claim_s)

        if email.draft is None:
            raise ValueError("a letter without bytes cannot be sent")
        message = email.draft.message
        return await self._session.deliver(self._settings.mail_from, email.row.recipient, message, before_dot)

    async def probe(self) -> Result | None:
        """Ask the server, over a connection of its own, whether it would take a letter. None: nothing is against it."""
        await self._session.close()
        try:
            ended = await self._session.open() or await self._session.ask(self._settings.mail_from)
            await self._session.close()
            return ended
        finally:
            self._session.abort()

    def hurry(self) -> None:
        self._hurry.set()

    def note_idle(self) -> None:
        if self._idle_since is None:
            self._idle_since = asyncio.get_running_loop().time()

    async def close_if_idle(self, idle_s: float) -> None:
        if self._idle_since is not None and asyncio.get_running_loop().time() - self._idle_since >= idle_s:
            await self._session.close()

    async def close(self) -> None:
        await self._session.close()
