"""The producers for threads: many at once, forks, the end of the process."""

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from meter import client_sync
from meter.client import BufferFullError, DeliveryError, InvalidEventError, NotRunningError
from meter.client_sync import SyncAccountsProducer, SyncProducer, SyncUsageProducer
from meter.runtime.errors import SettingsError
from schemas.build import decode_event
from tests.support import until_sync
from tests.unit.meter.scripted_kafka import ScriptedKafka, settings

ROOT = Path(__file__).parents[3]


@pytest.fixture
def usage(kafka: ScriptedKafka) -> Iterator[SyncUsageProducer]:
    with SyncUsageProducer(settings(), source="/tests") as producer:
        yield producer


def ids_of(kafka: ScriptedKafka) -> list[str]:
    return [decode_event(message.value or b"").envelope.id for message in kafka.arrived]


def test_many_threads_send_at_once_and_each_event_arrives_once(usage: SyncUsageProducer, kafka: ScriptedKafka) -> None:
    def send(worker: int) -> list[str]:
        return [usage.tool_run(f"acc-{worker}", tool="search") for _ in range(100)]

    with ThreadPoolExecutor(16) as threads:
        sent = [event_id for ids in threads.map(send, range(16)) for event_id in ids]
    usage.flush()
    assert sorted(ids_of(kafka)) == sorted(sent) and len(set(sent)) == 1600
    for worker in range(16):
        of_one = [decode_event(m.value or b"").envelope.id for m in kafka.arrived if m.key == f"acc-{worker}"]
        assert of_one == [event_id for event_id in sent if event_id in set(of_one)], "in the order of its thread"


def test_what_the_meter_would_reject_is_raised_where_it_was_sent(usage: SyncUsageProducer) -> None:
    with pytest.raises(InvalidEventError, match="decimals"):
        usage.model_inference("acc-1", credits="0.1234567", model="large")


def test_kafka_away(kafka: ScriptedKafka) -> None:
    lost: list[DeliveryError] = []
    kafka.go_away()
    usage = SyncUsageProducer(settings(), source="/tests", max_pending=2, block_s=0.01, on_lost=lost.append)
    ids = [usage.tool_run("acc-1", tool="search") for _ in range(2)]
    until_sync(lambda: kafka.publishes > 0, 30, "it is tried")
    with pytest.raises(BufferFullError, match="kafka is away"):
        usage.tool_run("acc-1", tool="search")
    usage.close(0.01)
    assert [name for error in lost for name in error.event_ids] == ids


def test_closing_in_time_names_what_is_left(kafka: ScriptedKafka) -> None:
    kafka.go_away()
    usage = SyncUsageProducer(settings(), source="/tests")
    usage.tool_run("acc-1", tool="search", event_id="left")
    with pytest.raises(DeliveryError) as caught:
        usage.close(0.02)
    assert caught.value.event_ids == ("left",)
    with pytest.raises(RuntimeError, match="closed"):
        usage.tool_run("acc-1", tool="search")
    usage.close()


def test_threads_that_wait_for_room_wake_when_it_is_closed(kafka: ScriptedKafka) -> None:
    kafka.go_away()
    lost: list[DeliveryError] = []
    usage = SyncUsageProducer(settings(), source="/tests", max_pending=1, block_s=600, on_lost=lost.append)
    usage.tool_run("acc-1", tool="search")
    background = usage._background
    assert background is not None
    with ThreadPoolExecutor(4) as threads:
        waiting = [threads.submit(usage.tool_run, "acc-1", tool="search") for _ in range(4)]
        until_sync(lambda: len(background.producer._delivery._changed._waiters) == 4, 30, "all wait")
        usage.close(0.01)
        errors = [each.exception(timeout=30) for each in waiting]
    assert [type(error) for error in errors] == [NotRunningError] * 4 and len(lost) == 1


def test_whoever_comes_while_it_closes_is_refused(kafka: ScriptedKafka) -> None:
    usage = SyncUsageProducer(settings(), source="/tests")
    usage.tool_run("acc-1", tool="search")
    background = usage._background
    assert background is not None
    usage.close()
    with pytest.raises(NotRunningError, match="is closed: make a new one"):
        background.run(background.producer.flush())


def test_on_lost_that_sends_is_refused_and_stops_nothing(
    kafka: ScriptedKafka, caplog: pytest.LogCaptureFixture
) -> None:
    """It is called in the thread that it would wait for."""

    def send_again(error: DeliveryError) -> None:
        for event_id in error.event_ids:
            producers[0].tool_run("acc-1", tool="search", event_id=event_id)

    kafka.go_away()
    usage = SyncUsageProducer(settings(), source="/tests", delivery_timeout_s=0.01, on_lost=send_again)
    producers = [usage]
    usage.tool_run("acc-1", tool="search")
    until_sync(lambda: "call send_again(error) from another thread" in caplog.text, 30, "it is told")
    kafka.come_back()
    usage.tool_run("acc-1", tool="search", event_id="next")
    usage.close()
    assert ids_of(kafka) == ["next"]


@pytest.mark.parametrize("raised", [LookupError, KeyboardInterrupt])
def test_an_exception_in_the_block_ends_it_in_a_moment(
    kafka: ScriptedKafka, monkeypatch: pytest.MonkeyPatch, raised: type[BaseException]
) -> None:
    monkeypatch.setattr(client_sync, "ABORT_S", 0.01)
    kafka.go_away()
    lost: list[DeliveryError] = []
    waited: list[float | None] = []
    close = SyncUsageProducer.close

    def note(self: SyncUsageProducer, timeout_s: float | None = client_sync.CLOSE_S) -> None:
        waited.append(timeout_s)
        close(self, timeout_s)

    monkeypatch.setattr(SyncUsageProducer, "close", note)
    with pytest.raises(raised), SyncUsageProducer(settings(), source="/tests", on_lost=lost.append) as usage:
        usage.tool_run("acc-1", tool="search", event_id="left")
        raise raised
    assert [error.event_ids for error in lost] == [("left",)] and waited == [0.01]


def test_an_exception_in_the_block_is_not_covered_up_by_what_is_lost(
    kafka: ScriptedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_sync, "ABORT_S", 0.01)
    kafka.go_away()
    with pytest.raises(LookupError), SyncUsageProducer(settings(), source="/tests") as usage:
        usage.tool_run("acc-1", tool="search")
        raise LookupError


def test_bounds_that_take_no_event_show_at_once() -> None:
    with pytest.raises(ValueError, match="max_pending=0"):
        SyncUsageProducer(settings(), source="/tests", max_pending=0)


def test_wrong_settings_show_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METERING_KAFKA_SECURITY_PROTOCOL", "TLS")
    with pytest.raises(SettingsError, match="METERING_KAFKA_SECURITY_PROTOCOL"):
        SyncUsageProducer(source="/tests")


@pytest.mark.parametrize("kind", [SyncUsageProducer, SyncAccountsProducer])
def test_it_has_every_method_that_sends(kind: type[SyncProducer[object]]) -> None:  # type: ignore[type-var]
    inner = kind.kind
    own = {"close", "flush", "enqueue"}  # these two have forms of their own; events go through the others
    wanted = {name for name in dir(inner) if not name.startswith("_") and callable(getattr(inner, name))} - own
    assert [name for name in wanted if not hasattr(kind, name)] == []


PREAMBLE = """
import os, sys, time
from meter import delivery
from meter.client_sync import SyncUsageProducer
from meter.runtime.kafka import Landed
from meter.runtime.settings import Settings

class Kafka:
    async def start(self): ...
    async def stop(self): ...
    async def place(self, messages): return [0 for _ in messages]
    async def publish_each(self, messages, on_landed):
        with open(sys.argv[1], "ab") as file:
            for message in messages:
                file.write(f"{os.getpid()} {message.key}\\n".encode())
        for number in range(len(messages)):
            on_landed(number, Landed(0, 0))
        return [Landed(0, 0) for _ in messages]

delivery.Producer = lambda settings, client_id: Kafka()
usage = SyncUsageProducer(Settings(), source="/tests")
"""


def run_program(program: str, file: Path) -> list[list[str]]:
    text = PREAMBLE + textwrap.dedent(program)
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", text, str(file)],
        cwd=ROOT, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return [line.split() for line in file.read_text().splitlines()]


@pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")
def test_a_forked_child_has_a_thread_of_its_own_and_nothing_of_its_parent(tmp_path: Path) -> None:
    """As in Celery and gunicorn: the parent has sent, and children go on with the same object."""
    program = """
        usage.tool_run("parent-before", tool="search")
        children = []
        for n in range(3):
            if (pid := os.fork()) == 0:
                usage.tool_run(f"child-{n}", tool="search")
                usage.close()
                os._exit(0)
            children.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
        usage.tool_run("parent-after", tool="search")
        usage.close()
    """
    lines = run_program(program, tmp_path / "arrived")
    by_key = {key: pid for pid, key in lines}
    assert sorted(key for _, key in lines) == ["child-0", "child-1", "child-2", "parent-after", "parent-before"]
    assert by_key["parent-before"] == by_key["parent-after"]
    assert len({by_key[f"child-{n}"] for n in range(3)} - {by_key["parent-after"]}) == 3


def test_the_end_of_the_process_flushes(tmp_path: Path) -> None:
    lines = run_program('usage.tool_run("acc-1", tool="search")', tmp_path / "arrived")
    assert [key for _, key in lines] == ["acc-1"]
