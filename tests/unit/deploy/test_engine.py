"""Whether a Docker engine answers is found out without leaving anything open; one without images is passed over."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local import containers, engine_probe
from deploy.local.child import UnavailableError
from deploy.local.ports import free_port


class EngineWithoutImages(BaseHTTPRequestHandler):
    """Says that it is a Docker engine, has no image and cannot pull one."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/_ping":
            return self.answer(200, b"OK", "text/plain")
        if self.path.endswith("/version"):
            return self.answer(200, json.dumps({"ApiVersion": "1.45", "Version": "27.0"}).encode())
        if self.path.endswith("/info"):
            return self.answer(200, b"{}")
        return self.answer(404, b'{"message": "no such image"}')

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.answer(500, b'{"message": "the registry is out of reach"}')

    def answer(self, status: int, body: bytes, kind: str = "application/json") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@contextmanager
def serving() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), EngineWithoutImages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"tcp://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with serving() as address:
        monkeypatch.setenv("DOCKER_HOST", address)
        containers.engine_host.cache_clear()
        yield
        containers.engine_host.cache_clear()


@pytest.mark.usefixtures("engine")
def test_an_engine_that_answers_is_found() -> None:
    assert engine_probe.answers()


@pytest.mark.usefixtures("engine")
@pytest.mark.parametrize("kind", [containers.KafkaInContainer, containers.PostgresInContainer])
def test_an_engine_that_cannot_pull_is_a_reason_and_no_crash(
    kind: type[containers.KafkaInContainer] | type[containers.PostgresInContainer],
) -> None:
    server = kind()
    try:
        with pytest.raises(UnavailableError, match="out of reach"):
            server.start()
    finally:
        server.close()


@pytest.mark.parametrize("address", ["unix://{tmp}/none.sock", "tcp://127.0.0.1:{port}"])
def test_no_engine_is_found_where_none_listens(address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DOCKER_HOST", address.format(tmp=tmp_path, port=free_port()))
    assert not engine_probe.answers()
