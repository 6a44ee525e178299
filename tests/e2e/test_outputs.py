"""What we publish, read by a client and a CloudEvents package of another language."""

import json

import pytest

from meter.runtime.kafka import TopicAdmin
from schemas.resources import Resource
from schemas.topics import BALANCES, NOTIFICATIONS
from tests.e2e.running import Running
from tests.support.clients import read_with_kafkajs


@pytest.mark.xdist_group("clients")
@pytest.mark.needs_kafka("a broker that every client speaks to")
@pytest.mark.parametrize("topic", [BALANCES, NOTIFICATIONS])
async def test_kafkajs_and_its_cloudevents_package_read_our_topics(running: Running, topic: str) -> None:
    """Compressed with what every client has built in, and marked as what it is."""
    await running.open("acct-1")
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "60")
    async with TopicAdmin(running.settings) as admin:
        count = sum((await admin.end_offsets(topic)).values())
    events = [json.loads(line) for line in read_with_kafkajs(running.settings, topic, count)]
    assert {subject for _id, _type, subject in events} == {"acct-1"} and len(events) == count >= 2
    wanted = {BALANCES: "balance.changed.v1", NOTIFICATIONS: "banner.raised.v1"}[topic]
    assert wanted in {kind for _id, kind, _subject in events}
