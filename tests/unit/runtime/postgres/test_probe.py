"""What the probe keeps of what the server says: since when a transaction is open, whoever has it."""

import pytest

from meter.runtime.postgres.probe import PostgresProbe
from meter.runtime.settings import Settings


def test_the_oldest_transaction_is_counted_from_when_it_was_first_seen() -> None:
    probe = PostgresProbe(Settings(postgres_dsn="postgresql://localhost/x"), "tests")
    for now, holding, oldest_s in [
        (100.0, (), 0),
        (101.0, ("7 500",), 0),
        (161.0, ("7 500", "8 510"), 60),
        (171.0, ("8 510", "7 520"), 10),  # the first has ended, and its process has begun another
        (172.0, (), 0),
    ]:
        probe._note_holding(holding, now)
        assert probe.oldest_transaction_s == oldest_s


async def test_of_a_server_that_does_not_answer_no_transaction_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    probe = PostgresProbe(Settings(postgres_dsn="postgresql://localhost/x"), "tests")
    probe._note_holding(("7 500",), 100.0)
    probe._note_holding(("7 500",), 160.0)
    assert probe.oldest_transaction_s == 60

    async def fail() -> None:
        raise ConnectionResetError("gone")

    monkeypatch.setattr(probe, "_ask", fail)
    with pytest.raises(ConnectionResetError):
        await probe.ask()
    assert probe.oldest_transaction_s == 0
