"""Readiness, the watchdogs' arithmetic, and the three pages."""

import asyncio
import contextlib
import json
import socket
import threading
import time

import pytest

from meter.runtime.errors import RefusalError
from meter.runtime.process import health as health_module
from meter.runtime.process.health import MOST_CONNECTIONS, REQUEST_TIMEOUT_S, Health, HealthServer
from meter.runtime.process.watchdog import LoopWatch, watch_progress
from tests.support.waiting import GIVEN_UP_S, until
from tests.support.working_time import within


async def get(port: int, path: str, method: str = "GET") -> tuple[int, str]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    answer = (await reader.read()).decode()
    writer.close()
    await writer.wait_closed()
    head, _, body = answer.partition("\r\n\r\n")
    return int(head.split(" ")[1]), body


def test_not_ready_until_everything_is() -> None:
    health = Health()
    assert not health.ready
    health.set_opened()
    assert health.ready
    health.set_ready("kafka", False)
    assert not health.ready
    health.set_opened()
    assert health.ready


def test_what_does_not_answer_is_not_ready_and_what_answers_is_not_yet_opened() -> None:
    health = Health()
    health.set_reachable("kafka", True)
    assert not health.ready
    health.set_ready("kafka", True)
    health.set_reachable("kafka", False)
    assert not health.ready
    health.set_opened()
    assert not health.ready, "the loops may not have noticed"
    assert health.metrics.registry.get_sample_value("metering_ready", {"dependency": "kafka"}) == 0
    health.set_reachable("kafka", True)
    assert health.ready
    assert health.metrics.registry.get_sample_value("metering_ready", {"dependency": "kafka"}) == 1


def test_what_no_probe_asks_says_why_it_is_not_ready() -> None:
    health = Health()
    health.set_ready("smtp", True)
    health.set_ready("smtp", False, detail="connect: refused")
    assert health.report()["details"] == {"smtp": {"detail": "connect: refused"}}
    health.set_ready("smtp", True)
    assert health.report()["details"] == {}


def test_what_a_probe_found_stays_while_it_is_opened() -> None:
    health = Health()
    health.set_reachable("kafka", False, detail="no broker")
    health.set_ready("kafka", False)
    assert health.report()["details"] == {"kafka": {"detail": "no broker"}}


async def test_a_port_that_is_taken_is_no_lost_dependency() -> None:
    async with HealthServer(Health(), "127.0.0.1", 0) as first:
        with pytest.raises(RefusalError, match=f"127.0.0.1:{first.port}: .*METERING_HTTP_PORT"):
            async with HealthServer(Health(), "127.0.0.1", first.port):
                pass


def test_waiting_work_without_progress_is_stalled() -> None:
    health = Health()
    health.watch("store", lambda: 5)
    assert health.find_stalled(30, 60) == []
    assert health.find_stalled(30, 60) == ["store"]


def test_progress_and_idleness_start_the_count_again() -> None:
    waiting = 5
    health = Health()
    health.watch("store", lambda: waiting)
    health.find_stalled(50, 60)
    health.mark_progress("store")
    assert health.find_stalled(50, 60) == []
    waiting = 0
    assert health.find_stalled(50, 60) == []
    waiting = 1
    assert health.find_stalled(50, 60) == []
    assert health.find_stalled(50, 60) == ["store"]


def test_progress_of_one_does_not_hide_the_stall_of_another() -> None:
    health = Health()
    health.watch("fold", lambda: 1)
    health.watch("outbox", lambda: 1)
    health.mark_progress("fold")
    assert health.find_stalled(60, 60) == ["outbox"]


def test_nothing_is_watched_between_attempts() -> None:
    health = Health()
    health.watch("store", lambda: 1)
    health.forget_work()
    assert health.find_stalled(100, 60) == []


async def test_watchdog_ends_the_process_on_a_stall() -> None:
    health = Health()
    health.watch("store", lambda: 1)
    ended = []
    async with asyncio.timeout(30):
        await watch_progress(health, 0.05, lambda: ended.append(True))
    assert ended == [True]


async def test_a_blocked_loop_ends_the_process() -> None:
    ended = threading.Event()
    with LoopWatch(0.2, ended.set):
        deadline = time.monotonic() + 10
        while not ended.is_set() and time.monotonic() < deadline:
            ended.wait(0.1)  # blocks the loop, which is the point
    assert ended.is_set()


async def test_a_turning_loop_is_left_alone() -> None:
    ended = threading.Event()
    with LoopWatch(0.3, ended.set):
        assert not await asyncio.to_thread(ended.wait, 1)


async def test_pages() -> None:
    health = Health()
    async with HealthServer(health, "127.0.0.1", 0) as server:
        assert await get(server.port, "/healthz") == (200, '{"alive":true}')
        assert (await get(server.port, "/readyz"))[0] == 503
        health.set_opened()
        health.watch("store", lambda: 7)
        status, body = await get(server.port, "/readyz?verbose=1")
        assert status == 200
        assert json.loads(body) == {
            "ready": True,
            "dependencies": {"service": True},
            "details": {},
            "faults": {},
            "waiting": {"store": 7},
        }
        health.metrics.records.labels("stored").inc(3)
        status, body = await get(server.port, "/metrics")
        assert 'metering_records_total{outcome="stored"} 3.0' in body
        assert 'metering_waiting{work="store"} 7.0' in body
        assert (await get(server.port, "/else"))[0] == 404
        assert (await get(server.port, "/healthz", "POST"))[0] == 405


async def test_connections_that_ask_nothing_keep_nobody_from_asking() -> None:
    async with HealthServer(Health(), "127.0.0.1", 0) as server:
        with within(REQUEST_TIMEOUT_S - 1):
            async with asyncio.timeout(GIVEN_UP_S):
                idle = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(MOST_CONNECTIONS + 1)]
                first, *others = idle
                assert await first[0].read() == b"", "the oldest is cut off"
                assert (await get(server.port, "/healthz"))[0] == 200
                assert await others[0][0].read() == b"", "the next one made room for the question"
                assert not others[-1][0].at_eof(), "the newest are left"
        for _, writer in idle:
            writer.close()


@pytest.mark.parametrize("asked", [b"", b"GET /healthz HT"], ids=["nothing", "half"])
def test_an_open_connection_neither_delays_the_end_nor_is_cancelled_in_words(
    asked: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    with contextlib.ExitStack() as clients:

        async def hold_open() -> None:
            async with contextlib.AsyncExitStack() as serving:
                server = await serving.enter_async_context(HealthServer(Health(), "127.0.0.1", 0))
                for _ in range(MOST_CONNECTIONS // 2):
                    client = clients.enter_context(socket.create_connection(("127.0.0.1", server.port)))
                    client.sendall(asked)
                assert (await get(server.port, "/healthz"))[0] == 200, "the others were accepted before"
                with within(REQUEST_TIMEOUT_S / 2):
                    async with asyncio.timeout(GIVEN_UP_S):
                        await serving.aclose()

        asyncio.run(hold_open())
    assert caplog.records == [], "asyncio reports what it had to cancel"


async def read_all(client: socket.socket) -> int:
    """Bytes, until the other side ends or breaks the connection."""
    loop, total = asyncio.get_running_loop(), 0
    with contextlib.suppress(ConnectionError):
        while data := await loop.sock_recv(client, 65_536):
            total += len(data)
    return total


async def test_who_does_not_read_the_answer_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_module, "REQUEST_TIMEOUT_S", 0.2)
    health = Health()
    async with HealthServer(health, "127.0.0.1", 0) as server:
        large = b"x" * 16_000_000  # more than the system takes for a client
        monkeypatch.setattr(health.metrics, "render", lambda: large)
        with socket.create_connection(("127.0.0.1", server.port)) as client:
            client.sendall(b"GET /metrics HTTP/1.1\r\n\r\n")
            await until(lambda: server._open, message="it is being answered")
            await until(lambda: not server._open, message="its time is over")
            client.setblocking(False)
            assert await read_all(client) < len(large), "what was not taken by then does not come any more"


def test_time_that_is_excused_is_no_stall_and_shows_all_the_same() -> None:
    health = Health()
    health.watch("store", lambda: 1)
    assert health.find_stalled(600, 60, excused=True) == []
    with health.seen_through(500):
        assert health.find_stalled(1, 60) == []
        assert health.find_stalled(599, 60) == []
    assert health.metrics.registry.get_sample_value("metering_idle_seconds", {"work": "store"}) == 1200
    assert health.find_stalled(58, 60) == [], "it has the whole time again, when that is over"
    assert health.find_stalled(1, 60) == ["store"]


def test_what_is_seen_through_is_an_excuse_for_as_long_as_it_said() -> None:
    health = Health()
    health.watch("store", lambda: 1)
    with health.seen_through(100):
        stalled = [health.find_stalled(20, 60) for _ in range(7)]
    assert stalled == [[]] * 6 + [["store"]]


def test_short_work_that_goes_on_beside_is_no_excuse() -> None:
    """Under steady mailing some letter's end is being recorded at every tick, each another one."""
    health = Health()
    health.watch("store", lambda: 1)
    stalled: list[str] = []
    for _ in range(6):
        with health.seen_through(100):
            stalled = health.find_stalled(10, 60)
    assert stalled == ["store"]


async def test_the_watchdog_asks_at_each_tick_whether_time_is_excused() -> None:
    health = Health()
    health.watch("store", lambda: 1)
    excuses = iter([True] * 20)
    asked = 0

    def excused() -> bool:
        nonlocal asked
        asked += 1
        return next(excuses, False)

    async with asyncio.timeout(30):
        await watch_progress(health, 0.05, lambda: None, excused)
    assert asked == 24
