"""The mail sink of the campaign: it misbehaves as told, and remembers whom it refused for good."""

import logging
import threading
from collections import Counter

from deploy.local.mail import MailSink, Phase, Rule


class FaultyMail(MailSink):
    """`refused` counts permanent refusals (5xx) by recipient: only these may end an email as failed."""

    def __init__(self) -> None:
        super().__init__()
        # aiosmtpd warns of every line that it does not know; after a connection that broke, that is a whole mail.
        logging.getLogger("mail.log").setLevel(logging.CRITICAL)
        self.refused: Counter[str] = Counter()

    def take_rule(self, phase: Phase, recipients: list[str]) -> Rule | None:
        rule = super().take_rule(phase, recipients)
        if rule is not None and rule.reply.startswith("5"):
            self.refused.update(recipients)
        return rule

    def misbehave(self, phase: Phase, reply: str, *, times: int, keep: bool, stall_s: float) -> Rule:
        """Answer so the next few times; with a stall, only after so long."""
        wait = None
        if stall_s > 0:
            wait = threading.Event()
            timer = threading.Timer(stall_s, wait.set)
            timer.daemon = True
            timer.start()
        return self.rule(phase, reply, times=times, keep=keep, wait=wait)

    def forget(self, rule: Rule) -> None:
        with self._lock:
            self._rules = [other for other in self._rules if other is not rule]

    def calm(self) -> None:
        self.clear_rules()
