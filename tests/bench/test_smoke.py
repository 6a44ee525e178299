"""The benchmark works from start to end, small: real services, exact checks, figures written."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from deploy.local import apache_kafka, postgres
from tests.bench.__main__ import app

MISSING = apache_kafka.missing() or postgres.missing()


@pytest.mark.skipif(MISSING is not None, reason=f"the benchmark needs its own servers: {MISSING}")
def test_a_quick_run_checks_its_results_and_writes_figures(tmp_path: Path) -> None:
    output = tmp_path / "bench.json"
    arguments = ["--quick", "--only", "end_to_end,limit", "--events", "3000", "--output", str(output)]
    done = CliRunner().invoke(app, arguments, catch_exceptions=False)

    assert done.exit_code == 0, done.output
    figures = json.loads(output.read_text())
    assert figures["end_to_end_per_s"] > 0
    assert figures["runs"]["copy_indexed_per_s"] == [figures["copy_indexed_per_s"]]
    assert figures["postgres"]["fsync"] == figures["postgres"]["synchronous_commit"] == "on"
    assert {"meter", "projections", "postgres", "kafka"} <= figures["rss_mb"].keys()
    assert "ingest_per_s" not in figures
    assert figures["sections"].keys() == {"end_to_end", "limit"}


def test_a_section_that_does_not_exist_is_named() -> None:
    done = CliRunner().invoke(app, ["--only", "ingest,speed"])
    assert done.exit_code == 2
    assert "speed" in done.output
