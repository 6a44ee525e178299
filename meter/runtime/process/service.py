"""The life of a service: start, reconnect, drain on SIGTERM, and exit when it can no longer be trusted.

`run_service` is the outer part of the three services. The inner part, `build(health)`, is an async context manager
that opens what the service needs and yields its loops. When a dependency fails, `run_service` leaves it and enters it
again after a growing pause. Only what Postgres stores survives from one attempt to the next, so each attempt starts
from the truth.
"""

import asyncio
import gc
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import structlog

from meter.runtime.errors import TransientError
from meter.runtime.failures import explain, explain_access, is_access_refused, is_transient, name_dependency
from meter.runtime.postgres import COMMITS
from meter.runtime.process.exits import Exit
from meter.runtime.process.health import Health, HealthServer
from meter.runtime.process.probes import Probe, watch_reachable
from meter.runtime.process.progress import report_progress
from meter.runtime.process.refusals import refused_service
from meter.runtime.process.verb_roles import find_service_role
from meter.runtime.process.watchdog import LoopWatch, watch_progress
from meter.runtime.settings import Settings
from meter.runtime.tracing import open_traces
from meter.runtime.waiting import TICKS, pauses, run_until, wait_for
from schemas.compiled import NATIVE

log = structlog.get_logger(component="service")


class Service(Protocol):
    """One loop of a process. `run` returns soon after `stop` is set; its batch is then either stored or not begun."""

    name: str

    async def run(self, stop: asyncio.Event) -> None: ...


Build = Callable[[Health], AbstractAsyncContextManager[Sequence[Service]]]


async def run_service(
    name: str, settings: Settings, build: Build, *, health: Health | None = None, probes: Sequence[Probe] = ()
) -> Exit:
    """Run until SIGTERM or SIGINT (→ Exit.OK), a fault of the settings (→ Exit.USAGE), a refusal or a bug
    (→ Exit.FAILED). A login or a right that is refused is tried again, for it may be given.

    The process ends at once and without clean-up on a stall (Exit.STALLED) and when draining takes longer than
    `grace_s` (Exit.GRACE_OVER). That is safe: the next process continues from what is committed.
    """
    NATIVE.use(settings.compiled)
    TICKS.spread()
    health = health or Health()
    health.traces = open_traces(name, settings.traces_endpoint, settings.traces_ssl_cafile)
    health.metrics.describe_process(name, settings.stall_s)
    for probe in probes:
        health.expect(probe.name)
    stop = asyncio.Event()
    remove_handlers = handle_signals(stop, settings.grace_s)
    told = asyncio.Event()
    progress = asyncio.create_task(report_progress(health.metrics, told))
    watches = {
        asyncio.create_task(
            watch_progress(health, settings.stall_s, lambda: os._exit(Exit.STALLED), COMMITS.are_waited_for)
        ),
        *(asyncio.create_task(watch_reachable(probe, health)) for probe in probes),
    }
    loop_watch = LoopWatch(settings.stall_s, lambda: os._exit(Exit.STALLED))
    try:
        with loop_watch:
            async with HealthServer(health, settings.http_host, settings.http_port):
                # Objects loaded by now stay for ever: the garbage collector need not look at them again.
                gc.collect()
                gc.freeze()
                log.info("service_started")
                return await run_attempts(name, settings, build, health, stop)
    finally:
        told.set()
        for watch in watches:
            watch.cancel()
        await asyncio.wait({*watches, progress})
        health.traces.close()
        remove_handlers()
        log.info("service_stopped")


def handle_signals(stop: asyncio.Event, grace_s: float) -> Callable[[], None]:
    """SIGTERM and SIGINT drain; a second one, or the end of the grace time, ends the process. Returns the undo."""
    loop = asyncio.get_running_loop()
    timers: list[threading.Timer] = []

    def on_signal() -> None:
        if stop.is_set():
            os._exit(Exit.GRACE_OVER)
        log.info("drain_started", grace_s=grace_s)
        stop.set()
        # In a thread: when draining does not end, the event loop may be blocked.
        timer = threading.Timer(grace_s, os._exit, (Exit.GRACE_OVER,))
        timer.daemon = True
        timer.start()
        timers.append(timer)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal)

    def remove() -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        for timer in timers:
            timer.cancel()

    return remove


async def run_attempts(name: str, settings: Settings, build: Build, health: Health, stop: asyncio.Event) -> Exit:
    steps = fresh_pauses(settings)
    while not stop.is_set():
        marks = health.progress_marks
        try:
            await run_attempt(build, health, stop)
        except Exception as error:
            if health.progress_marks != marks:
                steps = fresh_pauses(settings)
            if not is_transient(error) and not is_access_refused(error):
                return report_end(error, settings, find_service_role(name))
            await wait_out(error, next(steps), health, stop, told_to_mend(error, settings, find_service_role(name)))
    return Exit.OK


def fresh_pauses(settings: Settings) -> Iterator[float]:
    return pauses(settings.retry_first_s, settings.retry_max_s)


def report_end(error: Exception, settings: Settings, needed: str) -> Exit:
    """`needed`: the role of the database that is for this service."""
    if (refused := refused_service(error, settings, needed)) is not None:
        log.error("service_refused", detail=refused.sentence)
        return refused.code
    log.error("service_crashed", exc_info=error)
    return Exit.FAILED


def told_to_mend(error: Exception, settings: Settings, needed: str) -> str | None:
    """Who refuses us what, and what to do; None where nobody refuses us."""
    if not is_access_refused(error):
        return None
    refused = refused_service(error, settings, needed)
    return explain_access(error) if refused is None else refused.sentence


async def wait_out(
    error: Exception, pause_s: float, health: Health, stop: asyncio.Event, refusal: str | None = None
) -> None:
    """Somebody may mend without us what refuses us, as a server that is away may come back: both are tried again, and
    /readyz says why. But a refusal needs a person, so it is an error every time."""
    dependency, detail = name_dependency(error), refusal or explain(error)
    health.set_ready(dependency, False, detail=detail)
    health.metrics.reconnects.labels(dependency).inc()
    about = {"dependency": dependency, "detail": detail, "pause_s": round(pause_s, 2)}
    if refusal is not None:
        log.error("access_refused", **about)
    else:
        log.warning("dependency_unreachable", **about)
    await wait_for(stop, pause_s)


async def run_attempt(build: Build, health: Health, stop: asyncio.Event) -> None:
    """Open, run and close once. A stop cancels the opening; running loops see the stop themselves."""
    opened = asyncio.Event()
    attempt = asyncio.create_task(open_and_run(build, health, stop, opened))
    stopped = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({attempt, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if not attempt.done() and not opened.is_set():
            attempt.cancel()
        await asyncio.wait({attempt})
        if not attempt.cancelled():
            attempt.result()
        elif (
            not stop.is_set()
        ):  # as by a client that gives up on what it was asked: else it is opened again at once, unsaid
            raise TransientError("the opening was cancelled from within")
    finally:
        stopped.cancel()
        if not attempt.done():
            attempt.cancel()
            await asyncio.wait({attempt})
        health.forget_work()


async def open_and_run(build: Build, health: Health, stop: asyncio.Event, opened: asyncio.Event) -> None:
    async with build(health) as services:
        opened.set()
        health.set_opened()
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for service in services:
                group.create_task(run_until(stop, service.name, service.run(stop)), name=service.name)
        log.info("loops_ended", duration_ms=round((time.monotonic() - started) * 1000))
