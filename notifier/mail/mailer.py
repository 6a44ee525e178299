"""The loop that sends: claim → ask whether it is owed → render → converse → judge → record. One recipient at a time.

An email is claimed in the database for a limited time, so any number of mailers may run, and one that dies loses its
claim. What was sent is recorded even when the database has to be waited for: a mail that is sent but not recorded would
be sent again.
"""

import asyncio
import random
from contextlib import nullcontext
from dataclasses import replace

import structlog

from meter.runtime.clock import Clock
from meter.runtime.failures import explain, is_transient
from meter.runtime.fault_points import fault_point
from meter.runtime.process.health import Health
from meter.runtime.process.metrics import begin
from meter.runtime.waiting import pauses, run_until, wait_for
from notifier.ends import Ends
from notifier.mail.drafting import make_draft
from notifier.mail.gate import Gate, Relay
from notifier.mail.recheck import Action, Doubt, choose_step
from notifier.mail.report import MailReport
from notifier.mail.sender import Sender
from notifier.mail.session import SmtpServer
from notifier.mail.standing import Standing
from notifier.mail.tracing import LetterTraces
from notifier.mail.verdict import Judgement, Phase, Tries, Verdict, judge, pause_for
from notifier.mail.waiting import first_of
from notifier.mail.width import Width
from notifier.render import Renderer
from notifier.settings import NotifierSettings
from notifier.store.port import ClaimedEmail, MailQueue, Outlook

log = structlog.get_logger(component="mailer")

RECORD_TRIES = 8
RECORD_SHARE = 0.9  # of the claim, for the end of a letter whose dot was sent
# A shard that is read at all is read to its end of a moment ago within a fraction of this.
CATCH_UP_S = 2.0
CATCH_UP_PAUSES_S = (0.02, 0.2)
# Ends that no mail server had a part in.
UNSENT = {Action.CANCEL: Verdict.CANCELLED, Action.PRESUME: Verdict.PRESUMED, Action.CAP: Verdict.CAPPED}
QUEUED = "queued"  # counted where letters become owed
AMBIGUOUS = "ambiguous"  # nobody knows whether the server took it
LATE = "late"  # accepted when another mailer had ended the letter already
QUIET = (Verdict.ACCEPTED, Verdict.CANCELLED, Verdict.BEHIND)


class Mailer:
    """Senders side by side, each with a connection of its own; how many of them work is the matter of `Width`."""

    name = "mailer"

    def __init__(
        self,
        queue: MailQueue,
        server: SmtpServer,
        settings: NotifierSettings,
        clock: Clock,
        health: Health,
        *,
        ends: Ends,
        renderer: Renderer,
        traces: LetterTraces | None = None,
        catch_up_s: float = CATCH_UP_S,
    ) -> None:
        """`catch_up_s`: how long a letter in hand waits for its shard to be read to the end."""
        self.wake = asyncio.Event()  # something was queued
        self.recorded = asyncio.Event()  # something is in the outbox
        self._queue = queue
        self._server = server
        self._settings = settings
        self._clock = clock
        self._health = health
        self._ends = ends
        self._renderer = renderer
        self._traces = traces
        self._catch_up_s = catch_up_s
        begin(health.metrics.emails, [QUEUED, *Verdict, LATE, AMBIGUOUS])
        health.metrics.latency.begin("letter")
        self._next_look = 0.0  # of all senders together, in the loop's time
        self._trying = 0  # letters that are being sent
        self._relay = Relay()
        self._width = Width(settings.smtp_connections, settings.smtp_connections_max)
        self._gate = Gate(settings.mail_trouble_first_s, settings.mail_trouble_max_s)
        self._standing = Standing(self._gate, self._width, health, queue)

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop`; conversations in flight are finished first, within a share of the grace time."""
        async with asyncio.TaskGroup() as group:
            for number in range(self._width.most):
                name = f"sender-{number}"
                group.create_task(run_until(stop, name, self._send_all(number, stop)), name=name)
            report = MailReport(self._queue, self._health.metrics)
            group.create_task(run_until(stop, report.name, report.run(stop)), name=report.name)

    async def _send_all(self, number: int, stop: asyncio.Event) -> None:
        sender = Sender(self._queue, self._server, self._settings, stop)
        try:
            while await self._may_send(number, sender, stop):
                email = await self._queue.claim(self._settings.claim_s)
                if email is None:
                    if not self._trying:
                        await self._standing.ask(sender, stop)
                    self._gate.leave(sender)
                    await self._wait_for_work(sender, stop)
                else:
                    self.wake.set()  # there may be more
                    if email.overdue_s >= self._settings.mail_overdue_s:
                        self._width.grow()
                    with self._health.metrics.emails_claimed.track_inprogress():
                        await self._send_one(sender, email, stop)
        finally:
            self._gate.leave(sender)
            await sender.close()

    async def _may_send(self, number: int, sender: Sender, stop: asyncio.Event) -> bool:
        if not self._width.admits(number):
            await sender.close()
            await first_of(self._width.enter(number), stop)
        await first_of(self._gate.enter(sender), stop)
        return not stop.is_set()

    async def _wait_for_work(self, sender: Sender, stop: asyncio.Event) -> None:
        """Wait until the queue may have work. One waiting sender is woken, or looks when it is time; when it finds an
        email it wakes the next."""
        sender.note_idle()
        now = asyncio.get_running_loop().time
        self._next_look = max(self._next_look, now() + self._settings.mail_poll_s)
        while not stop.is_set() and (left_s := self._next_look - now()) > 0:
            await first_of(wait_for(self.wake, left_s), stop)
            if self.wake.is_set():
                self.wake.clear()
                break
        self._next_look = now() + self._settings.mail_poll_s  # the others wait for what this one finds
        await sender.close_if_idle(self._settings.smtp_idle_s)

    async def _send_one(self, sender: Sender, email: ClaimedEmail, stop: asyncio.Event) -> None:
        ready = await self._prepare(email, stop)
        if isinstance(ready, Judgement):
            self._gate.leave(sender)
            await self._record(email, ready)
            return
        attempt = asyncio.create_task(self._attempt(sender, ready))
        self._trying += 1
        try:
            await asyncio.shield(attempt)
        except asyncio.CancelledError:
            # Another loop of this process has failed. A conversation that is cut off here may be a mail sent twice.
            sender.hurry()
            await asyncio.wait({attempt})
            raise
        finally:
            self._trying -= 1

    async def _prepare(self, email: ClaimedEmail, stop: asyncio.Event) -> ClaimedEmail | Judgement:
        """The letter with the bytes to send, made of what is true now; or what becomes of it without sending."""
        try:
            end = await self._ends.fetch(email.row.shard)
        except Exception as error:
            if not is_transient(error):
                raise
            return Judgement(Verdict.BEHIND, None, f"the end of the balances is not known: {explain(error)}")
        outlook = await self._look(email, end, stop)
        if outlook.offset < end:
            return Judgement(Verdict.BEHIND, None, f"{end - outlook.offset} changes of the shard are not read yet")
        doubt = Doubt(email.lost, self._settings.mail_lost_replies)
        step = choose_step(outlook.letters, email.row.recipient, doubt, cap=outlook.cap)
        if step.action in UNSENT:
            return Judgement(UNSENT[step.action], None, step.reason, wait_s=outlook.cap.wait_s if outlook.cap else None)
        return email if step.action is Action.REPEAT else self._draft(email, outlook)

    async def _look(self, email: ClaimedEmail, end: int, stop: asyncio.Event) -> Outlook:
        """What is known once the shard is read to `end`, or after a moment, if it is not.

        The end is not asked again meanwhile: under steady load there is always something newer, and the letter would
        never go.
        """
        now = asyncio.get_running_loop().time
        deadline, steps = now() + self._catch_up_s, pauses(*CATCH_UP_PAUSES_S)
        outlook = await self._queue.look(email, self._settings.day_limits)
        while outlook.offset < end and now() < deadline and not stop.is_set():
            await wait_for(stop, next(steps))
            outlook = await self._queue.look(email, self._settings.day_limits)
        return outlook

    def _draft(self, email: ClaimedEmail, outlook: Outlook) -> ClaimedEmail:
        return replace(email, draft=make_draft(email, outlook, self._renderer, self._clock.now()), rendered=True)

    async def _attempt(self, sender: Sender, email: ClaimedEmail) -> None:
        result = await sender.send(email)
        if result is None:
            log.info("not_handed_over", email=str(email.row.email_id), claim=email.claim)
            self._gate.leave(sender)
            return
        await fault_point("email_between_dot_and_record")
        tries = Tries(email.attempts, self._settings.mail_attempts, email.lost, self._settings.mail_lost_replies)
        judgement = judge(result, tries, relay_works=self._relay.works_for_others(email.row.recipient))
        self._relay.note(email.row.recipient, judgement)
        if sender.interrupted and judgement.verdict is not Verdict.ACCEPTED and result.phase is not Phase.DOT:
            judgement = Judgement(Verdict.STOPPED, result, "the notifier was stopped")
        self._heed(sender, email, judgement)
        await self._record(email, judgement)

    def _heed(self, sender: Sender, email: ClaimedEmail, judgement: Judgement) -> None:
        """Open or close the gate by what the attempt shows about the mail server as a whole."""
        if judgement.verdict is Verdict.STOPPED or self._standing.is_throttled(judgement):
            self._gate.leave(sender)
        elif judgement.verdict is Verdict.TROUBLE:
            self._standing.note_trouble(judgement, email.row.recipient)
        elif not self._standing.note_answer(judgement.result):
            self._gate.leave(sender)

    async def _record(self, email: ClaimedEmail, judgement: Judgement) -> None:
        pause_s = self._pause(email, judgement)
        held = await self._finish(email, judgement, pause_s)
        self.recorded.set()
        trace_id = None if self._traces is None else await self._traces.record(email, judgement)
        self._note(email, judgement, held=held, pause_s=pause_s, trace_id=trace_id)

    async def _finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float) -> bool:
        """Whether this claim or none held the letter. Where its dot was sent it is tried for most of the claim, which
        began anew right before the dot: nobody else has the letter, and whoever gets it next sends it again."""
        now = asyncio.get_running_loop().time
        sent = judgement.result is not None and judgement.result.phase is Phase.DOT
        given_s = RECORD_SHARE * self._settings.claim_s if sent else 0.0
        deadline, steps, tries = now() + given_s, pauses(0.1, 5), 0
        with self._health.seen_through(given_s + self._settings.postgres_timeout_s) if sent else nullcontext():
            while True:
                try:
                    return await self._queue.finish(email, judgement, pause_s, self._clock.now())
                except Exception as error:
                    tries += 1
                    if not is_transient(error) or (tries >= RECORD_TRIES and now() >= deadline):
                        raise
                    await asyncio.sleep(next(steps))

    def _pause(self, email: ClaimedEmail, judgement: Judgement) -> float:
        if judgement.verdict is Verdict.BEHIND:
            return self._settings.mail_poll_s
        if judgement.verdict is not Verdict.RETRY:
            return judgement.wait_s or 0.0
        first_s, max_s = self._settings.mail_retry_first_s, self._settings.mail_retry_max_s
        return pause_for(email.attempts, first_s, max_s, random.random())  # noqa: S311  # spreading, not secrecy

    def _note(
        self, email: ClaimedEmail, judgement: Judgement, *, held: bool, pause_s: float, trace_id: str | None
    ) -> None:
        """Count and log the attempt, without the recipient and the server's text: both may hold an address."""
        late = judgement.verdict is Verdict.ACCEPTED and not held
        outcome = LATE if late else judgement.verdict.value
        self._health.metrics.emails.labels(outcome).inc()
        if judgement.verdict is Verdict.ACCEPTED:
            owed_s = (self._clock.now() - email.row.created_at).total_seconds()
            self._health.metrics.latency.observe("letter", [owed_s])
        if judgement.ambiguous:
            self._health.metrics.emails.labels(AMBIGUOUS).inc()
        result = judgement.result
        write = log.info if judgement.verdict in QUIET and not late else log.warning
        write(
            f"email_{outcome}",
            email=str(email.row.email_id),
            account_id=email.row.account_id,
            attempt=email.attempts,
            phase=result.phase.value if result is not None else None,
            code=result.code if result is not None else None,
            ambiguous=judgement.ambiguous,
            pause_s=round(pause_s, 2),
            recorded=held,
            **({} if trace_id is None else {"trace_id": trace_id}),
        )
