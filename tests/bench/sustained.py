"""The rate that everything running together sustains: a producer that sends as fast as the services follow, and these.

Levels of load are fractions of it. The producer never is more than WINDOW records ahead of the event store, nor more
than USAGE_WINDOW ahead of usage, so what is measured is a steady state and no backlog: nobody sustains a rate at which
usage falls behind more and more. A run ends when all of it is folded into balances and into usage, and every notice is
there that follows from it.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import Connection

from tests.bench.check import check_notices, check_usage
from tests.bench.databases import connect, read_whole_progress
from tests.bench.latency import SERVICES, now, wait_for_notifier
from tests.bench.load import Sink
from tests.bench.notices import expected_notices
from tests.bench.paced import LINGER_MS, TICK_S, prepared
from tests.bench.scenario import Scenario
from tests.bench.services import run_services
from tests.bench.throughput import check_running, mail_sink, see
from tests.bench.timing import Clock, Run, Seen, time_run
from tests.bench.workload import Expected, Generator, Workload

WINDOW = 50_000  # about a second of records under way
USAGE_WINDOW = 200_000  # usage rests for up to three seconds where much comes (projections/pace.py)
SEED = 900


@dataclass(frozen=True, slots=True)
class FollowedLoad:
    """A process that sends; `allow` says how many records it may have sent by now: `taken` are those that were taken
    since it began, `unused` the events that are not in usage yet."""

    pipe: Connection
    records: int
    expected: Expected

    def allow(self, taken: int, unused: int) -> None:
        self.pipe.send(min(taken + max(min(WINDOW, USAGE_WINDOW - unused), 0), self.records))


async def measure_sustained(scenario: Scenario, records: int, number: int = 0) -> Run:
    """On the scenario's template itself: what it stores stays there, as a history before the next run (`number` tells
    their events apart) and before the levels, and is added to what the scenario expects."""
    dsn = scenario.bench.databases.address(scenario.template)
    with mail_sink() as smtp, run_services(SERVICES, scenario.settings(dsn) | smtp, scenario.bench.logs) as running:
        pids = {name: service.pid for name, service in running.items()} | scenario.bench.servers.pids()
        async with connect(dsn) as connection:
            await wait_for_notifier(connection, scenario.opened)
            before = await read_whole_progress(connection)
            with follow(scenario, records, SEED + number) as load:
                scenario.expected.add(load.expected)
                notices = len(expected_notices(scenario.expected))

                async def look() -> Seen:
                    whole = await read_whole_progress(connection)
                    load.allow(whole.taken - before.taken, whole.stored - whole.used)
                    return see(whole, notices)

                began = Clock(time.perf_counter(), before.taken)
                run = await time_run(began, before.taken + records, look, pids, lambda: check_running(running))
            await check_usage(connection, scenario.expected)
            await check_notices(connection, scenario.expected)
            return run


@contextmanager
def follow(scenario: Scenario, records: int, seed: int) -> Iterator[FollowedLoad]:
    """Yield once the events are made; nothing is sent before it is allowed."""
    workload = Workload(records, scenario.accounts, seed=seed, start=now(), span=timedelta(seconds=records / WINDOW))
    bootstrap = scenario.bench.servers.kafka.bootstrap
    with prepared(send_followed, bootstrap, scenario.usage_topic, workload) as pipe:
        yield FollowedLoad(pipe, records, pipe.recv())


def send_followed(pipe: Connection, bootstrap: str, topic: str, workload: Workload) -> None:
    generator = Generator(workload)
    messages = [message for chunk in generator.chunks() for message in chunk]
    sink = Sink(bootstrap, topic, **{"linger.ms": LINGER_MS})
    pipe.send(True)
    pipe.send(generator.expected)
    sent, allowed = 0, 0
    while sent < len(messages):
        while pipe.poll(TICK_S if sent == allowed else 0):
            allowed = pipe.recv()
        for key, value in messages[sent:allowed]:
            sink.send(key, value)
        sent = max(sent, allowed)
        sink.serve()
    sink.flush()
    pipe.poll(None)  # until the one who allows has seen all of it taken, and ends this process
