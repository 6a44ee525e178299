"""A stack for the histories of letters: steps of many accounts side by side, each waited for until the notifier has it.

Steps of one account take effect in order although they go to two topics: the next one is sent when the one before has
been read by the notifier. Letters may wait meanwhile: `noticed` does not wait for them, `mailed` does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from meter.runtime.kafka import TopicAdmin
from schemas.resources import Resource
from schemas.topics import ACCOUNTS, BALANCES, USAGE
from tests.e2e.running import WAIT_S, Running
from tests.support.processes import ServiceProcess
from tests.support.waiting import until

CREDITS, RUNS = Resource.MODEL_CREDITS, Resource.TOOL_RUNS
NOTIFIER_SETTINGS: Final = {
    "mail_pause_s": "0.5",
    "mail_poll_s": "0.1",
    "mail_retry_first_s": "3",
    "mail_retry_max_s": "3",
    "mail_trouble_first_s": "0.2",
    "mail_trouble_max_s": "0.5",
    "mail_day_limit": "4",
}
# The letters that are due today (one that is capped waits until tomorrow), and what is still to be published of others.
DUE = """
SELECT (SELECT count(*) FROM notifier.emails WHERE state = 'queued' AND next_attempt_at < now() + interval '1 hour')
     + (SELECT count(*) FROM notifier.outbox)
"""
READ = "SELECT shard, usage_offset, accounts_offset FROM meter.shards"
NOTICED = "SELECT shard, next_offset FROM notifier.cursors WHERE topic = $1"
ON_THE_WAY = """
SELECT (SELECT count(*) FROM meter.waiting) + (SELECT count(*) FROM projections.outbox)
     + (SELECT count(*) FROM meter.shards s JOIN projections.cursors c USING (shard)
        WHERE c.position < s.next_position - 1)
"""


class Step(NamedTuple):
    verb: str
    values: Mapping[str, Any]


def step(verb: str, **values: Any) -> Step:
    return Step(verb, values)


def opened(*people: str) -> Step:
    return step("opened", plan="free", contacts=people)


def used(credits: str, id: str | None = None) -> Step:
    return step("model_inference", credits=credits, model="large-chat", event_id=id)


def ran(runs: int) -> Step:
    return step("tool_run", tool="web-search", runs=runs)


def granted(amount: int, resource: Resource = CREDITS) -> Step:
    return step("granted", resource=resource, amount=amount, reason="top_up", reference="INV-1")


def revoked(amount: int) -> Step:
    return step("revoked", resource=CREDITS, amount=amount, reason="refund", reference="INV-1")


def given_back(amount: str, id: str) -> Step:
    return step("reversed", resource=CREDITS, amount=amount, reason="outage", reverses=id)


def contacts(*people: str) -> Step:
    return step("contacts_changed", contacts=people)


OPENED, CLOSED, REOPENED, RETRY = opened("owner"), step("closed"), step("reopened"), step("retry")


def address_of(who: str, account: str) -> str:
    """Each account has people of its own."""
    return f"{who}.{account}@example.com"


class Stage:
    def __init__(self, running: Running, admin: TopicAdmin) -> None:
        self.running, self.mail, self.pool = running, running.mail, running.pool
        self._admin = admin

    @property
    def notifier(self) -> ServiceProcess:
        return self.running.services["notifier"]

    async def restart_notifier(self, **settings: str) -> None:
        """With other settings than before."""
        await self.stop_notifier()
        given = self.running.given["notifier"] | settings
        self.running.services["notifier"] = self.running.processes.make("notifier", **given).spawn()

    async def stop_notifier(self) -> None:
        self.notifier.terminate()
        assert await asyncio.to_thread(self.notifier.wait) == 0

    # --- steps --------------------------------------------------------------------------------------------------------

    async def play(
        self, steps_of: Mapping[str, tuple[Step, ...]], settle: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """The first step of every account, then the second of every account, and so on."""
        for steps in zip_longest(*steps_of.values()):
            for account, one in zip(steps_of, steps, strict=True):
                if one is not None:
                    await self._take(account, one)
            await (settle or self.noticed)()

    async def _take(self, account: str, one: Step) -> None:
        if one == RETRY:
            await self._retry_last_letter(account)
            return
        values = dict(one.values)
        if "contacts" in values:
            values["contacts"] = [address_of(who, account) for who in values["contacts"]]
        producer = self.running.usage if one.verb in ("model_inference", "tool_run") else self.running.accounts
        await getattr(producer, one.verb)(account, **values)

    async def _retry_last_letter(self, account: str) -> None:
        number = await self.pool.fetchval(
            "SELECT email_id FROM notifier.emails WHERE account_id = $1 ORDER BY created_at DESC LIMIT 1", account
        )
        done = await asyncio.to_thread(self.running.processes.run, "notifier", "emails", "retry", str(number))
        assert done.returncode == 0, done.stdout + done.stderr

    # --- waiting ------------------------------------------------------------------------------------------------------

    async def folded(self) -> None:
        """All that was sent is stored, folded and published."""
        await self.running.usage.flush()
        await self.running.accounts.flush()
        ends = {topic: await self._ends(topic) for topic in (USAGE, ACCOUNTS)}
        await until(partial(self._is_read, ends), WAIT_S, "all is stored")
        await until(self._is_published, WAIT_S, "all is folded and published")

    async def noticed(self) -> None:
        """And read by the notifier."""
        await self.folded()
        await until(partial(self._is_noticed, await self._ends(BALANCES)), WAIT_S, "the notifier has read all")

    async def mailed(self) -> None:
        """And no letter is due any more."""
        await self.noticed()
        await until(self._has_sent, WAIT_S, self._describe_letters)

    async def _ends(self, topic: str) -> Mapping[int, int]:
        return await self._admin.end_offsets(topic)

    async def _is_read(self, ends: Mapping[str, Mapping[int, int]]) -> bool:
        rows = await self.pool.fetch(READ)
        return all(
            row["usage_offset"] >= ends[USAGE][row["shard"]] and row["accounts_offset"] >= ends[ACCOUNTS][row["shard"]]
            for row in rows
        )

    async def _is_published(self) -> bool:
        return bool(await self.pool.fetchval(ON_THE_WAY) == 0)

    async def _is_noticed(self, ends: Mapping[int, int]) -> bool:
        rows = await self.pool.fetch(NOTICED, BALANCES)
        return all(row["next_offset"] >= ends[row["shard"]] for row in rows)

    async def _has_sent(self) -> bool:
        return bool(await self.pool.fetchval(DUE) == 0)

    def _describe_letters(self) -> str:
        return f"no letter is due: {self.notifier.logged()[-5:]}"

    # --- what came of it ----------------------------------------------------------------------------------------------

    def subjects(self, who: str, account: str) -> list[str]:
        return [str(mail.message["Subject"]).strip() for mail in self.mail.sent_to(address_of(who, account))]

    def texts(self, people: Iterable[str], account: str) -> list[str]:
        mails = [mail for who in people for mail in self.mail.sent_to(address_of(who, account))]
        return [str(body.get_content()) for mail in mails if (body := mail.message.get_body(("plain",))) is not None]

    async def ends_of(self, account: str) -> list[str]:
        """How the letters of an account ended, in the order in which they were made."""
        rows = await self.pool.fetch(
            "SELECT state FROM notifier.emails WHERE account_id = $1 ORDER BY created_at, email_id", account
        )
        return [row["state"] for row in rows]

    async def states_of(self, account: str) -> list[str]:
        """Of each contact, the state of the highest line reached, or why it is owed or lapsed."""
        rows = await self.pool.fetch(
            "SELECT DISTINCT ON (resource, contact) line, contact, state, reason FROM notifier.line_states "
            "WHERE account_id = $1 ORDER BY resource, contact, line DESC",
            account,
        )
        return sorted(
            f"{(row['contact'] or 'nobody').partition('.')[0]} {row['line']} {row['reason'] or row['state']}"
            for row in rows
        )
