"""What people read, on real processes: one account for each case, from its events to view, banner and letter."""

from collections import defaultdict
from decimal import Decimal
from functools import partial
from itertools import zip_longest
from typing import Any

import pytest

from schemas.amounts import MICRO, parse_amount
from schemas.resources import Resource
from tests.e2e.figures_cases import CASES, CREDITS, RUNS, Case, Step, use
from tests.e2e.running import UNFINISHED, WAIT_S, Running
from tests.support.waiting import until

FREE = {CREDITS: 75 * MICRO, RUNS: 10_000 * MICRO}
VIEW = "SELECT exhaustion, allowed FROM projections.balances WHERE account_id = $1 AND resource = $2"
REMAINING = "SELECT (remaining * 1000000)::bigint FROM projections.balances WHERE account_id = $1 AND resource = $2"
KNOWN = "SELECT allocation - consumed FROM notifier.balances WHERE account_id = $1 AND resource = $2"
BANNER = "SELECT threshold, kind, removable, text FROM notifier.banners WHERE account_id = $1 AND resource = $2"


class Sent:
    """What was sent for each case, step by step, and what must be left then."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self.left: dict[tuple[str, Resource], int] = {}

    async def open(self, case: Case) -> None:
        opening = {"plan": "free", "contacts": [f"{case.name}@example.com"], **case.opening}
        await self._running.accounts.opened(case.name, **opening)
        self.left |= {(case.name, resource): amount for resource, amount in FREE.items()}

    async def take(self, case: Case, step: Step) -> None:
        send, micro = self._running, parse_amount(step.amount)
        booked: dict[str, Any] = {"resource": case.resource, "amount": step.amount, "reference": "INV-1"}
        if step.what == "grant":
            await send.accounts.granted(case.name, reason="top_up", **booked)
        elif step.what == "revoke":
            await send.accounts.revoked(case.name, reason="refund", **booked)
        elif case.resource is RUNS:
            await send.usage.tool_run(case.name, tool="web-search", runs=micro // MICRO)
        else:
            await send.usage.model_inference(case.name, credits=step.amount, model="large-chat")
        self.left[case.name, case.resource] += micro if step.what == "grant" else -micro

    async def settle(self) -> None:
        """Wait until everything sent has gone all the way."""
        await self._running.accounts.flush()
        await self._running.usage.flush()
        for key in self.left:
            await until(partial(self.has_arrived, REMAINING, *key), WAIT_S, f"{key} has {self.left[key]} left")
        await until(self._published, WAIT_S, "the balances are published")
        await until(self._finished, WAIT_S, "outboxes and the email queue are empty")

    async def has_arrived(self, query: str, account: str, resource: Resource) -> bool:
        found = await self._running.pool.fetchval(query, account, resource.value)
        return bool(found == self.left[account, resource])

    async def _published(self) -> bool:
        """The notifier knows each balance to the micro-unit: each step of these cases changes the whole percent."""
        return all([await self.has_arrived(KNOWN, *key) for key in self.left])

    async def _finished(self) -> bool:
        return bool(await self._running.pool.fetchval(UNFINISHED) == 0)


@pytest.fixture
def sent(running: Running) -> Sent:
    return Sent(running)


async def test_every_case_reads_as_it_should(running: Running, sent: Sent) -> None:
    for case in CASES:
        await sent.open(case)
    await sent.settle()
    for steps in zip_longest(*(case.steps for case in CASES)):
        for case, step in zip(CASES, steps, strict=True):
            if step is not None:
                await sent.take(case, step)
        await sent.settle()
    wrong: defaultdict[str, list[str]] = defaultdict(list)
    for case in CASES:
        wrong[case.name] += [*await compare_view(running, case), *await compare_texts(running, case)]
    assert {name: found for name, found in wrong.items() if found} == {}
    shown = running.processes.run("projections", "show", "almost")
    assert shown.returncode == 0 and "99.99" in shown.stdout, shown.stderr


async def compare_view(running: Running, case: Case) -> list[str]:
    row = await running.pool.fetchrow(VIEW, case.name, case.resource.value)
    assert row is not None
    seen, wanted = (row["exhaustion"], row["allowed"]), (Decimal(case.exhaustion), case.allowed)
    return [] if seen == wanted else [f"view {seen}, must be {wanted}"]


async def compare_texts(running: Running, case: Case) -> list[str]:
    row = await running.pool.fetchrow(BANNER, case.name, case.resource.value)
    wrong = compare_banner(row, case)
    mails = running.mail.sent_to(f"{case.name}@example.com")
    if not mails or case.subject is None:
        return wrong + ([f"{len(mails)} letters"] if bool(mails) != bool(case.subject) else [])
    message = mails[-1].message
    plain, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert plain is not None and html is not None
    text, subject = str(plain.get_content()), str(message["Subject"])
    wrong += [] if subject == case.subject else [f"subject {subject!r}"]
    wrong += [f"letter without {said!r}: {text}" for said in case.letter if said not in text]
    everything = (subject, text, str(html.get_content()).replace('width="100%"', ""), row["text"] if row else "")
    return wrong + [f"{said!r} in {text}" for said in case.never for text in everything if said in text]


def compare_banner(row: Any, case: Case) -> list[str]:
    if row is None or case.banner is None:
        return [] if row is None and case.banner is None else [f"banner {row}"]
    threshold, kind, said = case.banner
    fits = (row["threshold"], row["kind"], row["removable"]) == (threshold, kind, case.allowed) and said in row["text"]
    return [] if fits else [f"banner {dict(row)}"]


async def test_after_an_outage_of_the_notifier_people_see_what_is_true_now(running: Running, sent: Sent) -> None:
    """Five banner events and four letters within a moment, it was, of which the last alone was true."""
    case = Case("patient", "", (), "100", None)
    await sent.open(case)
    await sent.settle()
    notifier = running.services["notifier"]
    notifier.terminate()
    assert notifier.wait() == 0
    for amount in ("15", "22.5", "15", "7.5", "7.5", "7.5"):
        await sent.take(case, use(amount))
        await running.usage.flush()
        await until(partial(sent.has_arrived, REMAINING, "patient", CREDITS), WAIT_S, "the balance is folded")
    notifier.spawn()
    await sent.settle()
    events = [event for event in await running.notifications() if event["type"].startswith("banner.")]
    assert [(event["type"], event["data"]["threshold"]) for event in events] == [("banner.raised.v1", 100)]
    assert "refused now" in events[0]["data"]["text"]
    assert running.subjects("patient") == ["100 % of model credits used, model calls refused: patient"]
