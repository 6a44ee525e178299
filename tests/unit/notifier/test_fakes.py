"""The fake keeps the contract of the real stores, so what is tested with it holds with them."""

import pytest

from notifier.letters import Letters
from notifier.store.port import ClaimedEmail
from schemas.build import Decoded, decode_event
from schemas.topics import BALANCES
from tests.unit.notifier.day_limits_contract import DayLimitsContract
from tests.unit.notifier.doubt_contract import DoubtContract
from tests.unit.notifier.fakes import FakeClock, FakeStore
from tests.unit.notifier.queue_contract import QueueContract
from tests.unit.notifier.store_contract import StoreContract


class FakeStores:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store = self.queue = FakeStore(self.clock, BALANCES)

    async def pass_s(self, seconds: float) -> None:
        self.clock.pass_s(seconds)

    async def published(self) -> list[Decoded]:
        return [decode_event(event.value) for event in self.store.outbox]

    async def letters(self, account_id: str) -> Letters:
        return self.store.letters_of(account_id)

    async def email(self, email: ClaimedEmail) -> tuple[str, int, int]:
        stored = self.store.emails[email.row.email_id]
        return stored.state, stored.attempts, stored.ambiguous


@pytest.fixture
def stores() -> FakeStores:
    return FakeStores()


class TestFakeStore(StoreContract): ...


class TestFakeQueue(QueueContract): ...


class TestFakeDayLimits(DayLimitsContract): ...


class TestFakeDoubt(DoubtContract): ...
