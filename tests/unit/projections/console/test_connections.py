"""Who keeps the console waiting for a request is cut off; who has asked is answered."""

import contextlib
import resource
import time

import pytest

from projections.console.connections import most_waiting
from tests.support.waiting import until
from tests.unit.projections.console.served import ASK, MOST, REQUEST_S, Served


@pytest.mark.parametrize("sent", [b"", ASK[:10], ASK, ASK + ASK[:10]], ids=["idle", "half", "answered", "half again"])
async def test_who_sends_no_whole_request_is_cut_off(served: Served, sent: bytes) -> None:
    client = served.connect()
    client.send(sent)
    assert await client.is_cut()
    await until(lambda: served.connections == 0)


async def test_bytes_that_make_no_request_do_not_prolong_the_time(served: Served) -> None:
    client, begun = served.connect(), time.monotonic()
    await until(lambda: served.connections == 1)

    def send_one_more() -> bool:
        with contextlib.suppress(ConnectionError):
            client.send(b"G")
        return served.connections == 0

    await until(send_one_more, 10 * REQUEST_S, "it is cut off", poll_s=REQUEST_S / 10)
    assert time.monotonic() - begun >= REQUEST_S / 2


POST = b"POST /small HTTP/1.1\r\nHost: credits.example.com\r\n"
ENDLESS = {
    "too short": POST + b"Content-Length: 100000\r\n\r\ntoken=",
    "in chunks": POST + b"Transfer-Encoding: chunked\r\n\r\n1\r\nt\r\n",
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_a_body_without_end_is_cut_off(served: Served, kind: str) -> None:
    client, begun = served.connect(), time.monotonic()
    client.send(ENDLESS[kind])
    await until(lambda: served.server.server_state.tasks, message="it is being read")
    drip = b"1\r\nx\r\n" if kind == "in chunks" else b"x"

    def send_one_more() -> bool:
        with contextlib.suppress(ConnectionError):
            client.send(drip)
        return served.connections == 0

    await until(send_one_more, 10 * REQUEST_S, "it is cut off", poll_s=REQUEST_S / 10)
    assert time.monotonic() - begun >= REQUEST_S / 2, "who sends a body has its time"
    await until(lambda: not served.server.server_state.tasks, message="nobody reads it any more")


async def test_a_body_that_comes_slowly_and_ends_is_answered(patient: Served) -> None:
    client = patient.connect()
    client.send(POST + b"Content-Length: 2\r\n\r\na")
    await until(lambda: patient.server.server_state.tasks, message="it is being read")
    client.send(b"b")
    await client.take_answer()


async def test_who_asks_again_has_all_the_time_again(patient: Served) -> None:
    client = patient.connect()
    ends = []
    for _ in range(3):
        client.send(ASK)
        await client.take_answer()
        [connection] = patient.server.server_state.connections
        ends.append(vars(connection)["_timer"].when())
    assert ends == sorted(set(ends)), "when it will be cut off"


async def test_of_too_many_the_oldest_is_cut_off(patient: Served) -> None:
    oldest, *others = [patient.connect() for _ in range(MOST + 1)]
    assert await oldest.is_cut(), "before its time"
    others[-1].send(ASK)
    await others[-1].take_answer()


def test_as_many_wait_as_there_are_live_pages_where_files_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart all pages come at once, and nobody's is cut off."""
    for soft, most in ((1_024, 256), (8_192, 2_048), (resource.RLIM_INFINITY, 2_048)):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, resource.RLIM_INFINITY))
        assert most_waiting() == most
