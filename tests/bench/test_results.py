"""Figures of several runs in one file: only of one state of the services, and what is compared of one run."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from schemas.compiled import NATIVE
from tests.bench.__main__ import app, begin_figures
from tests.bench.plan import make_plan
from tests.bench.results import Figures, combine_figures, read_figures, write_figures

STATE: Figures = {"services": "a1", "machine": {"cores": 2}, "postgres": {"fsync": "on"}}
BEFORE: Figures = STATE | {
    "measured_at": "2026-11-01T10:00:00+00:00",
    "sections": {"ingest": "2026-11-01T10:00:00+00:00"},
    "ingest_per_s": 10,
    "best": {"ingest_per_s": 12},
    "rss_mb": {"meter": 130, "kafka": 300},
}
ADDED: Figures = STATE | {
    "measured_at": "2026-11-01T12:00:00+00:00",
    "sections": {"rebuild": "2026-11-01T12:00:00+00:00"},
    "rebuild_per_s": 20,
    "best": {"rebuild_per_s": 21},
    "rss_mb": {"meter": 120, "postgres": 900},
}


def test_sections_of_two_runs_stand_side_by_side() -> None:
    combined = combine_figures(BEFORE, ADDED)
    assert (combined["ingest_per_s"], combined["rebuild_per_s"]) == (10, 20)
    assert combined["best"] == {"ingest_per_s": 12, "rebuild_per_s": 21}
    assert combined["rss_mb"] == {"meter": 130, "kafka": 300, "postgres": 900}
    assert set(combined["sections"]) == {"ingest", "rebuild"}
    assert combined["measured_at"] == ADDED["measured_at"]


def test_a_first_run_stands_alone() -> None:
    assert combine_figures({}, ADDED) == ADDED


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("services", "b2"),
        ("machine", {"cores": 4}),
        ("machine", {"cores": 2, "compiled": "used"}),
        ("postgres", {"fsync": "off"}),
    ],
)
def test_figures_of_another_state_are_refused(name: str, other: Any) -> None:
    with pytest.raises(ValueError, match=f"other {name} than those"):
        combine_figures(BEFORE, ADDED | {name: other})


def test_figures_with_and_without_the_compiled_part_do_not_stand_together() -> None:
    used = NATIVE.module is not None
    with_it = begin_figures()
    NATIVE.use(False)
    try:
        without = begin_figures()
    finally:
        NATIVE.use(used)
    assert with_it["machine"]["compiled"] == NATIVE.state
    if used:
        with pytest.raises(ValueError, match="other machine than those"):
            combine_figures(with_it, without)


def test_figures_without_a_state_are_refused() -> None:
    with pytest.raises(ValueError, match="other services"):
        combine_figures({name: figure for name, figure in BEFORE.items() if name != "services"}, ADDED)


def test_a_section_is_not_measured_over() -> None:
    with pytest.raises(ValueError, match="there already: ingest"):
        combine_figures(BEFORE, ADDED | {"sections": {"ingest": None, "rebuild": None}})


def test_what_a_peer_is_held_against_is_of_its_run() -> None:
    assert set(make_plan(False, "go_peer", None, None).measured) == {"go_peer", "ingest", "all_services"}


def test_a_run_that_cannot_be_added_is_refused_before_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "bench.json"
    none = CliRunner().invoke(app, ["--only", "steps", "--add", "--output", str(path)])
    assert (none.exit_code, "no figures" in " ".join(none.output.split())) == (2, True)

    write_figures(begin_figures() | {"sections": {"steps": "2026-11-01T10:00:00+00:00"}}, path)
    again = CliRunner().invoke(app, ["--only", "steps", "--add", "--output", str(path)])
    assert (again.exit_code, "there already: steps" in " ".join(again.output.split())) == (2, True)
    assert set(read_figures(path)["sections"]) == {"steps"}
