"""What is known of the mail server as a whole: it closes and opens the gate of all senders, and shows in readiness."""

import asyncio

import structlog

from meter.runtime.process.health import Health
from notifier.addresses import hide_addresses
from notifier.mail.gate import Gate
from notifier.mail.sender import Sender
from notifier.mail.verdict import Judgement, judge_server
from notifier.mail.waiting import first_of
from notifier.mail.width import Width

log = structlog.get_logger(component="mailer")

SMTP = "smtp"


class Standing:
    def __init__(self, gate: Gate, width: Width, health: Health) -> None:
        self._gate = gate
        self._width = width
        self._health = health

    def note_trouble(self, judgement: Judgement, recipient: str = "") -> None:
        pause_s = self._gate.close()
        self._health.set_ready(SMTP, False, detail=note_trouble(judgement, recipient, pause_s))

    def note_works(self, *, proven: bool = True) -> None:
        """`proven`: by a letter, and not only by what it says before a recipient is named."""
        if self._gate.open(proven=proven):
            log.info("smtp_recovered")
        self._health.set_ready(SMTP, True)

    async def ask(self, sender: Sender, stop: asyncio.Event) -> None:
        """After trouble, while no letter is due whose answer would say whether the server works: ask it. Only by the
        sender who alone may send then."""
        if not self._gate.is_probe(sender):
            return
        asked = asyncio.create_task(sender.probe())
        await first_of(asked, stop)
        if asked.cancelled():
            return  # the notifier is stopped
        ended = asked.result()
        if ended is None:
            self.note_works(proven=False)
        elif not self.is_throttled(judgement := judge_server(ended)):
            self.note_trouble(judgement)

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
