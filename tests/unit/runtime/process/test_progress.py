"""The line of progress: what was done since the line before, and none while nothing is done."""

import asyncio

import structlog

from meter.runtime.process.metrics import Metrics, begin
from meter.runtime.process.progress import Progress, report_progress
from tests.support.waiting import until


def test_a_line_says_what_was_done_since_the_one_before() -> None:
    metrics = Metrics()
    begin(metrics.records, ["stored", "rejected"])
    progress = Progress(metrics)
    assert progress.take() is None
    metrics.records.labels("stored").inc(5)
    metrics.published.labels("metering.balances").inc(2)
    metrics.lag_records.labels(0).set(7)
    metrics.lag_records.labels(1).set(4)
    assert progress.take() == {"records": {"stored": 5}, "published": {"metering.balances": 2}, "lag": 11}
    assert progress.take() is None, "what waits is no progress"
    metrics.records.labels("stored").inc(1)
    metrics.emails.labels("accepted").inc()
    assert progress.take() == {"records": {"stored": 1}, "emails": {"accepted": 1}, "lag": 11}


def test_looking_makes_no_series() -> None:
    metrics = Metrics()
    before = metrics.render()
    Progress(metrics).take()
    assert metrics.render() == before


async def test_what_was_done_last_is_said_at_the_end() -> None:
    metrics, stop = Metrics(), asyncio.Event()
    with structlog.testing.capture_logs() as lines:
        report = asyncio.create_task(report_progress(metrics, stop, pause_s=0.01))
        metrics.records.labels("folded").inc(3)

        async def said() -> bool:
            return len(lines) == 1

        await until(said, 10)
        at_the_end = asyncio.create_task(report_progress(metrics, stop, pause_s=3600))
        await asyncio.sleep(0)
        metrics.records.labels("folded").inc(4)
        stop.set()
        async with asyncio.timeout(10):
            await asyncio.gather(report, at_the_end)
    assert lines[0] == {
        "component": "progress",
        "event": "progress_made",
        "log_level": "info",
        "records": {"folded": 3},
    }
    assert {"folded": 7} in [line["records"] for line in lines]
