"""Growth: the same rates over what was stored before, and over how many accounts there are."""

from collections.abc import Sequence
from typing import NamedTuple

from tests.bench.preload import preload, rewind_offsets
from tests.bench.scenario import Bench, Scenario
from tests.bench.throughput import Run, measure_end_to_end, measure_ingest
from tests.bench.workload import Workload


class Point(NamedTuple):
    """Runs with so many events stored before and so many accounts; `fold_per_s`: how fast those stored were folded."""

    stored: int
    accounts: int
    ingest: list[Run]
    end_to_end: list[Run]
    fold_per_s: float | None


async def measure_stored(bench: Bench, stored: int, workload: Workload, runs: int) -> Point:
    scenario = Scenario(bench, f"stored{stored}", workload.accounts)
    await scenario.open_accounts()
    fold_per_s = await preload(scenario, stored) if stored else None
    await rewind_offsets(scenario)
    return await measure_point(scenario, stored, workload, runs, fold_per_s)


async def measure_accounts(bench: Bench, workload: Workload, runs: int) -> Point:
    scenario = Scenario(bench, f"accounts{workload.accounts}", workload.accounts)
    await scenario.open_accounts()
    return await measure_point(scenario, 0, workload, runs, None)


async def measure_point(
    scenario: Scenario, stored: int, workload: Workload, runs: int, fold_per_s: float | None
) -> Point:
    scenario.load(workload)
    ingest = [await measure_ingest(scenario) for _ in range(runs)]
    end_to_end = [await measure_end_to_end(scenario) for _ in range(runs)]
    await scenario.close()
    return Point(stored, workload.accounts, ingest, end_to_end, fold_per_s)


def best(runs: Sequence[Run]) -> Run:
    return max(runs, key=lambda run: run.per_s)


def growth_ratio(points: Sequence[Point]) -> float | None:
    """The rate with most events stored over the rate with none, ingest or end to end, whichever suffers more."""
    by_stored = {point.stored: point for point in points}
    least, most = by_stored[min(by_stored)], by_stored[max(by_stored)]
    if least is most:
        return None
    ratios = [best(most.ingest).per_s / best(least.ingest).per_s]
    ratios.append(best(most.end_to_end).per_s / best(least.end_to_end).per_s)
    return min(ratios)
