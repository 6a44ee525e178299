"""What the figures must be, and which of them are."""

from collections.abc import Callable
from typing import Any, NamedTuple

from tests.bench.growth import MANY_ACCOUNTS
from tests.bench.plan import PAGE_LOAD

Figures = dict[str, Any]


class Demand(NamedTuple):
    """`read` gives the figure, or raises KeyError where it was not measured."""

    text: str
    read: Callable[[Figures], float]
    least: float | None = None
    most: float | None = None

    def holds(self, figure: float) -> bool:
        return (self.least is None or figure >= self.least) and (self.most is None or figure <= self.most)


def ratio(top: str, bottom: str) -> Callable[[Figures], float]:
    return lambda figures: float(figures[top]) / float(figures[bottom])


def rate(name: str) -> Callable[[Figures], float]:
    return lambda figures: float(figures[name])


def p99(place: str, load: str) -> Callable[[Figures], float]:
    return lambda figures: float(figures[f"{place}_p99_ms"][load])


def calm_cores(per_s: int) -> Callable[[Figures], float]:
    """Of the three services and Postgres, at the rate nearest to this one."""
    return lambda figures: float(min(figures["calm_cores"].items(), key=lambda pair: abs(int(pair[0]) - per_s))[1])


def page(name: str) -> Callable[[Figures], float]:
    return lambda figures: float(figures["pages"]["answers_ms"][name]["median"])


def year(name: str) -> Callable[[Figures], float]:
    return page(f"year, 10 of 500 items an hour: {name}")


def event_to_page(figures: Figures) -> float:
    """Only of a load that is the share of the sustained rate which is asked for."""
    if figures["pages"]["load_percent"] != PAGE_LOAD:
        raise KeyError("load_percent")
    return float(figures["pages"]["event_to_page_ms"]["p99"])


def memory(figures: Figures) -> float:
    return float(
        max(figures["rss_mb"][name] for name in ("meter", "projections", "notifier") if name in figures["rss_mb"])
    )


def services_cpu(figures: Figures) -> float:
    """Microseconds for each event of all three services and Postgres, without the broker."""
    spent = figures["cpu_s_per_million"]["all_services"]
    return float(sum(taken for name, taken in spent.items() if name != "kafka"))


def meter_memory(figures: Figures) -> float:
    """With a million accounts."""
    [point] = [point for point in figures["growth_accounts"] if point["accounts"] == MANY_ACCOUNTS]
    return float(point["rss_mb"]["meter"])


DEMANDS = (
    Demand("ingest, events/s", rate("ingest_per_s"), least=60_000),
    Demand("ingest ÷ bare COPY into the same indexed table", ratio("ingest_per_s", "copy_indexed_per_s"), least=0.4),
    Demand("ingest ÷ Go peer", ratio("ingest_per_s", "go_peer_per_s"), least=0.8),
    Demand("ingest by two processes ÷ Go peer", ratio("ingest_by_two_per_s", "go_peer_per_s"), least=0.8),
    Demand("end to end, events/s", rate("end_to_end_per_s"), least=40_000),
    Demand("end to end ÷ plain peer", ratio("end_to_end_per_s", "peer_plain_per_s"), least=20),
    Demand("end to end ÷ batched peer", ratio("end_to_end_per_s", "peer_batched_per_s"), least=3),
    Demand("all services ÷ Go peer with fold", ratio("all_services_per_s", "go_peer_with_fold_per_s"), least=1),
    Demand("all services ÷ Kafka Streams", ratio("all_services_per_s", "streams_peer_per_s"), least=1.5),
    Demand("CPU of all services and Postgres, µs for each event", services_cpu, most=18),
    Demand("balance visible at 10 % load, p99 ms", p99("balance", "10"), most=60),
    Demand("balance visible at 50 % load, p99 ms", p99("balance", "50"), most=250),
    Demand("balance visible at 80 % load, p99 ms", p99("balance", "80"), most=500),
    Demand("banner event at 10 % load, p99 ms", p99("banner", "10"), most=100),
    Demand("banner event at 50 % load, p99 ms", p99("banner", "50"), most=400),
    Demand("banner event at 80 % load, p99 ms", p99("banner", "80"), most=800),
    Demand("from the top-up to allowed at 50 % load, p99 ms", p99("allowed", "50"), most=250),
    Demand("cores of services and Postgres, no event", calm_cores(0), most=0.03),
    Demand("cores of services and Postgres at 100 events/s", calm_cores(100), most=0.15),
    Demand("cores of services and Postgres at 1,000 events/s", calm_cores(1000), most=0.25),
    Demand("rate with most events stored ÷ with none", rate("growth"), least=0.95),
    Demand("rate with 1,000,000 accounts ÷ with 10,000", rate("growth_of_accounts"), least=0.8),
    Demand("memory of the meter with 1,000,000 accounts, MB", meter_memory, most=150),
    Demand("memory of the largest service, MB", memory, most=250),
    Demand("rebuild, events/s", rate("rebuild_per_s"), least=1_000_000),
    Demand("rebuild of balances alone, events/s", rate("rebuild_balances_per_s"), least=1_000_000),
    Demand("meter verify, events/s", rate("verify_per_s"), least=1_000_000),
    Demand("summary among a million accounts, median ms", page("summary"), most=5),
    Demand("a year of 500 items, usage in every hour: overview, median ms", year("overview"), most=100),
    Demand("a year of 500 items, usage in every hour: models, median ms", year("models"), most=100),
    Demand("queries of a thousand open pages, per s", lambda figures: figures["pages"]["queries_per_s"], most=2.1),
    Demand(f"event to page at {PAGE_LOAD} % load, p99 ms", event_to_page, most=1000),
)


def measured(figures: Figures) -> list[tuple[Demand, float]]:
    """The demands whose figures are there."""
    found = []
    for demand in DEMANDS:
        try:
            found.append((demand, demand.read(figures)))
        except (KeyError, TypeError, ValueError):
            continue
    return found
