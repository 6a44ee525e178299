"""A figure that misses its demand is shown as missing it; what was not measured is not shown."""

from rich.console import Console

from tests.bench.demands import measured
from tests.bench.footprint import Usage
from tests.bench.latency import Level
from tests.bench.report import cpu, demands, rates
from tests.bench.results import Figures, note_calm, note_growth, note_rates, note_ratios
from tests.bench.test_growth import point

CPU = {"meter": 4.5, "projections": 2, "notifier": 0.5, "postgres": 10, "kafka": 400}


def test_the_median_counts_and_the_best_stands_beside_it() -> None:
    figures: Figures = {}
    note_rates(figures, "ingest_per_s", [10, 40, 20])
    note_rates(figures, "go_peer_per_s", [20, 30])
    note_ratios(figures)
    assert (figures["ingest_per_s"], figures["best"]["ingest_per_s"]) == (20, 40)
    assert figures["go_peer_per_s"] == 20
    assert figures["runs"]["ingest_per_s"] == [10, 40, 20]
    assert figures["ratios"] == {"ingest/go_peer": 1}


def test_the_processor_of_the_broker_is_not_counted() -> None:
    [(demand, figure)] = measured({"cpu_s_per_million": {"all_services": CPU}})
    assert figure == 17
    assert demand.holds(figure)
    assert not demand.holds(18.1)


def test_a_demand_that_is_missed_says_so() -> None:
    figures = {"all_services_per_s": 14, "streams_peer_per_s": 10}
    console = Console(record=True, width=100)
    console.print(demands(figures))
    shown = console.export_text()
    assert "Kafka Streams" in shown
    assert "NO" in shown
    assert "Go peer" not in shown


def test_the_memory_of_the_meter_is_the_most_of_all_runs_with_a_million_accounts() -> None:
    figures: Figures = {}
    note_growth(figures, "growth_accounts", [point(10_000, 80), point(1_000_000, 120, 149.6, 130)])
    found = {demand.text: (figure, demand.most) for demand, figure in measured(figures)}
    assert found["memory of the meter with 1,000,000 accounts, MB"] == (150, 150)


def test_the_most_memory_is_of_all_that_was_measured() -> None:
    figures: Figures = {"rss_mb": {"meter": 130}}
    note_growth(figures, "growth_stored", [point(10_000, 80), point(10_000, 120, 149.6)])
    assert figures["rss_mb"] == {"meter": 150}
    note_calm(figures, [Level(0, 0, 0, 0, {}, {"meter": Usage(1, 151)}, {})])
    assert figures["rss_mb"] == {"meter": 151}


def test_the_tables_keep_names_and_figures_whole_at_80_columns() -> None:
    names = ("ingest", "end_to_end", "all_services", "go_peer", "go_peer_with_fold", "streams_peer", "sustained")
    processes = ("meter", "projections", "notifier", "go_peer", "streams_peer", "postgres", "kafka")
    figures: Figures = {
        "cpu_s_per_million": {name: dict.fromkeys(processes, 123.4) for name in names},
        "rss_mb": dict.fromkeys(processes, 1_234),
        "skipped": {"go_peer": "go is not there to build tests/bench/peers/go: install it"},
    }
    for name in names:
        note_rates(figures, f"{name}_per_s", [123_456, 123_457, 123_458])
    console = Console(record=True, width=80)
    for table in (rates(figures), cpu(figures)):
        console.print(table)
    shown = console.export_text()
    assert "…" not in shown
    for whole in (*(name.replace("_", " ") for name in processes), "123,457", "123.4", "go peer was skipped"):
        assert whole in shown
