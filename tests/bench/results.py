"""The figures of a benchmark as they are written to `results/latest.json`, and the demands they are held against."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.bench.footprint import Usage
from tests.bench.growth import Point, best
from tests.bench.latency import Delays, Level
from tests.bench.pages import Pages
from tests.bench.throughput import Run

LATEST = Path(__file__).parent / "results" / "latest.json"
Figures = dict[str, Any]


def note_rates(figures: Figures, name: str, rates: Sequence[float]) -> None:
    """The best of the runs under `name`, and all of them under `runs`."""
    figures[name] = round(max(rates))
    figures.setdefault("runs", {})[name] = [round(rate) for rate in rates]


def note_runs(figures: Figures, name: str, runs: Sequence[Run]) -> None:
    """Rates, and of the best run the CPU and memory by process."""
    note_rates(figures, f"{name}_per_s", [run.per_s for run in runs])
    fastest = best(runs)
    figures.setdefault("cpu_s_per_million", {})[name] = rounded(fastest.cpu_per_million())
    note_memory(figures, [run.usage for run in runs])


def note_memory(figures: Figures, usages: Sequence[Mapping[str, Usage]]) -> None:
    """The most resident memory seen of each process, over everything measured."""
    peaks = figures.setdefault("rss_mb", {})
    for usage in usages:
        for name, one in usage.items():
            peaks[name] = max(peaks.get(name, 0), round(one.rss_mb))


def note_latency(figures: Figures, levels: Sequence[Level]) -> None:
    for place in ("balance", "banner", "email"):
        figures[f"{place}_p99_ms"] = {str(level.percent): round(level.delays[place].p99, 1) for level in levels}
    figures["latency"] = [
        {
            "percent": level.percent,
            "per_s": round(level.per_s),
            "probes": level.probes,
            "load_late_ms": round(level.late_ms, 1),
            "delays_ms": {place: rounded(delays._asdict()) for place, delays in level.delays.items()},
            "cores": rounded(level.cores),
        }
        for level in levels
    ]
    note_memory(figures, [level.usage for level in levels])


def note_pages(figures: Figures, pages: Pages) -> None:
    """Milliseconds of each kind of request; of the pages kept live, memory and queries of their one process."""
    figures["pages"] = {
        "accounts": pages.accounts,
        "answers_ms": {
            one.name: rounded({"median": one.median, "p99": one.p99, "cpu": one.cpu}) for one in pages.answers
        },
        "open_pages": pages.live.pages,
        "rss_mb_before": round(pages.live.mb_before),
        "rss_mb": round(pages.live.mb_after),
        "queries_per_s": round(pages.live.queries_per_s, 2),
    }


def note_live(figures: Figures, delays: Delays) -> None:
    """From the producer's send to the figures on the stream of a page, in milliseconds."""
    figures.setdefault("pages", {})["event_to_page_ms"] = rounded(delays._asdict())


def note_steps(figures: Figures, measured: Mapping[str, Mapping[str, float]]) -> None:
    """Microseconds of processor for each event, by order of its attributes and step of the meter."""
    figures["steps_us"] = {
        order: {step: round(taken, 2) for step, taken in steps.items()} for order, steps in measured.items()
    }


def note_calm(figures: Figures, levels: Sequence[Level]) -> None:
    """By events a second: cores of our services and Postgres together, of each, and the delays of the probes."""
    figures["calm_cores"] = {
        str(round(level.per_s)): round(sum(busy for name, busy in level.cores.items() if name != "kafka"), 3)
        for level in levels
    }
    figures["calm"] = [
        {
            "per_s": round(level.per_s),
            "probes": level.probes,
            "delays_ms": {place: rounded(delays._asdict()) for place, delays in level.delays.items()},
            "cores": {name: round(busy, 3) for name, busy in level.cores.items()},
        }
        for level in levels
    ]


def note_growth(figures: Figures, name: str, measured: Sequence[Point]) -> None:
    figures[name] = [
        {
            "stored": point.stored,
            "accounts": point.accounts,
            "ingest_per_s": [round(run.per_s) for run in point.ingest],
            "end_to_end_per_s": [round(run.per_s) for run in point.end_to_end],
            "fold_per_s": None if point.fold_per_s is None else round(point.fold_per_s),
            "rss_mb": {name: round(usage.rss_mb) for name, usage in best(point.end_to_end).usage.items()},
        }
        for point in measured
    ]


def note_ratios(figures: Figures) -> None:
    """Each rate beside the limits and the peer of the same run: what holds on another machine too."""
    pairs = [
        (top, bottom)
        for top in ("ingest_per_s", "end_to_end_per_s")
        for bottom in (
            "copy_indexed_per_s",
            "copy_bare_per_s",
            "getmany_per_s",
            "peer_plain_per_s",
            "peer_batched_per_s",
        )
        if top in figures and bottom in figures
    ]
    figures["ratios"] = {
        f"{top.removesuffix('_per_s')}/{bottom.removesuffix('_per_s')}": round(figures[top] / figures[bottom], 3)
        for top, bottom in pairs
    }


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


def write_figures(figures: Figures, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")
