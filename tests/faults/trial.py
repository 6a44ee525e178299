"""Is a known bug found? Rounds of faults of the kind that brings it out, each judged, until a sign of it is seen."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom

from tests.faults.bugs import BUGS
from tests.faults.bugs.bug import DRAIN_S, STUCK, Bug
from tests.faults.campaign import Campaign, Goal
from tests.faults.oracle.findings import Finding, Findings
from tests.faults.schedule import make_schedule
from tests.faults.servers import Site, open_site
from tests.faults.world import World

ROUNDS = 6
PER_S = 500.0
EVENTS = 12_000
WITHOUT_END = 1_000_000


@dataclass(frozen=True, slots=True)
class Verdict:
    """`seen`: the first sign of the bug, if any; `other`: what else was found."""

    bug: Bug
    seed: int
    rounds: int
    faults: int
    seconds: float
    seen: Finding | None
    other: Findings

    def __str__(self) -> str:
        place = f"{self.bug.name} (seed {self.seed}): "
        spent = f"in round {self.rounds}, {self.faults} faults, {self.seconds:.0f} s"
        if self.seen is None:
            return "\n".join((place + f"NOT FOUND {spent}", *self.other.lines()))
        return place + f"found {spent}: {self.seen.check}: {self.seen.detail}"


async def try_bug(site: Site, bug: Bug, seed: int, logs: Path) -> Verdict:
    started = time.monotonic()
    world = World(events=EVENTS, accounts=bug.accounts, seed=seed, shares=bug.shares)
    twins = (bug.service,) if bug.twins else ()
    drain_s = DRAIN_S * site.slowness
    campaign = Campaign(site, world, PER_S, logs, bugs={bug.service: bug.name}, drain_s=drain_s, twins=twins)
    schedule = make_schedule(seed, bug.mean_pause_s, bug.focus)
    goal = Goal(WITHOUT_END, WITHOUT_END, WITHOUT_END, bug.round_s)
    await campaign.start()
    try:
        rounds, seen = 0, None
        while seen is None and rounds < ROUNDS:
            rounds += 1
            await campaign.torment(schedule, goal)
            findings = await campaign.judge(await campaign.drain(emails=False), emails=False)
            seen = next(find_signs(bug, campaign, findings), None)
    finally:
        await campaign.close()
    return Verdict(bug, seed, rounds, campaign.tormentor.faults, time.monotonic() - started, seen, findings)


def find_signs(bug: Bug, campaign: Campaign, findings: Findings) -> Iterator[Finding]:
    """Standing still is a sign only where the service fell: a slow machine stands still, too."""
    fell = any(crash.service == bug.service for crash in campaign.supervisor.crashes)
    for finding in findings.listed:
        if finding.check in bug.signs and (fell or finding.check != STUCK):
            yield finding


async def run_trials(names: Sequence[str], logs: Path, *, seed: int | None, say: Callable[[str], None]) -> bool:
    """Try the named bugs, or all. Whether every one was found."""
    unknown = set(names) - BUGS.keys()
    if unknown:
        say(f"no such bug: {', '.join(sorted(unknown))}; there are: {', '.join(BUGS)}")
        return False
    chosen = [BUGS[name] for name in names or BUGS]
    verdicts = []
    async with open_site() as site:
        for bug in chosen:
            own = logs / bug.name
            own.mkdir(parents=True, exist_ok=True)
            say(f"{bug.name}: {bug.says}")
            verdict = await try_bug(site, bug, seed if seed is not None else SystemRandom().randrange(1_000_000), own)
            say(f"  {verdict}")
            verdicts.append(verdict)
    found = sum(verdict.seen is not None for verdict in verdicts)
    print(f"bugs={len(verdicts)} found={found} missed={len(verdicts) - found}", flush=True)
    return found == len(verdicts)
