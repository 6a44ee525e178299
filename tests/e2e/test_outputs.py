"""What we publish, read by clients and CloudEvents packages of other languages."""

import json

import pytest

from schemas.resources import Resource
from schemas.topics import BALANCES, NOTIFICATIONS
from tests.e2e.running import Running
from tests.integration.runtime_ledger import read_all
from tests.support.clients import READERS, Read, read_with

AMONG_THEM = {BALANCES: "balance.changed.v1", NOTIFICATIONS: "banner.raised.v1"}


@pytest.mark.xdist_group("clients")
@pytest.mark.needs_kafka("a broker that every client speaks to")
@pytest.mark.parametrize("client", READERS)
async def test_another_client_reads_every_record_of_our_topics(running: Running, client: str) -> None:
    """Compressed with what every client has built in, and marked as what it is."""
    await running.open("acct-1", "acct-2")
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "60")
    for topic, kind in AMONG_THEM.items():
        expected = await published(running, topic)
        assert kind in {event.type for event in expected}
        found = read_with(client, running.settings, topic, len(expected))
        assert sorted(found, key=by_id) == sorted(expected, key=by_id)


async def published(running: Running, topic: str) -> list[Read]:
    """What is on the topic, by a plain reader without a CloudEvents package."""
    values = [value for own in (await read_all(running.settings, topic)).values() for _key, value in own]
    events = [json.loads(value or b"") for value in values]
    return [Read(event["id"], event["type"], event["subject"], event["data"]) for event in events]


def by_id(event: Read) -> str:
    return event.id
