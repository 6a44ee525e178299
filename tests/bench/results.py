"""The figures of a benchmark as they are written to `results/latest.json`, and the demands they are held against."""

import json
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import median_low
from typing import Any

from tests.bench.footprint import Usage
from tests.bench.growth import Point, median
from tests.bench.latency import Delays, Level, Load
from tests.bench.pages import Pages
from tests.bench.timing import Run

LATEST = Path(__file__).parent / "results" / "latest.json"
Figures = dict[str, Any]

LIMITS = ("copy_indexed", "copy_bare", "getmany", "peer_plain", "peer_batched")
# What must be alike for figures to stand in one file; `machine` also says whether the compiled part is in use.
ALIKE = ("services", "machine", "postgres", "kafka", "sizes")
# Only with what does as much: the peers with a fold beside all services.
BESIDE = {
    "ingest": (*LIMITS, "go_peer"),
    "ingest_by_two": ("go_peer",),
    "end_to_end": LIMITS,
    "all_services": (*LIMITS, "go_peer_with_fold", "streams_peer"),
}


def note_rates(figures: Figures, name: str, rates: Sequence[float]) -> None:
    """The median of the runs under `name` (of an even number, the slower of the two in the middle), the best under
    `best`, all of them under `runs`."""
    figures[name] = round(median_low(rates))
    figures.setdefault("best", {})[name] = round(max(rates))
    figures.setdefault("runs", {})[name] = [round(rate) for rate in rates]


def note_runs(figures: Figures, name: str, runs: Sequence[Run]) -> None:
    """Rates, of the median run the CPU by process (seconds per million events: microseconds for each), and memory."""
    note_rates(figures, f"{name}_per_s", [run.per_s for run in runs])
    figures.setdefault("cpu_s_per_million", {})[name] = rounded(median(runs).cpu_per_million())
    note_memory(figures, [run.usage for run in runs])


def note_memory(figures: Figures, usages: Sequence[Mapping[str, Usage]]) -> None:
    """The most resident memory seen of each process, over everything measured."""
    known = figures.setdefault("rss_mb", {})
    for name, megabytes in peaks(usages).items():
        known[name] = max(known.get(name, 0), megabytes)


def peaks(usages: Sequence[Mapping[str, Usage]]) -> dict[str, int]:
    """The most of each process, in MB."""
    found: dict[str, int] = {}
    for usage in usages:
        for name, one in usage.items():
            found[name] = max(found.get(name, 0), round(one.rss_mb))
    return found


def note_latency(figures: Figures, levels: Sequence[Level]) -> None:
    for place in ("balance", "banner", "email", "allowed"):
        figures[f"{place}_p99_ms"] = {
            str(level.percent): round(level.delays[place].p99, 1) for level in levels if place in level.delays
        }
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


def note_live(figures: Figures, delays: Delays, load: Load) -> None:
    """From the producer's send to the figures on the stream of a page, in milliseconds, and the load meanwhile."""
    figures.setdefault("pages", {})["event_to_page_ms"] = rounded(delays._asdict())
    figures["pages"] |= {"load_percent": load.percent, "load_per_s": round(load.per_s)}


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
    note_memory(figures, [level.usage for level in levels])


def note_growth(figures: Figures, name: str, measured: Sequence[Point]) -> None:
    note_memory(figures, [run.usage for point in measured for run in all_runs(point)])
    figures[name] = [
        {
            "stored": point.stored,
            "accounts": point.accounts,
            "names": point.names,
            "partitions": point.partitions,
            "disk_bytes": point.disk_bytes,
            **{f"{kind}_per_s": [round(run.per_s) for run in runs] for kind, runs in point.runs.items()},
            "fold_per_s": None if point.fold_per_s is None else round(point.fold_per_s),
            "rss_mb": peaks([run.usage for run in all_runs(point)]),
        }
        for point in measured
    ]


def all_runs(point: Point) -> list[Run]:
    return list(chain.from_iterable(point.runs.values()))


def note_ratios(figures: Figures) -> None:
    """Each rate beside the limits and the peers of the same run: what holds on another machine too."""
    pairs = [
        (f"{top}_per_s", f"{bottom}_per_s")
        for top, bottoms in BESIDE.items()
        for bottom in bottoms
        if f"{top}_per_s" in figures and f"{bottom}_per_s" in figures
    ]
    figures["ratios"] = {
        f"{top.removesuffix('_per_s')}/{bottom.removesuffix('_per_s')}": round(figures[top] / figures[bottom], 3)
        for top, bottom in pairs
    }


def rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


def combine_figures(before: Figures, added: Figures) -> Figures:
    """Figures of other sections beside those that are there already: from one state of the services and one machine.

    Raises ValueError where that is not so, or where a section is there already: what is compared is of one run.
    """
    if not before:
        return added
    for name in ALIKE:
        if name in added and before.get(name) != added[name]:
            raise ValueError(f"other {name} than those of the figures there are: {added[name]}, not {before.get(name)}")
    if again := before["sections"].keys() & added["sections"].keys():
        raise ValueError(f"there already: {', '.join(sorted(again))}; leave them out, or measure without --add")
    return (
        before | added | {name: side_by_side(name, before[name], added[name]) for name in before.keys() & added.keys()}
    )


def side_by_side(name: str, before: Any, added: Any) -> Any:
    if name == "rss_mb":
        return {one: max(before.get(one, 0), added.get(one, 0)) for one in before | added}
    return before | added if isinstance(before, dict) else added


def write_figures(figures: Figures, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(figures, indent=2, ensure_ascii=False) + "\n")


def read_figures(path: Path) -> Figures:
    """Raises ValueError when there are none."""
    try:
        found: Figures = json.loads(path.read_text())
    except FileNotFoundError:
        raise ValueError(f"there are no figures in {path} to add to") from None
    return found
