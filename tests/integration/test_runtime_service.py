"""A service as a real process: draining, deadlines and exit codes."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from meter.runtime.process.exits import Exit
from tests.support import until
from tests.support.processes import clean_environment

# The process under test. Its loop behaves as the first argument says.
PROGRAM = """
import asyncio, time
from contextlib import asynccontextmanager
import typer
from meter.runtime.process.cli import run_service_command
from meter.runtime.errors import TopicIdentityError
from meter.runtime.settings import Settings

app = typer.Typer()

class Loop:
    name = "loop"
    def __init__(self, behaviour):
        self.behaviour = behaviour
    async def run(self, stop):
        behaviour = self.behaviour
        print("running", flush=True)
        if behaviour == "block":
            time.sleep(600)
        if behaviour == "refuse":
            raise TopicIdentityError("the topic was re-created")
        if behaviour == "lose":
            raise ConnectionResetError("gone")
        await stop.wait()
        if behaviour == "linger":
            await asyncio.sleep(600)
        print("drained", flush=True)

@app.command()
def run(behaviour: str):
    def build(settings):
        @asynccontextmanager
        async def opening(health):
            if behaviour == "stall":
                health.watch("store", lambda: 3)
            yield [Loop(behaviour)]
            print("closed", flush=True)
        return opening
    run_service_command("trial", Settings, build)

app()
"""

ENV = {
    "METERING_HTTP_PORT": "0",
    "METERING_HTTP_HOST": "127.0.0.1",
    "METERING_GRACE_S": "20",
    "METERING_STALL_S": "20",
    "METERING_KAFKA_PUBLISH_TIMEOUT_S": "0.1",  # below every time after which these processes end
    "METERING_RETRY_FIRST_S": "0.01",
    "METERING_RETRY_MAX_S": "0.05",
}
STALL_S = "0.5"
DEADLINE_S = 60


class Trial:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.output = ""

    async def wait_for(self, word: str, times: int = 1) -> None:
        assert self.process.stdout is not None
        while self.output.count(word) < times:
            line = await self.process.stdout.readline()
            assert line, f"ended without {word!r}:\n{self.output}"
            self.output += line.decode()

    async def end(self) -> int:
        assert self.process.stdout is not None
        self.output += (await self.process.stdout.read()).decode()
        return await self.process.wait()


@asynccontextmanager
async def trial(behaviour: str, **env: str) -> AsyncIterator[Trial]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, behaviour,
        env=clean_environment() | ENV | env,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    try:
        async with asyncio.timeout(DEADLINE_S):
            yield Trial(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_drains_and_ends_well(number: signal.Signals) -> None:
    async with trial("work") as service:
        await service.wait_for("running")
        service.process.send_signal(number)
        assert await service.end() == Exit.OK
        assert service.output.index("drain_started") < service.output.index("drained") < service.output.index("closed")


async def test_a_loop_that_does_not_drain_is_cut_off_after_the_grace_time() -> None:
    async with trial("linger", METERING_GRACE_S="0.5") as service:
        await service.wait_for("running")
        service.process.send_signal(signal.SIGTERM)
        assert await service.end() == Exit.GRACE_OVER
        assert "drained" not in service.output


async def test_work_that_stands_still_ends_the_process() -> None:
    async with trial("stall", METERING_STALL_S=STALL_S) as service:
        assert await service.end() == Exit.STALLED
        assert "progress_stalled" in service.output


async def test_a_service_whose_outbox_would_be_ended_while_it_waits_does_not_start() -> None:
    async with trial("work", METERING_STALL_S="30", METERING_KAFKA_PUBLISH_TIMEOUT_S="30") as service:
        assert await service.end() == Exit.USAGE
        assert "METERING_KAFKA_PUBLISH_TIMEOUT_S=30 must be below METERING_STALL_S=30" in service.output


async def test_a_blocked_event_loop_ends_the_process() -> None:
    async with trial("block", METERING_STALL_S=STALL_S) as service:
        assert await service.end() == Exit.STALLED
        assert "loop_blocked" in service.output


async def test_a_process_that_was_stopped_for_long_may_go_on() -> None:
    async with trial("work", METERING_STALL_S=STALL_S) as service:
        await service.wait_for("running")
        service.process.send_signal(signal.SIGSTOP)
        stopped = time.monotonic()
        await until(lambda: time.monotonic() - stopped > 3 * float(STALL_S))
        service.process.send_signal(signal.SIGCONT)
        went_on = time.monotonic()
        await until(lambda: time.monotonic() - went_on > 2 * float(STALL_S))  # a watchdog could have ended it
        assert service.process.returncode is None
        service.process.send_signal(signal.SIGTERM)
        assert await service.end() == Exit.OK


async def test_a_refusal_says_why_and_fails() -> None:
    async with trial("refuse") as service:
        assert await service.end() == Exit.FAILED
        assert "service_refused" in service.output
        assert "the topic was re-created" in service.output


async def test_a_lost_dependency_is_tried_again_with_growing_pauses() -> None:
    async with trial("lose") as service:
        await service.wait_for("dependency_unreachable", times=4)
        service.process.send_signal(signal.SIGTERM)
        assert await service.end() == Exit.OK
    lines = [json.loads(line) for line in service.output.splitlines() if line.startswith("{")]
    pauses = [line["pause_s"] for line in lines if line["event"] == "dependency_unreachable"]
    assert pauses[0] < pauses[2]  # of 10 and 40 ms, each shortened by up to half


async def test_unusable_settings_are_a_usage_error() -> None:
    async with trial("work", METERING_PARTITIONS="none", METERING_GRACE_S="-1") as service:
        assert await service.end() == Exit.USAGE
        assert "METERING_PARTITIONS" in service.output
        assert "METERING_GRACE_S" in service.output
        assert "Traceback" not in service.output
