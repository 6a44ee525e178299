"""2,000 letters to a mail server that takes 20 s for each, over real sockets and in virtual time: they leave at the
rate that README.md states, connections grow to their limit, and each account gets its share."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta

import pytest

from meter.runtime.waiting import TICK_S, TICKS
from tests.support import until
from tests.support.virtual_loop import run_virtually
from tests.unit.notifier.builders import AT
from tests.unit.notifier.fakes import FakeClock
from tests.unit.notifier.mail_bench import Bench
from tests.unit.notifier.scripted import Script, serving
from tests.unit.notifier.test_mail_scale import is_told, queue_accounts, readers

LETTER_S = 20
CONNECTIONS = 20
ACCOUNTS, CONTACTS = 100, 20
LETTERS = ACCOUNTS * CONTACTS
REAL_S = 900  # of the test itself, on a machine with much other work
STATED_A_MINUTE = 60
SLACK = 0.05


class LoopClock(FakeClock):
    """Goes with the loop's time."""

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=asyncio.get_running_loop().time())


async def play(script: Script, accounts: int, contacts: int, poll_s: float) -> tuple[Bench, float]:
    """How long it took, in the loop's seconds, which add up to within a millionth; it is looked every `poll_s`."""
    async with serving(script):
        made = Bench(script, smtp_connections=4, smtp_connections_max=CONNECTIONS, smtp_idle_s=30, mail_poll_s=1)
        made.clock = made.fake.clock = LoopClock(AT)
        await queue_accounts(made, accounts, contacts)
        begun = asyncio.get_running_loop().time()
        async with made.sending():
            letters = accounts * contacts
            await until(lambda: is_told(made, letters), REAL_S, lambda: str(Counter(made.told())), poll_s=poll_s)
            took_s = asyncio.get_running_loop().time() - begun
    return made, took_s


def check_all_went_out_once(made: Bench, letters: int) -> None:
    assert Counter(made.told()) == {"accepted": letters}
    assert len(made.script.bodies) == letters
    assert all(email.attempts == 1 for email in made.fake.emails.values())
    assert made.count("trouble") + made.count("retry") + made.count("ambiguous") == 0


def check_shares(script: Script, accounts: int) -> None:
    """At no moment has an account got two letters more than another one, but for those that go side by side."""
    told = Counter(dict.fromkeys((f"acct-{number}" for number in range(accounts)), 0))
    for account in readers(script):
        told[account] += 1
        assert max(told.values()) - min(told.values()) <= 2, told


def test_two_thousand_letters_at_20_s_each_leave_at_the_stated_rate() -> None:
    made, took_s = run_virtually(play(Script(letter_s=LETTER_S), ACCOUNTS, CONTACTS, LETTER_S))
    check_all_went_out_once(made, LETTERS)
    assert made.script.widest == CONNECTIONS
    least_s = LETTERS / STATED_A_MINUTE * 60
    assert least_s <= round(took_s, 6) <= least_s * (1 + SLACK), f"{LETTERS / took_s * 60:.1f} letters a minute"
    check_shares(made.script, ACCOUNTS)


@pytest.mark.parametrize("phase", [0.1, 0.3, 0.5, 0.7, 0.9])
def test_the_server_takes_its_time_for_each_letter_whenever_loops_of_the_process_look(
    phase: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TICKS, "_phase_s", phase * TICK_S)
    made, took_s = run_virtually(play(Script(letter_s=1), 4, 10, 0.05))
    check_all_went_out_once(made, 40)
    assert made.script.widest == CONNECTIONS and round(took_s, 6) >= 40 / CONNECTIONS


async def test_forty_letters_at_1_s_each_open_all_connections() -> None:
    """The same in real time, smaller."""
    made, took_s = await play(Script(letter_s=1), 4, 10, 0.1)
    check_all_went_out_once(made, 40)
    assert made.script.widest == CONNECTIONS and round(took_s, 6) >= 40 / CONNECTIONS
    check_shares(made.script, 4)
