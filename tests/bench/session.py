"""The order of things: what is compared is taken in turns, so that a busy moment of the machine meets all alike."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from rich.console import Console

from deploy.local.child import UnavailableError
from schemas.compiled import NATIVE
from tests.bench import latency, limits, peer
from tests.bench.go_peer import measure_go_peer
from tests.bench.growth import (
    Place,
    Point,
    accounts_ratio,
    best,
    growth_ratio,
    measure_place,
    median,
    prepare_accounts,
    prepare_names,
    prepare_partitions,
    prepare_stored,
)
from tests.bench.page_events import measure_event_to_page
from tests.bench.pages import measure_pages
from tests.bench.plan import COMPARED, LOADS, Plan
from tests.bench.preload import preload
from tests.bench.programs import build_go_peer, build_streams_peer
from tests.bench.rebuild import COMMANDS, Pass, measure_command
from tests.bench.results import (
    Figures,
    note_calm,
    note_growth,
    note_latency,
    note_live,
    note_pages,
    note_rates,
    note_ratios,
    note_runs,
)
from tests.bench.rows import make_rows
from tests.bench.scenario import Bench, Scenario
from tests.bench.servers import PARTITIONS
from tests.bench.streams_peer import measure_streams_peer
from tests.bench.sustained import measure_sustained
from tests.bench.throughput import (
    measure_all_services,
    measure_end_to_end,
    measure_ingest,
    measure_ingest_by_two,
    measure_ingest_in_python,
)
from tests.bench.timing import Run
from tests.bench.top_ups import TOP_UPS_PER_S
from tests.bench.workload import take_messages

Measurement = Callable[[], Awaitable[float | Run]]
T = TypeVar("T")


class Session:
    """Measures what the plan asks for, into `figures`."""

    def __init__(
        self,
        bench: Bench,
        plan: Plan,
        console: Console,
        figures: Figures,
        keep: Callable[[Sequence[str]], None],
        before: Figures | None = None,
    ) -> None:
        """`keep` is told whose figures are there now, so that they are not lost with what follows; `before`: those that
        these are added to."""
        self._before = before or {}
        self._bench, self._plan, self._console, self._figures, self._keep = bench, plan, console, figures, keep

    async def run(self) -> None:
        compared = [name for name in COMPARED if self._plan.compares(name)]
        if compared:
            await self._compare()
            self._keep(compared)
        for name, measure in self._sections().items():
            if self._plan.wants(name):
                await measure()
                self._keep([name])

    def _sections(self) -> Mapping[str, Callable[[], Awaitable[None]]]:
        return {
            "latency": self._latency,
            "calm": self._calm,
            "growth_stored": self._growth_stored,
            "growth_accounts": self._growth_accounts,
            "growth_shape": self._growth_shape,
            "rebuild": self._rebuild,
            "pages": self._pages,
        }

    async def _compare(self) -> None:
        scenario = Scenario(self._bench, "main", self._plan.accounts)
        other = Scenario(self._bench, "other", self._plan.accounts) if self._plan.wants("ingest") else None
        with self._console.status(f"opening {scenario.accounts:,} accounts, making {self._plan.events:,} events"):
            await scenario.open_accounts()
            if self._plan.compares("all_services"):
                await scenario.introduce_accounts()
            scenario.load(self._plan.workload())
            if other is not None:
                await other.open_accounts()
                other.load(replace(self._plan.workload(), other_order=True))
        taken: dict[str, list[float | Run]] = {}
        measurements = await self._measurements(scenario, other)
        for number in range(1, self._plan.runs + 1):
            for name, measure in measurements.items():
                with self._console.status(f"{name}, run {number} of {self._plan.runs}"):
                    taken.setdefault(name, []).append(await measure())
                self._tell(name, rate_of(taken[name][-1]))
        for name, results in taken.items():
            runs = [result for result in results if isinstance(result, Run)]
            if runs:
                note_runs(self._figures, name, runs)
            else:
                note_rates(self._figures, f"{name}_per_s", [rate_of(result) for result in results])
        note_ratios(self._figures)
        for used in filter(None, (scenario, other)):
            await used.close()

    async def _measurements(self, scenario: Scenario, other: Scenario | None) -> dict[str, Measurement]:
        """`other` has the same backlog with the attributes in another order."""
        plan, bootstrap = self._plan, self._bench.servers.kafka.bootstrap
        found: dict[str, Measurement] = {}
        if plan.compares("ingest"):
            found["ingest"] = lambda: measure_ingest(scenario)
            found["ingest_by_two"] = lambda: measure_ingest_by_two(scenario)
        if plan.wants("ingest") and NATIVE.module is not None:
            found["ingest_in_python"] = lambda: measure_ingest_in_python(scenario)
        if other is not None:
            found["ingest_other_order"] = lambda: measure_ingest(other)
        if plan.compares("end_to_end"):
            found["end_to_end"] = lambda: measure_end_to_end(scenario)
        if plan.compares("all_services"):
            found["all_services"] = lambda: measure_all_services(scenario)
        found |= await self._peers(scenario)
        dsn = await self._bench.databases.create("limits", scenario.template)
        if plan.wants("limit"):
            rows = make_rows(take_messages(plan.workload(), plan.copy_rows), PARTITIONS)
            found["copy_indexed"] = lambda: limits.measure_copy(dsn, "copy_indexed", rows)
            found["copy_bare"] = lambda: limits.measure_copy(dsn, "copy_bare", rows)
            found["getmany"] = lambda: limits.measure_getmany(bootstrap, scenario.usage_topic, PARTITIONS)
        if plan.wants("peer"):
            topic, accounts, seconds = scenario.usage_topic, plan.accounts, plan.peer_s
            found["peer_plain"] = lambda: peer.measure_plain(dsn, bootstrap, topic, accounts, seconds)
            found["peer_batched"] = lambda: peer.measure_batched(dsn, bootstrap, topic, accounts, seconds)
        return found

    async def _peers(self, scenario: Scenario) -> dict[str, Measurement]:
        """Those in other languages; one that cannot be built here is left out, and why is said."""
        found: dict[str, Measurement] = {}
        if self._plan.wants("go_peer") and (program := await self._build("go_peer", build_go_peer)):
            found["go_peer"] = lambda: measure_go_peer(scenario, program, fold=False)
            found["go_peer_with_fold"] = lambda: measure_go_peer(scenario, program, fold=True)
        if self._plan.wants("streams_peer") and (command := await self._build("streams_peer", build_streams_peer)):
            found["streams_peer"] = lambda: measure_streams_peer(scenario, command)
        return found

    async def _build(self, name: str, build: Callable[[], T]) -> T | None:
        try:
            with self._console.status(f"building {name}"):
                return await asyncio.to_thread(build)
        except UnavailableError as why:
            self._figures.setdefault("skipped", {})[name] = str(why)
            self._console.print(f"  {name.replace('_', ' ')} is skipped: {why}")
            return None

    async def _latency(self) -> None:
        plan = self._plan
        shares = [latency.Load(percent, 0, plan.latency_s, top_ups_per_s=TOP_UPS_PER_S) for percent in LOADS]
        shares.insert(0, shares[0]._replace(seconds=plan.warm_up_s))
        extra = latency.list_probes(shares) + latency.list_top_ups(shares)
        scenario = Scenario(self._bench, "latency", plan.accounts, extra)
        with self._console.status(f"opening accounts; then {len(shares)} loads of {plan.latency_s:.0f} s"):
            await scenario.open_accounts()
            runs: list[Run] = []
            for number in range(plan.runs):
                runs.append(await measure_sustained(scenario, 2 * plan.events, number))
                self._tell("sustained", runs[-1].per_s)
            note_runs(self._figures, "sustained", runs)
            sustained = median(runs).per_s
            levels = [share._replace(per_s=sustained * share.percent / 100) for share in shares]
            _warm_up, *found = await latency.measure_latency(scenario, levels)
        note_latency(self._figures, found)
        await scenario.close()

    async def _calm(self) -> None:
        """What the services cost while little or nothing comes, and how fast they are then."""
        rates, seconds = self._plan.calm_rates, self._plan.calm_s
        levels = [latency.Load(0, rate, seconds, 1 if rate else 0) for rate in rates]
        levels.insert(0, latency.Load(0, max(rates), min(seconds, self._plan.warm_up_s), 1))
        scenario = Scenario(self._bench, "calm", self._plan.accounts, latency.list_probes(levels))
        with self._console.status(f"opening accounts; then {len(levels)} loads of {seconds:.0f} s"):
            await scenario.open_accounts()
            _warm_up, *found = await latency.measure_latency(scenario, levels)
        note_calm(self._figures, found)
        await scenario.close()

    async def _growth_stored(self) -> None:
        plan, places = self._plan, list[Place]()
        for stored in plan.stored:
            with self._console.status(f"storing {stored:,} events"):
                places.append(await prepare_stored(self._bench, stored, plan.workload()))
        measured = await self._measure_alternately({f"with {place.stored:,} stored": place for place in places})
        note_growth(self._figures, "growth_stored", measured)
        self._figures["growth"] = growth_ratio(measured)
        self._figures["growth_of_bests"] = growth_ratio(measured, best)

    async def _growth_accounts(self) -> None:
        plan, places = self._plan, list[Place]()
        for accounts in plan.account_counts:
            with self._console.status(f"opening {accounts:,} accounts"):
                places.append(await prepare_accounts(self._bench, plan.workload(accounts)))
        measured = await self._measure_alternately(
            {f"with {place.scenario.accounts:,} accounts": place for place in places}
        )
        note_growth(self._figures, "growth_accounts", measured)
        self._figures["growth_of_accounts"] = accounts_ratio(measured)

    async def _growth_shape(self) -> None:
        """With few and many names for each account, and with few and many partitions."""
        plan, places = self._plan, dict[str, Place]()
        for names in plan.name_counts:
            with self._console.status(f"making events of {names:,} names"):
                workload = replace(plan.workload(), names=names)
                places[f"with {names:,} names"] = await prepare_names(self._bench, workload)
        for partitions in plan.partition_counts:
            with self._console.status(f"making events in {partitions} partitions"):
                place = await prepare_partitions(self._bench, plan.workload(), partitions)
                places[f"with {partitions} partitions"] = place
        note_growth(self._figures, "growth_shape", await self._measure_alternately(places))

    async def _measure_alternately(self, places: Mapping[str, Place]) -> list[Point]:
        for number in range(1, self._plan.runs + 1):
            for name, place in places.items():
                with self._console.status(f"rates {name}, run {number} of {self._plan.runs}"):
                    await measure_place(place)
                for kind, runs in place.runs.items():
                    self._tell(f"{kind} {name}", runs[-1].per_s)
        for place in places.values():
            await place.scenario.close()
        return [place.point() for place in places.values()]

    async def _rebuild(self) -> None:
        scenario = Scenario(self._bench, "rebuild", self._plan.accounts)
        with self._console.status(f"making {self._plan.rebuild_events:,} stored events"):
            await scenario.open_accounts()
            note_rates(self._figures, "fold_per_s", [await preload(scenario, self._plan.rebuild_events, usage=True)])
        for command in COMMANDS:
            passes: list[Pass] = []
            for number in range(1, self._plan.runs + 1):
                with self._console.status(f"{command}, run {number} of {self._plan.runs}"):
                    passes.append(await measure_command(scenario, command))
                self._tell(command, passes[-1].per_s)
            note_rates(self._figures, f"{command}_per_s", [one.per_s for one in passes])
        await scenario.close()

    async def _pages(self) -> None:
        plan = self._plan
        with self._console.status(f"writing {plan.page_accounts:,} accounts and a year of one; then asking for pages"):
            note_pages(
                self._figures,
                await measure_pages(self._bench, plan.page_accounts, plan.page_requests, plan.open_pages, plan.pages_s),
            )
        percent, per_s = plan.page_load(self._before | self._figures)
        load = latency.Load(percent, per_s, plan.pages_s)
        probes = latency.list_probes([load])
        scenario = Scenario(self._bench, "live", plan.accounts, probes)
        with self._console.status(f"opening accounts; then {load.per_s:,.0f} events/s for {load.seconds:.0f} s"):
            await scenario.open_accounts()
            note_live(self._figures, await measure_event_to_page(scenario, load, probes), load)
        await scenario.close()

    def _tell(self, name: str, per_s: float) -> None:
        self._console.print(f"  {name.replace('_', ' ')}: {per_s:,.0f} events/s")


def rate_of(result: float | Run) -> float:
    return result.per_s if isinstance(result, Run) else result
