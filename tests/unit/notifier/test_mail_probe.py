"""Trouble of the mail server is over when the server works, whoever sent the letters that found out: it is asked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any

import pytest

from meter.runtime.process.health import Health
from notifier.mail.gate import Gate
from notifier.mail.standing import Standing
from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.mail.width import Width
from notifier.store.port import ClaimedEmail
from schemas.topics import BALANCES
from tests.support import until
from tests.support.virtual_loop import run_virtually
from tests.unit.notifier.contract import queue_one
from tests.unit.notifier.fakes import FakeClock, FakeStore
from tests.unit.notifier.mail_bench import Bench
from tests.unit.notifier.scripted import HANG, Script, serving

READER = "owner@example.com"
AWAY = {"greeting": ["421 4.3.2 later"]}


class TakenElsewhere(FakeStore):
    """A letter that met trouble is taken by another process, before this one looks again; it ends so there."""

    def __init__(self, other: FakeStore, ended: str) -> None:
        self.__dict__.update(other.__dict__)
        self.ended = ended

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: datetime) -> bool:
        held = await super().finish(email, judgement, pause_s, at)
        if judgement.verdict is Verdict.TROUBLE:
            self.end(email.row.recipient, self.ended)
        return held

    def end(self, recipient: str, state: str) -> None:
        email = next(found for found in self.emails.values() if found.row.recipient == recipient)
        email.state, email.finished = state, self.clock.now()


@asynccontextmanager
async def troubled(
    script: Script, contacts: tuple[str, ...] = (READER,), ended: str = "accepted", **values: Any
) -> AsyncIterator[Bench]:
    """A mailer at work that has met trouble with a letter, and has none left that is due."""
    async with serving(script):
        made = Bench(script, **values)
        await queue_one(made, contacts)
        made.fake = TakenElsewhere(made.fake, ended)
        async with made.sending():
            await until(lambda: made.count("trouble") == 1)
            yield made


def is_ready(made: Bench) -> bool:
    return bool(made.health.report()["dependencies"] == {"smtp": True})


async def test_a_server_that_is_back_is_ready_though_the_letter_went_another_way() -> None:
    async with troubled(Script(dict(AWAY))) as made:
        assert not is_ready(made)
        made.script.replies.clear()
        await until(lambda: is_ready(made))
    assert made.script.commands("mail") and not made.script.commands("rcpt", "data")
    assert made.count("trouble") == 1


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ({"greeting": ["554 5.7.1 blocked"]}, "reply 554 at connect: 5.7.1 blocked"),
        ({"ehlo": ["550 no"]}, "reply 550 at ehlo: no"),
        ({"auth": ["535 5.7.8 no"]}, "reply 535 at auth: 5.7.8 no"),
        ({"mail": ["452 4.3.1 no disk"]}, "reply 452 at mail: 4.3.1 no disk"),
    ],
)
async def test_the_server_is_asked_all_that_a_letter_asks_before_its_recipient(
    replies: dict[str, list[str]], said: str
) -> None:
    script = Script(dict(AWAY), extensions=("AUTH PLAIN",))
    async with troubled(script, smtp_username="us", smtp_password="secret", smtp_security="none") as made:
        script.replies = dict(replies)
        await until(lambda: made.health.report()["details"] == {"smtp": {"detail": said}})
        before = script.connections
        await until(lambda: script.connections >= before + 3)  # again and again
        assert not is_ready(made)
        script.replies.clear()
        await until(lambda: is_ready(made))
    assert script.commands("auth")


async def test_a_server_without_the_encryption_that_is_asked_for_is_in_trouble() -> None:
    async with troubled(Script(), smtp_security="starttls") as made:
        before = made.script.connections
        await until(lambda: made.script.connections >= before + 3)
        assert not is_ready(made)


def test_the_pauses_between_probes_grow_like_those_between_letters() -> None:
    async def ask_for_long() -> tuple[int, float]:
        script = Script(dict(AWAY))
        async with troubled(script, mail_poll_s=5, mail_trouble_first_s=1, mail_trouble_max_s=100) as made:
            await asyncio.sleep(1000)
            asked = script.connections
            script.replies.clear()
            back = asyncio.get_running_loop().time()
            await until(lambda: is_ready(made), poll_s=1)
            return asked, asyncio.get_running_loop().time() - back

    asked, took_s = run_virtually(ask_for_long())
    # Some in the first minutes; then each after 50 to 100 s.
    assert 12 <= asked <= 32
    assert took_s <= 110


async def test_there_is_one_probe_at_a_time() -> None:
    script = Script(dict(AWAY))
    async with troubled(script, smtp_connections=4):
        script.replies, script.byte_s = {"mail": ["452 4.3.1 no disk"]}, 0.005  # each takes a while
        before = script.connections
        await until(lambda: script.connections >= before + 4)
    assert script.widest == 1


async def test_nobody_probes_while_a_letter_is_being_sent() -> None:
    """Its own answer will say."""
    script = Script({"dot": [HANG], "rcpt b@example.com": ["530 5.7.0 authentication required"]})
    contacts = ("a@example.com", "b@example.com")
    async with troubled(script, contacts, smtp_dot_timeout_s=1, mail_lost_replies=1) as made:
        await script.dot_seen.wait()
        before = script.connections
        await made.looked()
        assert (script.connections, script.open, is_ready(made)) == (before, before, False)
        await until(lambda: made.email("a@example.com").state == "presumed")
        await until(lambda: is_ready(made))
    assert script.connections == before + 1


async def test_a_stop_does_not_wait_for_a_probe() -> None:
    script = Script(dict(AWAY))
    async with asyncio.timeout(30), troubled(script, smtp_timeout_s=60, grace_s=60):
        script.replies = {"ehlo": [HANG]}
        await until(lambda: script.commands("ehlo"))


@pytest.mark.parametrize("phase", ["rcpt", "data", "dot"])
async def test_what_a_server_has_against_letters_is_not_over_because_it_greets_us(phase: str) -> None:
    """Another process has the letter and has met the same, or has it no more: no letter says whether it goes on."""
    async with troubled(Script({phase: ["554 5.7.1 relaying denied"]}), ended="cancelled") as made:
        seen = made.health.report()
        assert seen["details"] == {"smtp": {"detail": f"reply 554 at {phase}: 5.7.1 relaying denied"}}
        made.script.replies.clear()
        before = made.script.connections
        await made.looked()
        await made.looked()
        assert made.health.report() == seen and made.script.connections == before
        assert isinstance(made.fake, TakenElsewhere)
        made.fake.end(READER, "accepted")
        await until(lambda: is_ready(made))
        assert made.script.connections == before + 1, "it is asked whether it is there, too"


async def test_a_letter_that_ends_before_the_trouble_says_nothing_of_it() -> None:
    replies = {"dot": ["554 5.7.1 this sender may not send"], "rcpt b@example.com": ["450 4.2.1 later"]}
    contacts = ("a@example.com", "b@example.com")
    async with troubled(Script(replies), contacts, "cancelled", smtp_connections=1) as made:
        await until(lambda: made.count("retry") == 1)
        await made.looked()
        assert not is_ready(made)
        made.script.replies.clear()
        made.clock.pass_s(made.settings.mail_retry_first_s)  # its pause
        await until(lambda: made.email("b@example.com").state == "accepted")
        await until(lambda: is_ready(made))


async def test_a_server_that_is_gone_besides_is_not_well_because_it_is_back() -> None:
    replies = {"rcpt a@example.com": ["554 5.7.1 relaying denied"]}
    contacts = ("a@example.com", "b@example.com")
    async with troubled(Script(replies), contacts, "cancelled", smtp_connections=1, mail_trouble_first_s=1) as made:
        made.script.replies["greeting"] = made.script.replies["mail"] = ["421 4.3.2 later"]
        await until(lambda: made.count("trouble") == 2)  # with the other letter
        made.script.replies.clear()
        await made.looked()
        assert not is_ready(made)


def test_what_was_accepted_before_the_newest_trouble_does_not_end_it() -> None:
    """Also where that trouble was met before the one that came furthest."""

    class Queue(FakeStore):
        asked: float | None = None

        async def has_accepted(self, within_s: float) -> bool:
            self.asked = within_s
            return False

    async def ask() -> float | None:
        queue = Queue(FakeClock(), BALANCES)
        standing = Standing(Gate(1, 1000), Width(1, 1), Health(), queue)
        for phase in (Phase.DOT, Phase.RCPT):
            standing.note_trouble(Judgement(Verdict.TROUBLE, Result(phase, 554, "no")))
            await asyncio.sleep(100)
        assert not await standing._may_ask()
        return queue.asked

    assert run_virtually(ask()) == 100


def test_trouble_that_only_letters_find_goes_on_with_its_pauses() -> None:
    """A server that answers a probe and not the letter behind it."""

    async def close_again() -> list[float]:
        gate, pauses = Gate(1, 1000), list[float]()
        for _ in range(6):
            pauses.append(gate.close())
            await asyncio.sleep(pauses[-1])
            assert gate.open(proven=False) and gate.is_open
        gate.open()
        return [*pauses, gate.close()]

    *grown, fresh = run_virtually(close_again())
    assert grown == sorted(grown) and grown[-1] >= 16
    assert fresh <= 1
