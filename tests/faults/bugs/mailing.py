"""Bugs of a mailer: sent before the server has said so, attempts that nobody remembers, claims that nobody checks."""

from typing import Any

from notifier.mail.mailer import Mailer
from notifier.mail.sender import Sender
from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.store.emails import PostgresMailQueue
from notifier.store.port import ClaimedEmail
from tests.faults.bugs.bug import Bug, replace
from tests.faults.schedule import Focus
from tests.faults.world import Shares

MANY = Shares(grants=0.02)


def sent_before_250() -> None:
    async def attempt(self: Any, sender: Any, email: ClaimedEmail) -> None:
        await self._record(email, Judgement(Verdict.ACCEPTED, Result(Phase.DOT, 250, "")))
        await sender.send(email)

    async def deliver(self: Any, email: ClaimedEmail) -> Any:
        async def before_dot() -> bool:
            return True

        assert email.draft is not None
        message = email.draft.message
        return await self._session.deliver(self._settings.mail_from, email.row.recipient, message, before_dot)

    replace(Mailer, "_attempt", attempt)
    replace(Sender, "_deliver", deliver)


def hand_over_not_recorded() -> None:
    async def hand_over(_self: Any, _email: ClaimedEmail, _claim_s: float) -> bool:
        return True

    replace(PostgresMailQueue, "hand_over", hand_over)


def given_up_at_first_failure() -> None:
    """Whatever went wrong, the email counts as failed."""
    record = Mailer._record

    async def record_as_failed(self: Any, email: ClaimedEmail, judgement: Judgement) -> None:
        if judgement.verdict is Verdict.RETRY:
            judgement = Judgement(Verdict.GIVEN_UP, judgement.result, judgement.reason)
        await record(self, email, judgement)

    replace(Mailer, "_record", record_as_failed)


BUGS = (
    Bug(
        name="sent_before_250",
        service="notifier",
        says="an email is marked as sent before the server took it",
        switch_on=sent_before_250,
        signs=frozenset({"email accepted that never arrived"}),
        focus=Focus({"smtp": 5, "reset": 1, "kill": 1}, services=("notifier",), links=("smtp",)),
        shares=MANY,
    ),
    Bug(
        name="hand_over_not_recorded",
        service="notifier",
        says="nobody remembers an attempt whose end is not known",
        switch_on=hand_over_not_recorded,
        signs=frozenset({"email arrived too often"}),
        focus=Focus(
            {"smtp": 5, "point_kill": 1},
            services=("notifier",),
            fault_points=("email_between_dot_and_record",),
            phases=("dot",),
        ),
        shares=MANY,
    ),
    Bug(
        name="given_up_at_first_failure",
        service="notifier",
        says="a passing fault of the mail server ends an email for good",
        switch_on=given_up_at_first_failure,
        signs=frozenset({"email failed that nobody refused"}),
        focus=Focus({"smtp": 5}, services=("notifier",), phases=("rcpt", "data", "dot")),
        shares=MANY,
    ),
)
