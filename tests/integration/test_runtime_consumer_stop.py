"""The end of a ShardConsumer: it leaves the group, within seconds, whatever the brokers do."""

import pytest

from deploy.local.stack import KafkaServer
from meter.runtime.settings import Settings
from schemas.topics import USAGE
from tests.integration.runtime_faults import hang_coordinator_close
from tests.integration.runtime_ledger import Ledger, drain, fill, joined, make_topics
from tests.support.working_time import within


@pytest.mark.needs_kafka("LeaveGroup: aiokafka never leaves a group in its generation 0, which Tansu's stays at")
async def test_who_stops_in_a_rebalance_leaves_the_group_all_the_same(topics: Settings) -> None:
    """The session is 30 s: whoever comes next would wait that long for a member that did not leave."""
    async with joined(topics, Ledger()) as consumer:
        hang_coordinator_close(consumer)
        with within(5):
            await consumer.stop()
    with within(15):
        async with joined(topics, Ledger()) as consumer:
            assert consumer.assigned == {0, 1, 2}


async def test_brokers_that_do_not_answer_hold_up_the_end_for_seconds_only(
    settings: Settings, own_kafka: KafkaServer
) -> None:
    own = settings.model_copy(update={"kafka_bootstrap": own_kafka.bootstrap})
    await make_topics(own)
    await fill(own, 90)
    async with joined(own, ledger := Ledger()) as consumer:
        await drain(consumer, ledger, 90)
        own_kafka.pause()
        try:
            for batch in await consumer.receive():
                consumer.advance(batch)
            consumer._commits.note(own.topic(USAGE), 0, 1)
            with within(6):
                await consumer.stop()
        finally:
            own_kafka.resume()
