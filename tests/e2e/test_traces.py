"""From the span that a producer was in to the letter: real processes, Apache Kafka, Postgres and a collector."""

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from deploy.local.mail import MailSink
from deploy.local.stack import Addresses
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from meter.runtime.tracing import TraceParent
from schemas.topics import USAGE, partition_for
from tests.e2e.running import ROLES
from tests.support.builders import STRUCTURED, encode, model_inference, opened
from tests.support.collector import Collector, collecting
from tests.support.processes import Processes, ServiceProcess
from tests.support.waiting import until

WAIT_S = 90
NOW: dict[str, Any] = {"time": None}  # Kafka's timestamp counts
SPAN = 0x00F067AA0BA902B7
ATTRIBUTE, HEADER, REFUSED, UNSAMPLED = (TraceParent(number << 64 | 0xFEED, SPAN) for number in (1, 2, 3, 4))
WHOLE = {
    "store": "credit-meter",
    "fold": "credit-projections",
    "notice": "credit-notifier",
    "letter": "credit-notifier",
}
HOSTILE = ["x" * 10_000, "00", f"ff-{'a' * 32}-{'b' * 16}-01", f"00-{'0' * 32}-{'0' * 16}-01", "\\u0000", 17, None]


class Sender:
    """Sends as any Kafka client does, with the headers that it likes."""

    def __init__(self, settings: Settings, producer: AIOKafkaProducer) -> None:
        self._settings, self._producer = settings, producer

    async def send(
        self, envelope: dict[str, Any], topic: str = USAGE, headers: Sequence[tuple[str, bytes]] = STRUCTURED
    ) -> None:
        key = envelope["subject"].encode()
        partition = partition_for(key, self._settings.partitions)
        name = self._settings.topic(topic)
        await self._producer.send_and_wait(name, encode(envelope), key=key, partition=partition, headers=list(headers))


async def test_a_producers_trace_goes_on_to_the_letter(
    processes: Processes, stack: Addresses, values: dict[str, Any], settings: Settings, pool: Pool, mail: MailSink,
    tmp_path: Path,
) -> None:  # fmt: skip
    assert processes.run("meter", "setup").returncode == 0
    database = str(values["postgres_dsn"]).rpartition("/")[2]
    smtp = {
        "smtp_host": mail.host, "smtp_port": str(mail.port), "mail_from": "credits@example.com", "mail_pause_s": "0.2",
    }  # fmt: skip
    with collecting() as collector:
        services = {
            name: processes.spawn(
                name, postgres_dsn=stack.dsn(database, role), traces_endpoint=collector.endpoint,
                **(smtp if name == "notifier" else {}),
            )
            for name, role in ROLES.items()
        }  # fmt: skip
        producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
        await producer.start()
        try:
            sender = Sender(settings, producer)
            await tell(sender)
            await until(lambda: len(mail.mails) == 3, WAIT_S, lambda: say(services))
            for parent in (ATTRIBUTE, HEADER):
                await until(partial(whole, collector, parent), WAIT_S, lambda: say(services))
            await send_hostile(sender, pool, services)
        finally:
            await producer.stop()
        for service in services.values():
            service.terminate()
        assert [service.wait() for service in services.values()] == [0, 0, 0]
    check_spans(collector)
    check_logs(services)


async def tell(sender: Sender) -> None:
    """Three accounts whose usage crosses a line, and an event that is refused."""
    for number in (1, 2, 3):
        await sender.send(opened(f"acct-{number}", contacts=[f"owner{number}@example.com"], **NOW), "metering.accounts")
    await sender.send(model_inference("45", "acct-1", traceparent=str(ATTRIBUTE), **NOW))
    instrumented = (*STRUCTURED, ("traceparent", str(HEADER).encode()))
    await sender.send(model_inference("45", "acct-2", **NOW), headers=instrumented)
    await sender.send(model_inference("45", "acct-3", traceparent=f"{str(UNSAMPLED)[:-2]}00", **NOW))
    await sender.send(model_inference("-1", "acct-3", traceparent=str(REFUSED), **NOW))


def whole(collector: Collector, parent: TraceParent) -> bool:
    return collector.of_trace(parent.trace).keys() >= WHOLE.keys()


async def send_hostile(sender: Sender, pool: Pool, services: dict[str, ServiceProcess]) -> None:
    before = await pool.fetchval("SELECT count(*) FROM meter.events")
    for value in HOSTILE:
        await sender.send(model_inference("0.001", "acct-1", traceparent=value, **NOW))
        await sender.send(
            model_inference("0.001", "acct-1", **NOW),
            headers=(*STRUCTURED, ("traceparent", json.dumps(value).encode()), ("traceparent", b"\xff\x00")),
        )

    async def folded() -> bool:
        behind = await pool.fetchval(
            "SELECT sum(s.next_position - 1 - c.position) FROM meter.shards s JOIN projections.cursors c USING (shard)"
            " WHERE c.projection = 'balance'"
        )
        stored = await pool.fetchval("SELECT count(*) FROM meter.events")
        return bool(stored == before + 2 * len(HOSTILE) and behind == 0)

    await until(folded, WAIT_S, lambda: say(services))


def check_spans(collector: Collector) -> None:
    for parent in (ATTRIBUTE, HEADER):
        spans = collector.of_trace(parent.trace)
        assert {span.parent_span_id.hex() for span in spans.values()} == {f"{SPAN:016x}"}
        sent_by = {span.name: service for service, span in collector.spans if span.trace_id.hex() == parent.trace}
        assert sent_by == WHOLE
    refused = collector.of_trace(REFUSED.trace)
    assert set(refused) == {"store"} and refused["store"].status.message == "invalid_amount"
    assert {span.trace_id.hex() for _service, span in collector.spans} == {
        p.trace for p in (ATTRIBUTE, HEADER, REFUSED)
    }


def check_logs(services: dict[str, ServiceProcess]) -> None:
    told = [line.get("trace_id") for line in services["notifier"].logged("email_accepted")]
    assert sorted(filter(None, told)) == [ATTRIBUTE.trace, HEADER.trace] and len(told) == 3
    assert [line["trace_ids"] for line in services["meter"].logged("records_refused")] == [[REFUSED.trace]]
    noticed = [trace for line in services["notifier"].logged("changes_noticed") for trace in line.get("trace_ids", ())]
    assert sorted(noticed) == [ATTRIBUTE.trace, HEADER.trace]


def say(services: dict[str, ServiceProcess]) -> str:
    return "\n".join(line for service in services.values() for line in service.output().splitlines()[-30:])


@pytest.mark.parametrize("name", ["meter"])
def test_a_collector_that_nobody_may_trust_is_refused_at_the_start(processes: Processes, name: str) -> None:
    done = processes.run(name, "run", traces_endpoint="http://collector.example.com:4318")
    assert done.returncode == 2 and "METERING_TRACES_ENDPOINT" in done.stderr, done.stderr
