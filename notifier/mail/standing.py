"""What is known of the mail server as a whole: it closes and opens the gate of all senders, and shows in readiness.

A server that refuses everybody at the recipient greets us as ever. So trouble is over where a conversation has come as
far as it was met, and only a letter comes as far as the recipient.
"""

import asyncio
from typing import Final, NamedTuple

import structlog

from meter.runtime.process.health import Health
from notifier.addresses import hide_addresses
from notifier.mail.gate import Gate
from notifier.mail.sender import Sender
from notifier.mail.verdict import BEFORE_RECIPIENT, Judgement, Phase, Result, judge_server
from notifier.mail.waiting import first_of
from notifier.mail.width import Width
from notifier.store.port import MailQueue

log = structlog.get_logger(component="mailer")

SMTP: Final = "smtp"


class Trouble(NamedTuple):
    phase: Phase
    at: float  # in the loop's time: of the latest that only a letter meets


class Standing:
    def __init__(self, gate: Gate, width: Width, health: Health, queue: MailQueue) -> None:
        self._gate = gate
        self._width = width
        self._health = health
        self._queue = queue
        self._deepest: Trouble | None = None  # that came furthest; None: all is well

    def note_trouble(self, judgement: Judgement, recipient: str = "") -> None:
        phase = judgement.result.phase if judgement.result is not None else Phase.CONNECT
        now = asyncio.get_running_loop().time()
        if self._deepest is None or self._is_over(phase):
            self._deepest = Trouble(phase, now)
        elif phase not in BEFORE_RECIPIENT:  # what was accepted before this says nothing any more
            self._deepest = self._deepest._replace(at=now)
        pause_s = self._gate.close()
        self._health.set_ready(SMTP, False, detail=note_trouble(judgement, recipient, pause_s))

    def note_answer(self, result: Result | None) -> bool:
        """Of a letter that met no trouble. False where it says nothing of the server: there was no reply, or one in a
        phase behind which trouble was met."""
        if result is None or result.code is None or not self._is_over(result.phase):
            return False
        self._note_works(proven=True)
        return True

    def _is_over(self, phase: Phase) -> bool:
        """Whether a conversation that came to this phase has come as far as all trouble."""
        return self._deepest is None or not phase.is_before(self._deepest.phase)

    def _note_works(self, *, proven: bool) -> None:
        """`proven`: by a letter, and not only by what it says before a recipient is named."""
        self._deepest = None
        if self._gate.open(proven=proven):
            log.info("smtp_recovered")
        self._health.set_ready(SMTP, True)

    async def ask(self, sender: Sender, stop: asyncio.Event) -> None:
        """After trouble, while no letter is due whose answer would say whether the server works: ask it. Only by the
        sender who alone may send then. What it has against letters it does not say without one: there a letter must
        have been accepted meanwhile, of whichever process."""
        if not self._gate.is_probe(sender) or not await self._may_ask():
            return
        asked = asyncio.create_task(sender.probe())
        await first_of(asked, stop)
        if asked.cancelled():
            return  # the notifier is stopped
        ended = asked.result()
        if ended is None:
            self._note_works(proven=False)
        elif not self.is_throttled(judgement := judge_server(ended)):
            self.note_trouble(judgement)

    async def _may_ask(self) -> bool:
        trouble = self._deepest
        if trouble is None or trouble.phase in BEFORE_RECIPIENT:
            return True
        if not await self._queue.has_accepted(asyncio.get_running_loop().time() - trouble.at):
            return False
        self._deepest = None
        return True

    def is_throttled(self, judgement: Judgement) -> bool:
        """Whether the server only takes no more connections; then there are fewer of them."""
        if not self._width.shrink(judgement):
            return False
        log.info("smtp_throttled", connections=self._width.now, detail=judgement.reason)
        return True


def note_trouble(judgement: Judgement, recipient: str, pause_s: float) -> str:
    """Log it, and return what is known of it without an address."""
    reason = hide_addresses(judgement.reason, recipient)
    # A fault needs a person, so it is an error every time; trouble usually passes by itself.
    write = log.error if judgement.fault else log.warning
    event = "smtp_refuses_us" if judgement.fault else "dependency_unreachable"
    write(event, dependency=SMTP, detail=reason, pause_s=round(pause_s, 2))
    return reason
