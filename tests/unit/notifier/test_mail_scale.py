"""Many letters and mail servers that are slow, or will have no more, on real sockets: each letter goes out once."""

import re
from collections import Counter
from dataclasses import replace
from functools import partial

import pytest

from notifier.mail.verdict import Judgement, Phase, Result, Verdict
from notifier.mail.width import Width
from notifier.plan import Change
from tests.support import until
from tests.unit.notifier.builders import account, percent
from tests.unit.notifier.contract import save
from tests.unit.notifier.mail_bench import Bench
from tests.unit.notifier.scripted import DROP, Script, serving

LATE_S = 60
WAIT_S = 120


async def queue_accounts(made: Bench, accounts: int, contacts: int) -> None:
    """Letters of one account after the other, all of them due."""
    for number in range(accounts):
        name = f"acct-{number}"
        addresses = tuple(f"c{place}@{name}.example.com" for place in range(contacts))
        changes: list[Change] = [account(1, contacts=addresses), percent(0, 2), percent(50, 3)]
        await save(made, [replace(change, account_id=name) for change in changes], start=3 * number)
    made.clock.pass_s(LATE_S)


async def send_all(made: Bench, letters: int) -> None:
    async with made.sending():
        await until(partial(is_told, made, letters), WAIT_S, lambda: str(Counter(made.told())))
    assert Counter(made.told()) == {"accepted": letters}
    assert len(made.script.bodies) == letters
    assert {email.state for email in made.fake.emails.values()} == {"accepted"}


def is_told(made: Bench, letters: int) -> bool:
    return sum(email.state != "queued" for email in made.fake.emails.values()) >= letters


def readers(script: Script) -> list[str]:
    """The accounts of the letters, in the order in which they were sent."""
    found = [re.search(r"@(acct-[0-9]+)", line) for line in script.commands("rcpt")]
    return [match[1] for match in found if match]


async def test_somebody_of_every_account_is_told_before_everybody_of_one() -> None:
    accounts, contacts = 8, 5
    async with serving(Script()) as script:
        made = Bench(script, smtp_connections=1, smtp_connections_max=1)
        await queue_accounts(made, accounts, contacts)
        await send_all(made, accounts * contacts)
    for place in range(contacts):
        told = readers(script)[place * accounts : (place + 1) * accounts]
        assert len(set(told)) == accounts, f"in round {place + 1} each account once"


async def test_a_server_that_takes_long_gets_more_connections_up_to_the_limit() -> None:
    """20 ms in place of 20 s."""
    async with serving(Script(letter_s=0.02)) as script:
        made = Bench(script, smtp_connections=2, smtp_connections_max=10)
        await queue_accounts(made, 20, 10)
        await send_all(made, 200)
    assert script.widest == 10
    assert made.count("retry") + made.count("trouble") == 0


async def test_letters_that_are_not_late_open_no_more_connections() -> None:
    async with serving(Script(letter_s=0.02)) as script:
        made = Bench(script, smtp_connections=2, smtp_connections_max=10, mail_overdue_s=LATE_S + 1)
        await queue_accounts(made, 4, 10)
        await send_all(made, 40)
    assert script.widest == 2


async def test_a_server_that_takes_no_more_connections_gets_fewer_and_nothing_pauses() -> None:
    async with serving(Script(letter_s=0.02, most_open=4)) as script:
        made = Bench(script, smtp_connections=2, smtp_connections_max=10, mail_trouble_first_s=600)
        await queue_accounts(made, 10, 10)
        await send_all(made, 100)
    assert script.widest == 4
    assert script.connections > 5, "it was turned away"
    assert made.health.ready and all(email.attempts == 1 for email in made.fake.emails.values())


@pytest.mark.parametrize("farewell", ["421 4.7.0 enough", DROP])
@pytest.mark.parametrize("letters_each", [1, 3])
async def test_a_server_that_ends_a_connection_after_some_letters_gets_another(
    farewell: str, letters_each: int
) -> None:
    async with serving(Script(letters_each=letters_each, farewell=farewell)) as script:
        made = Bench(script, smtp_connections=2, smtp_connections_max=2, mail_trouble_first_s=600)
        await queue_accounts(made, 4, 6)
        await send_all(made, 24)
    assert script.connections >= 24 // letters_each
    assert made.count("trouble") + made.count("retry") == 0


async def test_a_server_that_greylists_gets_each_letter_once_later() -> None:
    accounts, contacts = 3, 4
    names = [f"c{place}@acct-{number}.example.com" for number in range(accounts) for place in range(contacts)]
    greylist = {f"rcpt {name}": ["451 4.7.1 greylisted, come back later", "250 ok"] for name in names}
    async with serving(Script(greylist)) as script:
        made = Bench(script)
        await queue_accounts(made, accounts, contacts)
        async with made.sending():
            await until(lambda: made.count("retry") == len(names), WAIT_S)
            assert made.told() == []
            made.clock.pass_s(101)
            await until(partial(is_told, made, len(names)), WAIT_S)
    assert Counter(made.told()) == {"accepted": len(names)}
    assert len(script.bodies) == len(names)


async def test_a_server_that_answers_byte_by_byte_is_waited_for() -> None:
    async with serving(Script(byte_s=0.002)) as script:
        made = Bench(script)
        await queue_accounts(made, 2, 3)
        await send_all(made, 6)
    assert made.count("trouble") + made.count("retry") + made.count("ambiguous") == 0


def judged(code: int | None, phase: Phase = Phase.CONNECT) -> Judgement:
    return Judgement(Verdict.TROUBLE, Result(phase, code, ""))


def test_what_was_added_is_given_up_by_halves_and_no_more() -> None:
    width = Width(4, 20)
    for _ in range(30):
        width.grow()
    assert width.now == 20
    widths = [width.now for _ in range(6) if width.shrink(judged(421))]
    assert widths == [12, 8, 6, 5, 4]
    assert not width.shrink(judged(421)), "now it is trouble"


SAYS_NOTHING = [
    judged(None),
    judged(554),
    judged(535, Phase.AUTH),
    Judgement(Verdict.RETRY, Result(Phase.RCPT, 450, "")),
]


@pytest.mark.parametrize("judgement", SAYS_NOTHING)
def test_what_says_nothing_of_connections_changes_nothing(judgement: Judgement) -> None:
    width = Width(1, 9)
    width.grow()
    assert not width.shrink(judgement) and width.now == 2


def test_a_limit_below_the_usual_number_counts_for_nothing() -> None:
    width = Width(8, 2)
    width.grow()
    assert (width.now, width.most) == (8, 8)
