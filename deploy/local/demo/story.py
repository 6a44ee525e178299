"""The story: accounts open, agents work, one account runs out and is topped up, and some input is bad."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import datetime
from decimal import Decimal

from deploy.local.demo.ledger import MICRO, Ledger
from deploy.local.demo.watch import Screen
from meter.client import AccountsProducer, UsageProducer
from meter.runtime.kafka import Message, Producer
from projections.reader import BalanceReader
from schemas.amounts import format_amount
from schemas.build import encode_event, new_event_id
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, USAGE

CREDITS, RUNS = "model_credits", "tool_runs"
STEADY = [f"acct-{n:02d}" for n in range(1, 17)]
JUMPER, SPENDER, TOOLER = "acct-jumper", "acct-spender", "acct-tooler"
EVENTS = 30_000
REPEATS = 150
TOOL_RUN = 3  # of the four kinds of usage in turn
SEED = 20
MODELS = ("small-chat", "large-chat", "embedder")
TOOLS = ("web-search", "calculator", "calendar")

Grant = Callable[[str, str, str], Awaitable[None]]
Settled = Callable[[str, str], Awaitable[None]]


class Story:
    """Plays through the producers' clients; `ledger` is told of everything that was sent."""

    def __init__(
        self,
        screen: Screen,
        ledger: Ledger,
        usage: UsageProducer,
        accounts: AccountsProducer,
        raw: Producer,
        reader: BalanceReader,
        settled: Settled,
        grant: Grant,
        now: Callable[[], datetime],
    ) -> None:
        self._screen = screen
        self._ledger = ledger
        self._usage = usage
        self._accounts = accounts
        self._raw = raw
        self._reader = reader
        self._settled = settled
        self._grant = grant
        self._now = now
        self._random = random.Random(SEED)

    async def play(self) -> None:
        await self._open_accounts()
        await asyncio.gather(self._work(), self._jump(), self._spend())
        await self._send_bad_input()
        await self._usage.flush()

    async def _open_accounts(self) -> None:
        names = [*STEADY, JUMPER, SPENDER, TOOLER]
        for name in names:
            await self._accounts.opened(name, plan="free", contacts=[f"owner@{name}.example.com"])
            self._ledger.open(name)
        await self._accounts.flush()
        for name in names:
            await self._settled(name, CREDITS)
            await self._settled(name, RUNS)
        self._screen.say("open", f"{len(names)} accounts, each with 75 model credits and 10,000 tool runs")

    async def _work(self) -> None:
        """Tens of thousands of small events of every kind, and one account that uses its runs to the last."""
        repeated: list[tuple[str, str, int]] = []
        for n in range(EVENTS):
            name = STEADY[min(int(self._random.expovariate(0.25)), len(STEADY) - 1)]
            event_id = await self._use_something(name, n)
            if n % (EVENTS // REPEATS) == TOOL_RUN:
                repeated.append((name, event_id, n))
        for _ in range(1_000):
            await self._tool_run(TOOLER, 10, TOOLS[0])
        for name, event_id, n in repeated:
            await self._usage.tool_run(name, tool=TOOLS[n % 3], event_id=event_id)
            self._ledger.duplicates += 1
        await self._usage.flush()
        self._screen.say("usage", f"{self._ledger.produced:,} events sent, {len(repeated)} of them twice")

    async def _use_something(self, name: str, n: int) -> str:
        micro = self._random.randrange(100, 12_000)
        kind = n % 4  # the last one is TOOL_RUN
        if kind == 0:
            self._ledger.use(name, CREDITS, micro)
            return await self._usage.model_inference(
                name, credits=format_amount(micro), model=MODELS[n % 3], input_tokens=micro, output_tokens=micro // 7
            )
        if kind == 1:
            self._ledger.use(name, CREDITS, micro // 10)
            return await self._usage.guardrail(name, credits=format_amount(micro // 10), guardrail="pii-filter")
        if kind == 2:
            self._ledger.use(name, CREDITS, micro)
            return await self._usage.custom_script(name, credits=format_amount(micro), script="summarise")
        return await self._tool_run(name, 1, TOOLS[n % 3])

    async def _tool_run(self, name: str, runs: int, tool: str) -> str:
        self._ledger.use(name, RUNS, runs * MICRO)
        return await self._usage.tool_run(name, tool=tool, runs=runs)

    async def _spend_credits(self, name: str, credits: str) -> None:
        self._ledger.use(name, CREDITS, int(Decimal(credits) * MICRO))
        await self._usage.model_inference(name, credits=credits, model="large-chat")
        await self._usage.flush()
        await self._settled(name, CREDITS)

    async def _jump(self) -> None:
        """From 45 to 85 % in one event: one email, for 80."""
        await self._spend_credits(JUMPER, "33.75")
        await self._spend_credits(JUMPER, "30")

    async def _spend(self) -> None:
        """An agent that asks before each action, is refused at the end of its credits, and goes on after a top-up."""
        while await self._reader.allowed(SPENDER, Resource.MODEL_CREDITS):
            await self._spend_credits(SPENDER, "7.5")
        self._screen.say("refused", f"{SPENDER}: no model credits left, the action is not taken")
        await self._grant(SPENDER, CREDITS, "100")
        self._ledger.grant(SPENDER, CREDITS, 100 * MICRO)
        await self._settled(SPENDER, CREDITS)
        if not await self._reader.allowed(SPENDER, Resource.MODEL_CREDITS):
            raise AssertionError(f"{SPENDER} was topped up and is still refused")
        self._screen.say("allowed", f"{SPENDER}: support added 100 model credits, actions are taken again")
        await self._spend_credits(SPENDER, "40")

    async def _send_bad_input(self) -> None:
        """Each of these must end as a rejection with its reason; none may harm its neighbours."""
        name = STEADY[0]

        def event(type: str, data: dict[str, object], account: str = name) -> bytes:
            return encode_event(
                type, account, data, event_id=new_event_id(), time=self._now(), source="//demo.example.com"
            )

        good = event("usage.tool_run.v1", {"tool": "calculator"})
        bad = [
            (USAGE, b"not json at all"),
            (USAGE, b""),
            (USAGE, b'{"hello": "world"}'),
            (
                USAGE,
                event("credits.granted.v1", {"resource": CREDITS, "amount": "1000", "reason": "x", "reference": "x"}),
            ),
            (USAGE, event("usage.teleport.v1", {"credits": "1"})),
            (USAGE, event("usage.guardrail.v1", {"credits": "-5", "guardrail": "pii-filter"})),
            (USAGE, event("usage.guardrail.v1", {"credits": "0.0000001", "guardrail": "pii-filter"})),
            (USAGE, event("usage.tool_run.v1", {"tool": "calculator"}, account="acct-other")),
            (ACCOUNTS, good),
            (ACCOUNTS, event("account.contacts_changed.v1", {"contacts": ["a@example.com\r\nBcc: b@example.com"]})),
        ]
        await self._raw.publish([Message(topic, name, value) for topic, value in bad])
        self._ledger.bad += len(bad)
        self._screen.say("bad input", f"{len(bad)} records that break the contract")
