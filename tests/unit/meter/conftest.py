"""The Kafka of the producers' tests."""

import pytest

from meter import delivery
from tests.unit.meter.scripted_kafka import ScriptedKafka


@pytest.fixture
def kafka(monkeypatch: pytest.MonkeyPatch) -> ScriptedKafka:
    scripted = ScriptedKafka()
    monkeypatch.setattr(delivery, "Producer", lambda settings, client_id: scripted)
    return scripted
