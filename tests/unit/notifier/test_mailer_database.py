"""How the sending loop records the end of a letter where the database is away, or somebody else has ended it."""

import asyncio
from typing import Any

import pytest

from meter.runtime.errors import TransientError
from notifier.mail.verdict import Judgement
from notifier.store.port import ClaimedEmail
from tests.support import until
from tests.support.virtual_loop import run_virtually
from tests.unit.notifier.contract import queue_one
from tests.unit.notifier.fakes import FakeStore
from tests.unit.notifier.mail_bench import Bench
from tests.unit.notifier.scripted import Script, serving


class ForgetfulStore(FakeStore):
    """Cannot be reached at first when an end is to be recorded."""

    def __init__(self, other: FakeStore, failures: int) -> None:
        self.__dict__.update(other.__dict__)
        self.failures = failures

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: Any) -> bool:
        if self.failures > 0:
            self.failures -= 1
            raise TransientError("away")
        return await super().finish(email, judgement, pause_s, at)


class EndedStore(FakeStore):
    """Another mailer ends the letter while its acceptance is on its way."""

    def __init__(self, other: FakeStore) -> None:
        self.__dict__.update(other.__dict__)

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: Any) -> bool:
        self.emails[email.row.email_id].state = "cancelled"
        return await super().finish(email, judgement, pause_s, at)


async def test_an_acceptance_of_a_letter_that_had_ended_is_counted() -> None:
    async with serving(Script()) as script:
        made = Bench(script)
        await queue_one(made)
        made.fake = EndedStore(made.fake)
        async with made.sending():
            await until(lambda: made.count("late") == 1)
        assert made.email().state == "cancelled" and made.count("accepted") == 0


async def test_that_a_mail_was_sent_is_recorded_even_when_the_database_has_to_be_waited_for() -> None:
    async with serving(Script()) as script:
        made = Bench(script)
        await queue_one(made)
        made.fake = ForgetfulStore(made.fake, failures=2)
        async with made.sending():
            await until(lambda: made.email().state == "accepted")
        assert len(script.bodies) == 1


class AwayStore(FakeStore):
    """From the first try to record an end on it cannot be reached for `away_s`, by the loop's time."""

    def __init__(self, other: FakeStore, away_s: float) -> None:
        self.__dict__.update(other.__dict__)
        self.away_s, self.since = away_s, None
        self.recorded = asyncio.Event()

    since: float | None

    async def finish(self, email: ClaimedEmail, judgement: Judgement, pause_s: float, at: Any) -> bool:
        now = asyncio.get_running_loop().time()
        self.since = now if self.since is None else self.since
        if now < self.since + self.away_s:
            raise TransientError("away")
        self.recorded.set()
        return await super().finish(email, judgement, pause_s, at)


def test_a_database_that_is_away_for_most_of_the_claim_costs_no_second_letter() -> None:
    """Nor does the watchdog end the process meanwhile: whoever came next would send it again."""

    async def record_late() -> None:
        async with serving(Script()) as script:
            made = Bench(script, mail_poll_s=5)
            made.health.watch("fold", lambda: 1)
            await queue_one(made)
            made.fake = away = AwayStore(made.fake, away_s=made.settings.claim_s * 0.8)
            async with made.sending():
                await until(lambda: away.since is not None)
                assert made.health.find_stalled(1, 60) == []  # the first tick excuses nothing
                assert made.health.find_stalled(3600, 60) == []
                await away.recorded.wait()
                await until(lambda: made.email().state == "accepted")
            assert len(script.bodies) == 1
            assert made.health.find_stalled(3600, 60) == ["fold"]

    run_virtually(record_late())


@pytest.mark.parametrize(("replies", "away_s"), [({"rcpt": ["550 no"]}, 60), ({}, 330)], ids=["not sent", "sent"])
def test_a_database_that_is_away_for_longer_is_the_services_matter(
    replies: dict[str, list[str]], away_s: float
) -> None:
    async def record_never() -> None:
        async with serving(Script(replies)) as script:
            made = Bench(script, mail_poll_s=5)
            await queue_one(made)
            made.fake = AwayStore(made.fake, away_s)
            started = asyncio.get_running_loop().time()
            with pytest.raises(ExceptionGroup):
                async with made.sending():
                    await made.stop.wait()
            assert asyncio.get_running_loop().time() - started < made.settings.claim_s

    run_virtually(record_never())
