"""Spans on their way to a collector that is there, or away; and nothing at all while traces are off."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pytest

from deploy.local.ports import free_port
from meter.runtime.errors import SettingsError
from meter.runtime.settings import Settings
from meter.runtime.tracing import NO_TRACES, Span, TraceParent, open_traces
from tests.support.collector import HOST, collecting
from tests.support.processes import clean_environment

PARENT, OTHER = TraceParent(0xABC, 0x123), TraceParent(0xDEF, 0x456)
CLOSE_TIMEOUT_S = 3
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
PLACE: dict[str, str | int] = {"messaging.kafka.offset": 7}
SPAN = Span("store", PARENT, NOON, NOON + timedelta(seconds=2), "consumer", (OTHER,), PLACE, failed="invalid_data")
LOOK = """
import json, sys
from meter.service import build_meter
from notifier.service import build_notifier
from projections.service import build_projections
from meter.runtime.tracing import open_traces
open_traces("meter", sys.argv[1] if len(sys.argv) > 1 else None, None).close()
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""

FILL = """
import sys, time
from datetime import UTC, datetime
from meter.runtime.tracing import Span, TraceParent, open_traces
now = datetime.now(UTC)
traces = open_traces("meter", sys.argv[1], None)
for _ in range(3_000):  # more than may wait
    traces.record(Span("store", TraceParent(0xABC, 0x123), now, now, "consumer"))
started = time.monotonic()
traces.close()
print(time.monotonic() - started)
"""


def test_a_span_arrives_as_a_child_of_the_producers() -> None:
    with collecting() as collector:
        traces = open_traces("meter", f"{collector.endpoint}/v1/traces", None)
        traces.record(SPAN)
        traces.close()
    [(service, span)] = collector.spans
    assert service == "credit-meter" and span.name == "store"
    assert (span.trace_id.hex(), span.parent_span_id.hex()) == (PARENT.trace, f"{PARENT.span_id:016x}")
    assert [link.trace_id.hex() for link in span.links] == [OTHER.trace]
    assert span.end_time_unix_nano - span.start_time_unix_nano == 2 * 10**9
    assert {a.key: a.value.int_value for a in span.attributes} == PLACE
    assert span.status.message == "invalid_data"


def test_a_collector_that_is_away_holds_up_nothing() -> None:
    """In a process of its own: threads of the exporter try again for a while behind it."""
    endpoint = f"http://{HOST}:{free_port(HOST)}/v1/traces"
    command = [sys.executable, "-c", FILL, endpoint]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=True)
    assert float(done.stdout.splitlines()[-1]) < 3 * CLOSE_TIMEOUT_S


@pytest.mark.parametrize("arguments", [[], [f"http://{HOST}:1/v1/traces"]])
def test_nothing_is_loaded_while_traces_are_off(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOOK, *arguments], env=clean_environment(), capture_output=True, text=True, check=True
    )
    assert ("opentelemetry" in json.loads(done.stdout.splitlines()[-1])) is bool(arguments)
    assert open_traces("meter", None, None) is NO_TRACES


def test_without_the_packages_a_sentence_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "meter.runtime.tracing.otlp", raising=False)
    monkeypatch.setitem(sys.modules, "opentelemetry.context", None)
    with pytest.raises(SettingsError, match=r"pip install 'credit-meter\[traces\]'"):
        open_traces("meter", f"http://{HOST}:1", None)


@pytest.mark.parametrize(
    ("given", "endpoint"),
    [
        ("http://localhost:4318", "http://localhost:4318/v1/traces"),
        ("https://collector.example.com:4318/", "https://collector.example.com:4318/v1/traces"),
        ("https://collector.example.com/other/path", "https://collector.example.com/other/path"),
    ],
)
def test_an_address_gets_the_path_that_collectors_listen_at(given: str, endpoint: str) -> None:
    assert Settings(traces_endpoint=given).traces_endpoint == endpoint


def test_spans_travel_in_clear_only_where_a_setting_says_so() -> None:
    address = "http://collector.example.com:4318"
    with pytest.raises(ValueError, match="without TLS"):
        Settings(traces_endpoint=address)
    allowed = Settings(traces_endpoint=address, plaintext_hosts="collector.example.com")
    assert allowed.without_tls()["traces"] == f"{address}/v1/traces"
    assert "traces" not in Settings(traces_endpoint="http://localhost:4318").without_tls()
