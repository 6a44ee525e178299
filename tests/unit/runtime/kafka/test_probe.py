"""The probe of Kafka does not rest on a connection that was let in once, while others of the process are refused."""

from collections.abc import Iterator

import pytest

from meter.runtime.errors import LoginRefusedError
from meter.runtime.kafka import probe as probing
from meter.runtime.kafka.adapter.logins import LOGINS
from meter.runtime.kafka.failures import KafkaConnectionError
from meter.runtime.kafka.probe import KafkaProbe
from meter.runtime.settings import Settings


class Brokers:
    """Stands in for the connection: what is connected stays so, and the next one is let in or not."""

    def __init__(self) -> None:
        self.lets_in = True
        self.connected = self.closed = 0

    def __call__(self, *_: object, **__: object) -> "Brokers":
        return self

    async def connect(self) -> None:
        if not self.lets_in:
            raise KafkaConnectionError("Unable to bootstrap")
        self.connected += 1

    async def ask(self) -> None: ...

    async def stop(self, _timeout_s: float) -> None:
        self.closed += 1


@pytest.fixture
def brokers(monkeypatch: pytest.MonkeyPatch) -> Iterator[Brokers]:
    async def refused(*_: object) -> LoginRefusedError:
        return LoginRefusedError("kafka at b:1 refuses the login", dependency="kafka")

    made = Brokers()
    monkeypatch.setattr(probing, "BrokerConnection", made)
    monkeypatch.setattr(probing, "not_connected", refused)
    LOGINS.take_failure()
    yield made
    LOGINS.take_failure()


async def test_a_connection_that_stands_is_kept(brokers: Brokers) -> None:
    probe = KafkaProbe(Settings())
    await probe.ask()
    await probe.ask()
    assert (brokers.connected, brokers.closed) == (1, 0)


async def test_once_another_one_failed_it_connects_anew_and_says_why_that_does_not_go(brokers: Brokers) -> None:
    probe = KafkaProbe(Settings())
    await probe.ask()
    brokers.lets_in = False
    LOGINS.note_failure()
    for _ in range(2):
        with pytest.raises(LoginRefusedError, match="refuses the login"):
            await probe.ask()
        await probe.close()
    brokers.lets_in = True
    await probe.ask()
    await probe.ask()
    assert brokers.connected == 2


async def test_one_failure_of_another_is_no_outage(brokers: Brokers) -> None:
    probe = KafkaProbe(Settings())
    await probe.ask()
    LOGINS.note_failure()
    await probe.ask()
    await probe.ask()
    assert (brokers.connected, brokers.closed) == (2, 1)
