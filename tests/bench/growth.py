"""Growth: the same rates over what was stored before, and over how many accounts, names and partitions there are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from tests.bench.events import USUAL
from tests.bench.preload import preload, rewind_offsets
from tests.bench.scenario import Bench, Scenario
from tests.bench.servers import PARTITIONS
from tests.bench.throughput import measure_end_to_end, measure_ingest, measure_until_usage
from tests.bench.timing import Run
from tests.bench.workload import Workload


class Point(NamedTuple):
    """Runs with so many events stored before and so many accounts; `fold_per_s`: how fast those stored were folded."""

    stored: int
    accounts: int
    ingest: list[Run]
    end_to_end: list[Run]
    fold_per_s: float | None
    usage: Sequence[Run] = ()
    names: int = USUAL.total
    partitions: int = PARTITIONS
    disk_bytes: int = 0  # of the database that each run begins with a copy of

    @property
    def runs(self) -> dict[str, Sequence[Run]]:
        """Those that were made, by kind; `usage`: end to end, and until usage is there."""
        found = {"ingest": self.ingest, "end_to_end": self.end_to_end, "usage": self.usage}
        return {kind: runs for kind, runs in found.items() if runs}


MEASURES: Final = {"ingest": measure_ingest, "end_to_end": measure_end_to_end, "usage": measure_until_usage}


@dataclass(slots=True)
class Place:
    """Where the runs of one point are made, of these kinds: a template and a backlog of its own."""

    scenario: Scenario
    workload: Workload
    disk_bytes: int
    stored: int = 0
    fold_per_s: float | None = None
    kinds: Sequence[str] = ("ingest", "end_to_end")
    runs: dict[str, list[Run]] = field(default_factory=dict)

    def point(self) -> Point:
        ingest, end_to_end, usage = (self.runs.get(kind, []) for kind in MEASURES)
        names, partitions, accounts = self.workload.names, self.scenario.partitions, self.scenario.accounts
        fold = self.fold_per_s
        return Point(self.stored, accounts, ingest, end_to_end, fold, usage, names, partitions, self.disk_bytes)


async def prepare_stored(bench: Bench, stored: int, workload: Workload) -> Place:
    scenario = Scenario(bench, f"stored{stored}", workload.accounts)
    await scenario.open_accounts()
    # Without their usage: a copy of tens of millions of lines for each run says nothing of what the log costs.
    fold_per_s = await preload(scenario, stored, usage=False) if stored else None
    await rewind_offsets(scenario)
    scenario.load(workload)
    return Place(scenario, workload, await disk_of(scenario), stored, fold_per_s)


async def prepare_accounts(bench: Bench, workload: Workload) -> Place:
    scenario = Scenario(bench, f"accounts{workload.accounts}", workload.accounts)
    await scenario.open_accounts()
    scenario.load(workload)
    return Place(scenario, workload, await disk_of(scenario))


async def prepare_names(bench: Bench, workload: Workload) -> Place:
    """Ingest is left out: to the event store a name is a text like any other."""
    scenario = Scenario(bench, f"names{workload.names}", workload.accounts)
    await scenario.open_accounts()
    scenario.load(workload)
    return Place(scenario, workload, await disk_of(scenario), kinds=("end_to_end", "usage"))


async def prepare_partitions(bench: Bench, workload: Workload, partitions: int) -> Place:
    scenario = Scenario(bench, f"partitions{partitions}", workload.accounts, partitions=partitions)
    await scenario.open_accounts()
    scenario.load(workload)
    return Place(scenario, workload, await disk_of(scenario))


async def disk_of(scenario: Scenario) -> int:
    return await scenario.bench.databases.size(scenario.template)


async def measure_place(place: Place) -> None:
    """One run of each of its kinds."""
    for kind in place.kinds:
        place.runs.setdefault(kind, []).append(await MEASURES[kind](place.scenario))


def best(runs: Sequence[Run]) -> Run:
    return max(runs, key=lambda run: run.per_s)


def median(runs: Sequence[Run]) -> Run:
    """The one in the middle; of an even number, the slower of the two."""
    return sorted(runs, key=lambda run: run.per_s)[(len(runs) - 1) // 2]


FEW_ACCOUNTS, MANY_ACCOUNTS = 10_000, 1_000_000


def growth_ratio(measured: Sequence[Point], choose: Callable[[Sequence[Run]], Run] = median) -> float | None:
    """The rate with most events stored over the rate with none, ingest or end to end, whichever suffers more.

    Of medians: a machine that is twice as fast for one run out of six decides a ratio of bests by itself.
    """
    by_stored = {point.stored: point for point in measured}
    return compare(by_stored[max(by_stored)], by_stored[min(by_stored)], choose)


def accounts_ratio(measured: Sequence[Point]) -> float | None:
    """The same of many accounts over few; None where one of the two was not measured."""
    by_accounts = {point.accounts: point for point in measured}
    if not by_accounts.keys() >= {FEW_ACCOUNTS, MANY_ACCOUNTS}:
        return None
    return compare(by_accounts[MANY_ACCOUNTS], by_accounts[FEW_ACCOUNTS], median)


def compare(most: Point, least: Point, choose: Callable[[Sequence[Run]], Run]) -> float | None:
    if least is most:
        return None
    ratios = [choose(most.ingest).per_s / choose(least.ingest).per_s]
    ratios.append(choose(most.end_to_end).per_s / choose(least.end_to_end).per_s)
    return min(ratios)
