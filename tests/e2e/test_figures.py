"""What people read, on real processes: one account for each case, from its events to view, banner and letter.

Each case is a text or figure that was wrong once; `was` says how it read.
"""

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

import pytest

from schemas.amounts import MICRO, parse_amount
from schemas.resources import Resource
from tests.e2e.running import UNFINISHED, WAIT_S, Running
from tests.support.waiting import until

CREDITS, RUNS = Resource.MODEL_CREDITS, Resource.TOOL_RUNS
FREE = {CREDITS: 75 * MICRO, RUNS: 10_000 * MICRO}
PERSIAN = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"
FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
VIEW = "SELECT exhaustion, allowed FROM projections.balances WHERE account_id = $1 AND resource = $2"
REMAINING = "SELECT (remaining * 1000000)::bigint FROM projections.balances WHERE account_id = $1 AND resource = $2"
KNOWN = "SELECT allocation - consumed FROM notifier.balances WHERE account_id = $1 AND resource = $2"
BANNER = "SELECT threshold, kind, removable, text FROM notifier.banners WHERE account_id = $1 AND resource = $2"


class Step(NamedTuple):
    what: str  # use, grant or revoke
    amount: str


def use(amount: str) -> Step:
    return Step("use", amount)


@dataclass(frozen=True)
class Case:
    """`banner`: threshold, kind and part of the text, or None; `letter`: what stands in the last one."""

    name: str
    was: str
    steps: tuple[Step, ...]
    exhaustion: str
    banner: tuple[int, str, str] | None
    subject: str | None = None
    letter: tuple[str, ...] = ()
    never: tuple[str, ...] = ()  # neither in the letter nor in the banner
    resource: Resource = CREDITS
    opening: dict[str, Any] = field(default_factory=dict)

    @property
    def allowed(self) -> bool:
        return Decimal(self.exhaustion) < 100


LOW = "When no model credits remain, model calls, guardrails and custom scripts are refused."
REFUSED = "model calls, guardrails and custom scripts are refused now."
CASES = (
    Case(
        name="almost",
        was="100.00 and allowed; the letter had 74.999 and 0.001",
        steps=(use("74.999"),),
        exhaustion="99.99",
        banner=(90, "low", LOW),
        subject="99 % of model credits used: almost",
        letter=("Used:       74.99 of 75 model credits (99 %)", "Remaining:  less than 0.01 model credits", LOW),
        never=("100 %", "refused now", " 0 model credits"),
    ),
    Case("under-20", "20.00 without a banner", (use("14.9999"),), "19.99", None),
    Case("under-50", "50.00 with the banner of 20", (use("37.4999"),), "49.99", (20, "low", "At least 20 % of")),
    Case(
        name="one-run",
        was="1 tool runs",
        resource=RUNS,
        steps=(use("9999"),),
        exhaustion="99.99",
        banner=(90, "low", "When no tool runs remain, tool calls are refused."),
        subject="99 % of tool runs used: one-run",
        letter=("Used:       9,999 of 10,000 tool runs (99 %)", "Remaining:  1 tool run"),
        never=("1 tool runs",),
    ),
    Case(
        name="one-credit",
        was="1 model credits",
        steps=(use("74"),),
        exhaustion="98.66",
        banner=(90, "low", LOW),
        subject="98 % of model credits used: one-credit",
        letter=("Remaining:  1 model credit",),
    ),
    Case(
        name="bought",
        was="the free model credits have expired, upgrade: to somebody who had bought 100, by the name of the plan",
        steps=(use("75"), Step("grant", "100"), use("100")),
        exhaustion="100",
        banner=(100, "paid_expired", f"The model credits of bought have expired: {REFUSED} Top up or upgrade the plan"),
        subject="100 % of model credits used, model calls refused: bought",
        letter=(f"The model credits are used up: {REFUSED} Top up or upgrade the plan to go on.",),
        never=("free",),
    ),
    Case(
        name="never-bought",
        was="have expired, top up: to a team that never bought anything, by the name of the plan",
        opening={"plan": "team"},
        steps=(use("75"),),
        exhaustion="100",
        banner=(100, "free_expired", f"The free model credits of never-bought have expired: {REFUSED} Upgrade"),
        subject="100 % of model credits used, model calls refused: never-bought",
        letter=(f"The free model credits are used up: {REFUSED} Upgrade the plan to go on.",),
    ),
    Case(
        name="over",
        was="when no model credits remain they are refused: at 106 %",
        steps=(use("79.5"),),
        exhaustion="106.00",
        banner=(100, "free_expired", REFUSED),
        subject="106 % of model credits used, model calls refused: over",
        letter=("Used:       79.5 of 75 model credits (106 %)", "Overdrawn:  4.5 model credits", REFUSED),
        never=(LOW,),
    ),
    Case(
        name="overdrawn",
        was="100 % of nothing, and nobody said why",
        steps=(use("5"), Step("revoke", "75")),
        exhaustion="100",
        banner=(100, "free_expired", f"The model credits of overdrawn are overdrawn: {REFUSED}"),
        subject="Model credits overdrawn, model calls refused: overdrawn",
        letter=("Overdrawn:  5 model credits", "used up or were taken back, and 5 more were used."),
        never=("100 %",),
    ),
    Case(
        name="taken-back",
        was="100 % of model credits used: to an account that had used none",
        steps=(Step("revoke", "75"),),
        exhaustion="100",
        banner=(100, "free_expired", f"No model credits of taken-back are left: {REFUSED}"),
        subject="No model credits left, model calls refused: taken-back",
        letter=("No model credits are left", "All model credits that were granted are used up or were taken back."),
        never=("100 %", " of 0 "),
    ),
    Case(
        name="swallowed",
        was="have expired: of a top-up that the overdraft swallowed",
        steps=(use("80"), Step("grant", "5")),
        exhaustion="100",
        banner=(100, "paid_expired", f"No model credits of swallowed are left: {REFUSED}"),
        subject="106 % of model credits used, model calls refused: swallowed",
        letter=("Overdrawn:  5 model credits",),  # of before the top-up: they know already that nothing is left
        never=(" of 0 ",),
    ),
    Case(
        name="six-decimals",
        was="52.500001 of 75 and 22.499999, which touched each other on a telephone",
        steps=(use("52.500001"),),
        exhaustion="70.00",
        banner=(70, "low", LOW),
        subject="70 % of model credits used: six-decimals",
        letter=("Used:       52.5 of 75 model credits (70 %)", "Remaining:  22.5 model credits"),
        never=("500001", "499999"),
    ),
    Case(
        name="joined",
        was="joiners were blanks, and took words and families apart",
        opening={"display_name": f"{PERSIAN} {FAMILY}"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", " of joined are used"),
        subject=f"80 % of model credits used: {PERSIAN} {FAMILY}",
        letter=(f"Account:    {PERSIAN} {FAMILY} (joined)",),
    ),
    Case(
        name="linking",
        was="a link of a stranger in subject and banner",
        opening={"display_name": "Claim it at https://example.com/prize"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", "credits of linking are used"),
        subject="80 % of model credits used: linking",
        letter=("Account:    linking",),
        never=("example.com/prize", "Claim"),
    ),
    Case(
        name="turned",
        was="a direction mark that turned the rest of the line around",
        opening={"display_name": "\u202eelpmaxE\u2066 \u200bTeam"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", "credits of turned are used"),
        subject="80 % of model credits used: elpmaxE Team",
        never=("\u202e", "\u2066", "\u200b"),
    ),
    Case(
        name="blank",
        was="an account without a name: a letter that is blank to the eye",
        opening={"display_name": "\u3164 \u2800"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", "credits of blank are used"),
        subject="80 % of model credits used: blank",
        letter=("Account:    blank",),
    ),
    Case(
        name="far-away",
        was="as of a time in UTC, for people in Kathmandu",
        opening={"time_zone": "Asia/Kathmandu"},
        steps=(use("60"),),
        exhaustion="80.00",
        banner=(80, "low", LOW),
        subject="80 % of model credits used: far-away",
        letter=("(Asia/Kathmandu, UTC+5:45)",),
    ),
)  # fmt: skip


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
