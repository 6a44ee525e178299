"""What is true when a letter is sent: histories against a scripted mail server and the queue in memory."""

import email
from functools import partial
from typing import Any

import pytest

from schemas.amounts import MICRO
from tests.support import until
from tests.unit.notifier.builders import account, balance, percent
from tests.unit.notifier.contract import queue_one, save
from tests.unit.notifier.mail_bench import Bench, bench
from tests.unit.notifier.scripted import DROP, Script, serving


def subject(*used: int) -> list[str]:
    return [f"{percents} % of model credits used: Example Account" for percents in used]


@pytest.mark.parametrize(("changes", "reason"), [
    ([percent(5, 4, epoch=2)], "no line is reached any more"),
    ([percent(49, 4)], "no line is reached any more"),
    ([account(4, contacts=("new@example.com",))], "no longer a contact"),
    ([account(4, is_open=False)], "closed"),
])  # fmt: skip
async def test_what_is_no_longer_owed_is_cancelled_and_told_as_such(changes: list[Any], reason: str) -> None:
    async with serving(Script()) as script:
        made = Bench(script)
        await queue_one(made)
        await save(made, changes, start=3)
        async with made.sending():
            await until(lambda: made.email().state == "cancelled")
        assert reason in str(made.email().reason) and "owner@example.com" not in str(script.seen)
        assert made.told()[0] == "cancelled"


async def sent_after(*changes: Any) -> Bench:
    """What is sent of changes that came while the mail server was away."""
    async with serving(Script()) as script:
        made = Bench(script)
        await save(made, changes)
        async with made.sending():
            await until(lambda: "accepted" in made.told())
            await made.looked()
        return made


async def test_after_an_outage_one_letter_tells_all_that_is_true_now() -> None:
    """38, 53, 60.5, 68 and 78 of 75 credits, 5,000 and 7,100 of 10,000 runs."""
    credits_used = [balance(int(used * MICRO), 10 + n) for n, used in enumerate((0, 38, 53, 60.5, 68, 78))]
    runs = [
        balance(used * MICRO, 20 + n, allocation=10_000 * MICRO, resource="tool_runs")
        for n, used in enumerate((0, 5_000, 7_100))
    ]
    made = await sent_after(account(1), *credits_used, *runs)
    assert made.subjects() == [
        "104 % of model credits and 71 % of tool runs used, model calls refused: Example Account"
    ]
    assert b"refused now" in made.script.bodies[0]


async def test_a_small_grant_that_leaves_the_line_reached_kills_no_letter() -> None:
    """71.25 of 75, then a grant of 1."""
    grant = balance(71_250_000, 4, allocation=76 * MICRO, epoch=2)
    made = await sent_after(account(1), balance(0, 2), balance(71_250_000, 3), grant)
    assert made.subjects() == subject(93)


async def test_a_reversal_that_is_used_up_again_leaves_one_true_letter() -> None:
    made = await sent_after(account(1), percent(0, 2), percent(53, 3), percent(40, 4), percent(56, 5))
    assert made.subjects() == subject(56)


async def test_the_successor_of_all_contacts_gets_the_letter() -> None:
    made = await sent_after(account(1), percent(0, 2), percent(93, 3), account(4, contacts=("new@example.com",)))
    assert made.script.commands("rcpt") == ["RCPT TO:<new@example.com>"]


async def test_a_first_contact_who_comes_later_is_told() -> None:
    made = await sent_after(account(1, contacts=()), percent(0, 2), percent(90, 3), account(4))
    assert made.subjects() == subject(90)


async def test_lines_reached_before_the_opening_are_told_once() -> None:
    assert (await sent_after(account(1), percent(80, 2))).subjects() == subject(80)


async def test_a_burst_is_one_letter_after_a_pause_that_further_lines_do_not_renew() -> None:
    async with serving(Script()) as script:
        made = Bench(script)
        made.fake.pause_s = 3
        await queue_one(made)
        async with made.sending():
            made.clock.pass_s(2)
            await save(made, [percent(72, 4), percent(85, 5)], start=3)
            await made.looked()
            assert script.bodies == []
            made.clock.pass_s(1.1)
            await until(lambda: made.told() == ["accepted"])
        assert made.subjects() == subject(85)


async def test_nothing_is_sent_before_the_balances_are_read_to_their_end() -> None:
    async with serving(Script()) as script:
        made = Bench(script)
        await queue_one(made)
        made.ends.away = True
        async with made.sending():
            await until(lambda: made.count("behind") >= 1)
            made.ends.away, made.ends.ahead = False, 2
            made.clock.pass_s(1)
            await until(lambda: made.count("behind") >= 2)
            assert script.seen == [] and made.email().attempts == 0
            await save(made, [percent(72, 4), percent(85, 5)], start=3)
            made.ends.ahead = 0
            made.clock.pass_s(1)
            await until(lambda: made.told() == ["accepted"])
        assert made.subjects() == subject(85)


async def test_a_letter_goes_although_the_balances_never_stand_still() -> None:
    """Each time one asks, the end is ahead of what is read: it is enough to read to where it was."""
    async with serving(Script()) as script:
        made = Bench(script)
        made.catch_up_s = 30
        await queue_one(made)
        made.ends.ahead = 2
        async with made.sending():
            await until(lambda: made.ends.asked == 1)
            await save(made, [percent(72, 4), percent(85, 5)], start=3)
            await until(lambda: made.told() == ["accepted"])
        assert made.ends.asked == 1 and made.count("behind") == 0
        assert made.subjects() == subject(85)


def has_lost(made: Bench, replies: int) -> bool:
    return made.count("ambiguous") == replies


async def test_replies_that_are_lost_again_and_again_end_in_a_few_copies_that_count_as_told() -> None:
    async with bench(Script({"dot": [DROP]}), mail_attempts=30) as made:
        for replies in (1, 2, 3):
            await until(partial(has_lost, made, replies))
            made.clock.pass_s(1000)
        await until(lambda: made.told() == ["presumed"])
        await made.looked()
    assert len(set(made.script.bodies)) == 1 and len(made.script.bodies) == 3 and made.email().ambiguous == 3


async def test_after_a_lost_reply_a_higher_line_is_told_in_a_letter_of_its_own() -> None:
    async with bench(Script({"dot": [DROP, "250 ok"]})) as made:
        await until(partial(has_lost, made, 1))
        await save(made, [percent(85, 4)], start=3)
        made.clock.pass_s(1000)
        await until(lambda: made.told() == ["presumed", "accepted"])
    assert made.subjects() == subject(50, 85)


async def test_after_a_lost_reply_a_new_epoch_gets_fresh_bytes_with_an_id_of_their_own() -> None:
    async with bench(Script({"dot": [DROP, "250 ok"]})) as made:
        await until(partial(has_lost, made, 1))
        await save(made, [percent(60, 4, epoch=2)], start=3)
        made.clock.pass_s(1000)
        await until(lambda: made.told() == ["accepted"])
    assert made.subjects() == subject(50, 60)
    ids = [email.message_from_bytes(body)["Message-ID"] for body in made.script.bodies]
    assert ids[1] == ids[0].replace("@", ".2@")


async def test_a_relay_that_refuses_everybody_stops_sending_and_loses_nothing() -> None:
    contacts = tuple(f"c{number}@example.com" for number in range(4))
    async with bench(Script({"rcpt": ["554 5.7.1 relay access denied"]}), contacts) as made:
        await until(lambda: made.count("trouble") >= 6)
        assert made.health.report()["dependencies"] == {"smtp": False}
        assert all((found.state, found.attempts <= 1) == ("queued", True) for found in made.fake.emails.values())
        made.script.replies.clear()
        await until(lambda: made.told() == ["accepted"] * 4)
    assert made.health.ready


async def test_one_recipient_who_refuses_us_stops_no_other_and_is_given_up_in_the_end() -> None:
    contacts = ("c1@example.com", "c2@example.com", "bad@example.com")
    script = Script({"rcpt bad@example.com": ["550 5.7.1 not from you"]})
    async with bench(script, contacts, smtp_connections=1, mail_attempts=1) as made:
        await until(lambda: sorted(made.told()) == ["accepted", "accepted", "given_up"])
    assert made.email("bad@example.com").state == "given_up"


async def test_a_day_brings_a_contact_so_many_letters_and_the_next_one_waits() -> None:
    async with bench(Script(), mail_day_limit=1) as made:
        await until(lambda: made.told() == ["accepted"])
        await save(made, [percent(85, 4)], start=3)
        await until(lambda: made.told() == ["accepted", "capped"])
        await made.looked()
        assert len(made.script.bodies) == 1
        made.clock.pass_s(86_401)
        await until(lambda: made.told() == ["accepted", "capped", "accepted"])
