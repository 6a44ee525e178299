"""The sending loop against a scripted mail server and the queue in memory: what is sent, kept, counted and given up."""

import asyncio
import email
from functools import partial

import pytest

from meter.runtime.errors import TransientError
from notifier.store.port import ClaimedEmail
from tests.support import until
from tests.support.waiting import GIVEN_UP_S
from tests.support.working_time import within
from tests.unit.notifier.contract import queue_one
from tests.unit.notifier.fakes import FakeStore
from tests.unit.notifier.mail_bench import SILENCE_S, Bench, bench
from tests.unit.notifier.scripted import DROP, HANG, Script, serving


async def test_every_email_is_sent_once_over_few_connections() -> None:
    contacts = tuple(f"c{number}@example.com" for number in range(12))
    async with bench(Script(), contacts) as made:
        await until(lambda: made.told().count("accepted") == 12)
    assert len(made.script.bodies) == 12 and made.script.connections <= 2
    assert sorted(made.script.commands("rcpt")) == sorted(f"RCPT TO:<{contact}>" for contact in contacts)
    assert all(email.state == "accepted" and email.attempts == 1 for email in made.fake.emails.values())
    assert made.count("accepted") == 12


async def test_a_temporary_refusal_is_tried_again_with_the_same_id() -> None:
    async with bench(Script({"dot": ["451 4.3.0 later", "250 ok"]})) as made:
        await until(lambda: made.count("retry") == 1)
        assert made.email().state == "queued"
        made.clock.pass_s(101)
        await until(lambda: made.email().state == "accepted")
    assert made.email().attempts == 2 and made.email().ambiguous == 0
    ids = [email.message_from_bytes(body)["Message-ID"] for body in made.script.bodies]
    assert len(ids) == 2 and ids[0] == ids[1]


def tried(made: Bench, tries: int) -> bool:
    return made.count("retry") + made.count("given_up") == tries


async def test_the_last_try_gives_up_loudly() -> None:
    async with bench(Script({"rcpt": ["450 4.2.1 mailbox busy"]})) as made:
        for tries in (1, 2, 3):
            await until(partial(tried, made, tries))
            made.clock.pass_s(1000)
    assert made.email().state == "given_up" and "given up after 3 tries" in str(made.email().reason)
    assert made.told()[-1] == "given_up"


@pytest.mark.parametrize("how", ["550 5.1.1 no such user", "450 busy", "421 too much", DROP, HANG])
async def test_one_bad_address_does_not_hold_up_the_others(how: str) -> None:
    contacts = ("bad@example.com", *(f"c{number}@example.com" for number in range(6)))
    given_s = SILENCE_S if how == HANG else 30
    async with bench(Script({"rcpt bad@example.com": [how]}), contacts, smtp_timeout_s=given_s) as made:
        await until(lambda: made.told().count("accepted") == 6)
        await until(lambda: made.count("retry") + made.count("refused") == 1)
    assert made.email("bad@example.com").state == ("refused" if how.startswith("550") else "queued")


@pytest.mark.parametrize("how", [DROP, HANG])
async def test_no_reply_to_the_dot_is_counted_as_ambiguous(how: str) -> None:
    given_s = SILENCE_S if how == HANG else 30
    async with bench(Script({"dot": [how, "250 ok"]}), smtp_dot_timeout_s=given_s) as made:
        await until(lambda: made.count("ambiguous") == 1)
        made.clock.pass_s(101)
        await until(lambda: made.email().state == "accepted")
    assert (made.email().attempts, made.email().ambiguous) == (2, 1)
    assert len(made.script.bodies) == 2 and made.script.bodies[0] == made.script.bodies[1]


@pytest.mark.parametrize("replies", [
    {"greeting": ["554 5.7.1 blocked"]}, {"ehlo": ["550 no"]}, {"mail": ["550 5.7.1 sender refused"]},
    {"rcpt": ["530 5.7.0 authentication required"]},
])  # fmt: skip
async def test_our_own_fault_burns_no_queue_and_shows_in_readiness(replies: dict[str, list[str]]) -> None:
    async with bench(Script(dict(replies)), ("a@example.com", "b@example.com")) as made:
        await until(lambda: made.count("trouble") >= 4)
        assert made.health.report()["dependencies"] == {"smtp": False}
        assert all(email.state == "queued" for email in made.fake.emails.values())
        assert all(email.attempts <= 1 for email in made.fake.emails.values())
        made.script.replies.clear()
        await until(lambda: made.told().count("accepted") == 2)
        assert made.health.ready
    assert made.count("refused") + made.count("given_up") == 0


async def test_a_refused_password_burns_no_queue() -> None:
    script = Script({"auth": ["535 5.7.8 no"]}, extensions=("AUTH PLAIN",))
    async with bench(script, smtp_username="us", smtp_password="secret", smtp_security="none") as made:
        await until(lambda: made.count("trouble") >= 5)
        assert not made.health.ready
        script.replies.clear()
        await until(lambda: made.email().state == "accepted")
    assert made.email().attempts == 1


async def test_while_the_server_is_in_trouble_one_sender_probes_and_the_others_wait() -> None:
    contacts = tuple(f"c{number}@example.com" for number in range(8))
    async with bench(
        Script({"mail": ["451 4.3.2 later"]}),
        contacts,
        smtp_connections=4,
        mail_trouble_first_s=0.2,
        mail_trouble_max_s=0.2,
    ) as made:
        await until(lambda: made.count("trouble") >= 6)
    # The first four found out side by side; after that each pause has one probe.
    assert made.count("trouble") <= 8


async def test_a_server_that_is_away_costs_no_try() -> None:
    script = Script()
    async with serving(script):
        pass
    made = Bench(script)
    await queue_one(made)
    async with made.sending():
        await until(lambda: made.count("trouble") >= 5)
    assert made.email().attempts == 0 and made.email().state == "queued"


async def test_a_connection_closed_while_unused_is_opened_again_at_once() -> None:
    script = Script({"mail": ["250 ok", DROP, "250 ok"]})
    async with bench(script, ("a@example.com", "b@example.com"), smtp_connections=1) as made:
        await until(lambda: made.told().count("accepted") == 2)
    assert script.connections == 2 and made.count("trouble") == 0
    assert [email.attempts for email in made.fake.emails.values()] == [1, 1]


async def test_an_unused_connection_is_closed() -> None:
    async with bench(Script(), smtp_idle_s=0.05, smtp_connections=1) as made:
        await until(lambda: made.script.commands("quit") == ["QUIT"])
    assert made.email().state == "accepted"


async def test_a_stop_lets_the_conversation_end() -> None:
    gate = Script({"dot": [HANG]})
    async with bench(gate, smtp_dot_timeout_s=0.2, grace_s=5) as made:
        await gate.dot_seen.wait()
    # The stop came while the reply was awaited: its deadline passed within the grace time and counts as usual.
    assert made.email().ambiguous + made.email().handed_over == 1


async def test_a_stop_that_lasts_too_long_leaves_an_attempt_in_doubt() -> None:
    script = Script({"dot": [HANG]})
    async with bench(script, smtp_dot_timeout_s=600, grace_s=0.1) as made:
        await script.dot_seen.wait()
    assert made.email().state == "queued" and made.email().handed_over
    assert made.email().attempts == 1 and made.count("ambiguous") == 1


async def test_a_stop_before_the_body_costs_no_try() -> None:
    script = Script({"rcpt": [HANG]})
    async with bench(script, smtp_timeout_s=60, grace_s=0.1) as made:
        await until(lambda: script.commands("rcpt"))
    assert (made.email().state, made.email().attempts, made.email().handed_over) == ("queued", 0, False)
    assert made.count("stopped") == 1


class HeldStore(FakeStore):
    """Waits at the hand-over until it is told to go on."""

    def __init__(self, other: FakeStore) -> None:
        self.__dict__.update(other.__dict__)
        self.handing_over, self.go_on = asyncio.Event(), asyncio.Event()

    async def hand_over(self, email: ClaimedEmail, claim_s: float) -> bool:
        self.handing_over.set()
        await self.go_on.wait()
        return await super().hand_over(email, claim_s)


async def test_another_loops_failure_lets_the_conversation_end_and_be_recorded() -> None:
    """A lost broker ends all loops of the process at once; a mail cut off there might be sent twice."""
    script = Script({"dot": ["250 ok"]})
    made: Bench | None = None
    with pytest.raises(ExceptionGroup):
        async with serving(script):
            made = Bench(script, grace_s=30)
            await queue_one(made)
            held = HeldStore(made.fake)
            made.fake = held
            async with made.sending():
                await held.handing_over.wait()
                asyncio.get_running_loop().call_later(0.05, held.go_on.set)
                raise TransientError("the broker is gone")
    assert made is not None and made.email().state == "accepted"


class LookedStore(FakeStore):
    """Counts the looks; may queue an email while the first one finds nothing."""

    def __init__(self, made: Bench) -> None:
        self.__dict__.update(made.fake.__dict__)
        self.made, self.looks, self.queues = made, 0, False

    async def claim(self, claim_s: float) -> ClaimedEmail | None:
        self.looks += 1
        found = await super().claim(claim_s)
        if self.looks == 1 and self.queues:
            await self.queue()
        return found

    async def queue(self) -> None:
        await queue_one(self.made)
        self.made.mailer.wake.set()


@pytest.mark.parametrize("connections", [1, 4])
async def test_an_email_wakes_one_sender_and_no_wake_up_is_lost(connections: int) -> None:
    script = Script()
    async with serving(script):
        made = Bench(script, mail_poll_s=60, smtp_connections=connections)
        looked = made.fake = LookedStore(made)
        looked.queues = connections == 1  # while the only sender looks in vain
        with within(10):  # long before it would look by itself
            async with asyncio.timeout(GIVEN_UP_S), made.sending():
                if not looked.queues:
                    await until(lambda: looked.looks == connections)
                    await looked.queue()
                await until(lambda: made.told().count("accepted") == 1)
    # Beside the first looks: the one that found it, the one that it woke, and its own look for more.
    assert looked.looks <= connections + 3
