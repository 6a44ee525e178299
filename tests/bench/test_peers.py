"""The peers in other languages build, and count a small backlog right: their results are checked as our own are."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from deploy.local import apache_kafka, postgres
from tests.bench.__main__ import app
from tests.bench.plan import Plan

MISSING = apache_kafka.missing() or postgres.missing()
EVENTS = "3000"


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    if MISSING is not None:
        pytest.skip(f"the benchmark needs its own servers: {MISSING}")
    output: Path = tmp_path_factory.mktemp("bench") / "bench.json"
    arguments = ["--quick", "--only", "go_peer,streams_peer", "--events", EVENTS, "--output", str(output)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(output.read_text())
    return found


@pytest.mark.parametrize(
    ("peer", "measured"), [("go_peer", ("go_peer", "go_peer_with_fold")), ("streams_peer", ("streams_peer",))]
)
def test_a_peer_counts_a_backlog_right(figures: dict[str, Any], peer: str, measured: tuple[str, ...]) -> None:
    if why := figures.get("skipped", {}).get(peer):
        pytest.skip(f"{peer}: {why}")
    for name in measured:
        assert figures[f"{name}_per_s"] > 0
        assert figures["cpu_s_per_million"][name].keys() == {peer, "postgres", "kafka"}


def test_all_services_run_beside_them(figures: dict[str, Any]) -> None:
    assert figures["all_services_per_s"] > 0
    assert figures["cpu_s_per_million"]["all_services"].keys() == {
        *("meter", "projections", "notifier", "postgres", "kafka")
    }


def test_what_a_peer_is_held_against_is_measured_with_it() -> None:
    compared = {name for name in ("ingest", "end_to_end", "all_services") if Plan(sections=("go_peer",)).compares(name)}
    assert compared == {"ingest", "all_services"}
    assert not Plan(sections=("latency",)).compares("ingest")
