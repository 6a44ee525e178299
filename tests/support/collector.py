"""A collector of traces: takes what comes over OTLP (HTTP, protobuf), and keeps it."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

HOST = "127.0.0.1"


class Collector:
    """`spans` in the order of their arrival, with the service that sent each."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Any]] = []
        self.endpoint = ""

    def take(self, body: bytes) -> None:
        for found in ExportTraceServiceRequest.FromString(body).resource_spans:
            names = {a.key: a.value.string_value for a in found.resource.attributes}
            self.spans += [(names["service.name"], span) for scope in found.scope_spans for span in scope.spans]

    def of_trace(self, trace_id: str) -> dict[str, Any]:
        """By name of the span."""
        return {span.name: span for _service, span in self.spans if span.trace_id.hex() == trace_id}


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # the library's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer((HOST, 0), Handler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    collector.endpoint = f"http://{HOST}:{server.server_port}"
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        serving.join()
