"""/metrics of every service after a story, as a collector reads it."""

from meter.runtime.kafka import Message, Producer
from schemas.reasons import Reason
from schemas.topics import USAGE
from tests.e2e.running import Running
from tests.support.metrics import faults, read, value
from tests.support.waiting import until

WAIT_S = 30


async def test_every_service_tells_what_it_did_and_how_long_it_took(running: Running) -> None:
    meter, projections, notifier = (running.services[name] for name in ("meter", "projections", "notifier"))
    await running.open("acct-1")
    await running.use_settled("acct-1", "model_credits", "60")
    async with Producer(running.settings, client_id="tests") as producer:
        await producer.publish([Message(USAGE, "acct-1", b"no JSON", headers=[])])

    await until(lambda: value(meter, "metering_rejections_total", reason="not_json") == 1, timeout_s=WAIT_S)
    await until(lambda: value(notifier, "metering_emails_total", outcome="accepted") == 1, timeout_s=WAIT_S)
    console = running.processes.start("projections", "console", console_port="0")
    for service in (meter, projections, notifier, console):
        assert [fault for family in read(service).values() for fault in faults(family)] == []
        assert value(service, "metering_build_info") == 1
        assert value(service, "metering_ready", dependency="postgres") == 1
        opened = value(service, "metering_postgres_connections", state="open")
        limit = value(service, "metering_postgres_connections_limit")
        assert opened is not None and limit is not None and 1 <= opened <= limit

    for service, stage, least in (
        (meter, "stored", 4), (projections, "balance", 2), (notifier, "notice", 2), (notifier, "letter", 1),
    ):  # fmt: skip
        count = value(service, "metering_latency_seconds_count", stage=stage)
        total = value(service, "metering_latency_seconds_sum", stage=stage)
        assert count is not None and total is not None and count >= least, stage
        assert 0 < total < WAIT_S * count, stage

    assert value(meter, "metering_rejections_total", reason=Reason.TOO_LARGE.value) == 0
    assert value(meter, "metering_records_total", outcome="duplicate") == 0
    assert value(notifier, "metering_emails_total", outcome="refused") == 0
    assert value(meter, "metering_lag_records", shard="0") == 0
    assert value(projections, "metering_fold_lag_events", work="balance-fold", shard="0") == 0
    assert value(meter, "metering_emails_total", outcome="accepted") is None
    for service, outbox in (meter, "meter"), (projections, "projections"), (notifier, "notifier"):
        assert value(service, "metering_outbox_age_seconds", outbox=f"{outbox}-outbox") == 0
