"""What deploy/OPERATING.md says of traces: how to find one, and what they cost."""

import json
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import structlog

from meter.runtime.tracing import SPANS_TOGETHER, Span, TraceParent, open_traces
from meter.runtime.tracing.otlp import MOST_WAITING
from meter.tracing import LOGGED as LOGGED_REFUSED
from notifier.tracing import LOGGED as LOGGED_NOTICES
from tests.architecture.sources import ROOT
from tests.support.collector import collecting
from tests.support.guides import fences
from tests.support.processes import clean_environment

SECTION = (ROOT / "deploy/OPERATING.md").read_text(encoding="utf-8").split("\n## Traces\n")[1]
FIGURES = dict(re.findall(r"^\| ([a-zCP][^|]+) \| ([^|]+) \|$", SECTION, re.MULTILINE))
SPANS = 1_500  # all of them may wait
ROUNDS = 5
TIMES = 2  # what a busy machine may add to the figure
COMPOSE = r"docker compose -f deploy/compose.yaml logs --no-log-prefix(?: (\w+))?"
TRACE, OTHER = "4bf92f3577b34da6a3ce929d0e0e4736", "0af7651916cd43dd8448eb211c80319c"
# Fields as tests/e2e/test_traces.py finds them in the logs of the services.
LINES: dict[str, list[dict[str, object]]] = {
    "meter": [{"event": "records_refused", "trace_ids": [OTHER]}, {"event": "progress_made"}],
    "notifier": [
        {"event": "changes_noticed", "trace_ids": [OTHER, TRACE]},
        {"event": "email_accepted", "account_id": "acct-1", "trace_id": TRACE},
        {"event": "email_accepted", "account_id": "acct-2", "trace_id": OTHER},
        {"event": "email_accepted", "account_id": "acct-3"},
    ],
}
MEMORY = """
import sys, psutil
from meter.runtime.tracing import open_traces
import meter.service
open_traces("meter", sys.argv[1] if len(sys.argv) > 1 else None, None)
print(psutil.Process().memory_info().rss / 1e6)
"""


def test_the_bounds_are_those_of_the_code() -> None:
    assert FIGURES["spans of a transaction, at most"] == str(SPANS_TOGETHER)
    assert FIGURES["spans that wait for a collector that is away, at most"].startswith(f"{MOST_WAITING:,};")
    assert LOGGED_REFUSED == LOGGED_NOTICES == 8 and "the first eight of their traces" in SECTION


def memory_mb(*arguments: str) -> float:
    command = [sys.executable, "-c", MEMORY, *arguments]
    done = subprocess.run(command, env=clean_environment(), cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout)


def test_the_memory_is_what_it_says() -> None:
    said_mb = float(FIGURES["memory, with the setting"].removesuffix(" MB"))
    with collecting() as collector:
        more_mb = memory_mb(f"{collector.endpoint}/v1/traces") - memory_mb()
    assert said_mb / TIMES < more_mb < said_mb * TIMES


def test_a_span_costs_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    """The collector in this process is part of it. The least of several: what else the machine does only adds to it."""
    monkeypatch.setattr("meter.runtime.tracing.otlp.CLOSE_TIMEOUT_S", 60)
    said_ms = float(FIGURES["CPU of a span, with the sending of it"].removesuffix(" ms"))
    assert min(spend_on_spans() for _ in range(ROUNDS)) * 1000 / SPANS < said_ms * TIMES


def spend_on_spans() -> float:
    """Seconds of CPU."""
    now = datetime.now(UTC)
    with collecting() as collector:
        traces = open_traces("meter", f"{collector.endpoint}/v1/traces", None)
        begun = time.process_time()
        for _ in range(SPANS):
            traces.record(Span("store", TraceParent(0xABC, 0x123), now, now, "consumer"))
        traces.close()
        took_s = time.process_time() - begun
    assert len(collector.spans) == SPANS
    return took_s


def test_the_commands_find_traces_and_lines(tmp_path: Path) -> None:
    [block] = (text for language, text in fences(SECTION) if language == "sh")
    by_trace, of_letters = (line for line in block.splitlines() if line)
    found = [json.loads(line) for line in in_logs(by_trace, tmp_path).splitlines()]
    assert found == LINES["notifier"][:2]
    assert in_logs(of_letters, tmp_path) == f'"trace_id": "{TRACE}"\n'


def in_logs(command: str, folder: Path) -> str:
    """As where the containers of the guide run: their logs are files here."""
    for service, lines in LINES.items():
        render = structlog.processors.JSONRenderer()
        text = "".join(f"{render(None, 'info', dict(line))!s}\n" for line in lines)
        (folder / f"{service}.log").write_text(text)
    here, count = re.subn(COMPOSE, lambda found: f"cat {found[1] or '*'}.log", command)
    done = subprocess.run(["sh", "-euc", here], cwd=folder, capture_output=True, text=True, check=True)
    assert count == 1
    return done.stdout
