"""The figures as tables for people."""

from statistics import median_low

from rich.console import Console
from rich.table import Table

from tests.bench.demands import measured
from tests.bench.results import Figures

RATES = (
    *("ingest", "ingest_by_two", "ingest_in_python", "ingest_other_order"),
    *("end_to_end", "all_services", "sustained"),
    *("go_peer", "go_peer_with_fold", "streams_peer"),
    *("copy_indexed", "copy_bare", "getmany", "peer_plain", "peer_batched"),
)
PASSES = ("fold", "rebuild", "rebuild_balances", "verify", "verify_projections")


def print_figures(console: Console, figures: Figures) -> None:
    for make in (steps, rates, cpu, latency, calm, growth, growth_shape, pages, demands):
        table = make(figures)
        if table.row_count:
            console.print(table)


def steps(figures: Figures) -> Table:
    table = Table("attributes in", title="Microseconds of processor for each event, by step of the meter, medians")
    measured = figures.get("steps_us", {})
    for step in next(iter(measured.values()), {}):
        table.add_column(step)
    table.add_column("all")
    for order, taken in measured.items():
        table.add_row(order, *(f"{us:.2f}" for us in taken.values()), f"{sum(taken.values()):.2f}")
    return table


def rates(figures: Figures) -> Table:
    table = Table("measured", "median", "best", "all runs", "÷ COPY indexed", title="Events a second")
    copy = figures.get("copy_indexed_per_s")
    for name in (*RATES, *PASSES):
        if (median := figures.get(f"{name}_per_s")) is not None:
            best, runs = figures["best"][f"{name}_per_s"], figures["runs"][f"{name}_per_s"]
            shown = " ".join(f"{rate:,}" for rate in runs)
            table.add_row(
                name.replace("_", " "), f"{median:,}", f"{best:,}", shown, f"{median / copy:.2f}" if copy else ""
            )
    notes = [f"{name.replace('_', ' ')} was skipped: {why}" for name, why in figures.get("skipped", {}).items()]
    if state := figures.get("machine", {}).get("compiled"):
        notes.insert(0, f"compiled part: {state}")
    table.caption = "\n".join(notes)
    return table


def cpu(figures: Figures) -> Table:
    title = "CPU microseconds for each event, of the median run"
    table = Table("measured", "by process", "without Kafka", title=title)
    for name, spent in figures.get("cpu_s_per_million", {}).items():
        taken = ", ".join(f"{process.replace('_', ' ')} {us:.1f}" for process, us in spent.items())
        own = sum(us for process, us in spent.items() if process != "kafka")
        table.add_row(name.replace("_", " "), taken, f"{own:.1f}")
    memory = figures.get("rss_mb", {}).items()
    table.caption = "most memory: " + ", ".join(f"{name.replace('_', ' ')} {peak:,} MB" for name, peak in memory)
    return table


def latency(figures: Figures) -> Table:
    table = Table("load", "events/s", "seen at", "p50", "p99", "max", title="Milliseconds from the producer's send")
    for level in figures.get("latency", ()):
        for place, delays in level["delays_ms"].items():
            values = (f"{delays[name]:,.0f}" for name in ("p50", "p99", "max"))
            table.add_row(f"{level['percent']} %", f"{level['per_s']:,}", place, *values)
    table.caption = "\n".join(
        f"{level['percent']} %: " + ", ".join(f"{name} {busy:.2f}" for name, busy in level["cores"].items()) + " cores"
        for level in figures.get("latency", ())
    )
    return table


def calm(figures: Figures) -> Table:
    table = Table("events/s", "process", "cores", title="Cores busy at low load, and p99 in milliseconds")
    for level in figures.get("calm", ()):
        for name, busy in level["cores"].items():
            table.add_row(f"{level['per_s']:,}", name, f"{busy:.3f}")
    table.caption = "\n".join(
        f"{level['per_s']:,}/s: "
        + ", ".join(f"{name} {seen['p99']:,.0f} ms" for name, seen in level["delays_ms"].items())
        for level in figures.get("calm", ())
        if level["delays_ms"]
    )
    return table


def growth(figures: Figures) -> Table:
    table = Table("stored before", "accounts", "ingest", "end to end", title="Growth, median events/s")
    for heading in ("memory, MB", "disk, MB"):
        table.add_column(heading)
    for point in (*figures.get("growth_stored", ()), *figures.get("growth_accounts", ())):
        memory = " ".join(f"{name} {megabytes:,}" for name, megabytes in point["rss_mb"].items())
        medians = (f"{median_low(point[name]):,}" for name in ("ingest_per_s", "end_to_end_per_s"))
        table.add_row(f"{point['stored']:,}", f"{point['accounts']:,}", *medians, memory, disk_mb(point))
    return table


def disk_mb(point: Figures) -> str:
    """Of the database that its runs begin with."""
    return f"{point['disk_bytes'] / 1e6:,.0f}" if "disk_bytes" in point else ""


def growth_shape(figures: Figures) -> Table:
    table = Table("names", "partitions", title="Growth by names of an account and by partitions, median events/s")
    kinds = ("ingest", "end_to_end", "usage")
    for heading in ("ingest", "end to end", "until usage", "memory, MB", "disk, MB"):
        table.add_column(heading)
    for point in figures.get("growth_shape", ()):
        medians = (f"{median_low(runs):,}" if (runs := point.get(f"{kind}_per_s")) else "" for kind in kinds)
        memory = " ".join(f"{name} {megabytes:,}" for name, megabytes in point["rss_mb"].items())
        table.add_row(f"{point['names']:,}", f"{point['partitions']}", *medians, memory, disk_mb(point))
    return table


def pages(figures: Figures) -> Table:
    table = Table("asked for", "median, ms", "p99, ms", "CPU, ms", title="Pages")
    found = figures.get("pages", {})
    for name, taken in found.get("answers_ms", {}).items():
        table.add_row(name, f"{taken['median']:,}", f"{taken['p99']:,}", f"{taken['cpu']:,}")
    if delays := found.get("event_to_page_ms"):
        load = f", {found['load_per_s']:,} events/s" if "load_per_s" in found else ""
        share = f" ({found['load_percent']} % load)" if found.get("load_percent") else ""
        table.add_row(f"event to page{load}{share}", f"{delays['p50']:,}", f"{delays['p99']:,}")
    if "open_pages" in found:
        table.caption = (
            f"{found['accounts']:,} accounts; {found['open_pages']:,} pages kept live: {found['rss_mb']} MB "
            f"(before: {found['rss_mb_before']} MB), {found['queries_per_s']} queries/s"
        )
    return table


def demands(figures: Figures) -> Table:
    table = Table("demand", "asked", "measured", "holds", title="Must hold")
    for demand, figure in measured(figures):
        asked = f"≥ {demand.least:,}" if demand.least is not None else f"≤ {demand.most:,}"
        table.add_row(demand.text, asked, f"{figure:,.2f}", "yes" if demand.holds(figure) else "NO")
    return table
