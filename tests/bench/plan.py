"""What is measured and how large: the sizes of a full benchmark, and of a quick one that only shows that it works."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.bench.workload import Workload

SECTIONS = (
    "steps",
    "ingest",
    "end_to_end",
    "all_services",
    "limit",
    "peer",
    "go_peer",
    "streams_peer",
    "latency",
    "calm",
    "growth_stored",
    "growth_accounts",
    "growth_shape",
    "rebuild",
    "pages",
)
COMPARED = ("ingest", "end_to_end", "all_services", "limit", "peer", "go_peer", "streams_peer")
# What a peer is held against runs in turns with it, asked for or not.
BESIDE = {
    "go_peer": ("ingest", "all_services"),
    "streams_peer": ("all_services",),
}
SPAN = timedelta(hours=6)  # of the backlog
LOADS = (10, 50, 80)  # percent of the sustained rate
PAGE_LOAD = 10  # the same, while pages are open


@dataclass(frozen=True, slots=True)
class Plan:
    sections: tuple[str, ...] = SECTIONS
    began: datetime = field(default_factory=lambda: datetime.now(UTC).replace(minute=0, second=0, microsecond=0))
    runs: int = 3
    events: int = 600_000
    accounts: int = 10_000
    steps_records: int = 12_000
    steps_rounds: int = 25
    copy_rows: int = 300_000
    peer_s: float = 10
    warm_up_s: float = 90  # at the first load, not measured: so long the broker goes on compiling its code
    latency_s: float = 40
    calm_rates: tuple[float, ...] = (0, 10, 100, 1000)  # events a second
    calm_s: float = 60  # with a probe a second, which is a banner and a letter each
    stored: tuple[int, ...] = (0, 5_000_000, 20_000_000)
    account_counts: tuple[int, ...] = (1_000, 10_000, 100_000, 1_000_000)
    name_counts: tuple[int, ...] = (10, 1_000)
    partition_counts: tuple[int, ...] = (3, 12, 48)
    rebuild_events: int = 5_000_000
    page_accounts: int = 1_000_000
    page_requests: int = 2_000
    open_pages: int = 1_000
    pages_s: float = 30
    page_load_per_s: float = 3_600  # where no sustained rate is known

    def wants(self, section: str) -> bool:
        return section in self.sections

    def compares(self, section: str) -> bool:
        """Whether the section is measured on the backlog that all are compared on."""
        beside = {name for asked in self.sections for name in BESIDE.get(asked, ())}
        return section in COMPARED and (self.wants(section) or section in beside)

    @property
    def measured(self) -> tuple[str, ...]:
        """The sections whose figures it brings: those asked for, and what they are held against."""
        return tuple(name for name in SECTIONS if self.wants(name) or self.compares(name))

    def workload(self, accounts: int | None = None) -> Workload:
        """Of the last hours: usage of a month that is over costs two lines more, and comes rarely."""
        return Workload(self.events, accounts or self.accounts, start=self.began - SPAN, span=SPAN)

    def page_load(self, known: Mapping[str, Any]) -> tuple[int, float]:
        """Percent of the sustained rate among the figures that are known, and events a second; else 0 percent."""
        if (sustained := known.get("sustained_per_s")) is None:
            return 0, self.page_load_per_s
        return PAGE_LOAD, sustained * PAGE_LOAD / 100

    @property
    def complete(self) -> bool:
        """Whether the result may stand for the project."""
        full = Plan(began=self.began)
        return set(self.sections) == set(SECTIONS) and self == replace(
            full, sections=self.sections, events=max(self.events, full.events), runs=max(self.runs, full.runs)
        )


QUICK = Plan(
    runs=1,
    events=20_000,
    accounts=200,
    steps_records=1_000,
    steps_rounds=2,
    copy_rows=10_000,
    peer_s=2,
    warm_up_s=1,
    latency_s=3,
    calm_rates=(0, 50),
    calm_s=3,
    stored=(0, 60_000),
    account_counts=(50, 1_000),
    name_counts=(10, 200),
    partition_counts=(3, 48),
    rebuild_events=60_000,
    page_accounts=2_000,
    page_requests=40,
    open_pages=50,
    pages_s=3,
    page_load_per_s=50,
)


def make_plan(quick: bool, only: str, events: int | None, runs: int | None) -> Plan:
    """Raises ValueError for a section that does not exist."""
    plan = QUICK if quick else Plan()
    sections = tuple(name.strip() for name in only.split(",")) if only else SECTIONS
    if unknown := sorted(set(sections) - set(SECTIONS)):
        raise ValueError(f"no such section: {', '.join(unknown)}; there are {', '.join(SECTIONS)}")
    return replace(plan, sections=sections, events=events or plan.events, runs=runs or plan.runs)
