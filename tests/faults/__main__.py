"""`make faults`: torment the system, then let the oracle decide. One summary line; exit 1 if a zero in it is none.

python -m tests.faults                                        1,000 faults, 300 kills, 2,000,000 events, 35 minutes
python -m tests.faults --minutes 1 --faults 40 --kills 10 --events 30000
python -m tests.faults --seed 4711                            the same schedule of faults and the same events again
python -m tests.faults --bugs                                 is each known bug found?
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from random import SystemRandom

from deploy.local.child import UnavailableError
from tests.faults.campaign import DRAIN_S, Campaign, Goal
from tests.faults.report import as_json, details, progress, summary
from tests.faults.schedule import make_schedule
from tests.faults.servers import open_site
from tests.faults.world import World

EVENTS_PER_ACCOUNT = 2000
ACCOUNTS = (100, 3000)
OVERTIME = 1.6  # the longest a campaign may take, as a multiple of the planned minutes
UNREACHABLE = 3


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults",
        description="Kill, stop and cut off the services and servers under load; then check that nothing is lost.",
        epilog="example: python -m tests.faults --minutes 1 --faults 40 --kills 10 --events 30000 --seed 7",
    )
    parser.add_argument("--minutes", type=float, default=35, help="time the faults are spread over (default: 35)")
    parser.add_argument("--faults", type=int, default=1000, help="number of faults, at least (default: 1000)")
    parser.add_argument("--kills", type=int, default=300, help="number of kills among them, at least (default: 300)")
    parser.add_argument("--events", type=int, default=2_000_000, help="number of records, at least (default: 2000000)")
    parser.add_argument("--accounts", type=int, help="default: one for every 2,000 events, from 100 to 3,000")
    parser.add_argument("--seed", type=int, help="of faults and events; default: a random one, printed")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there")
    parser.add_argument("--logs", type=Path, metavar="DIR", help="keep the services' logs there")
    parser.add_argument("--bugs", nargs="*", metavar="NAME", help="switch on known bugs, all or these: is each found?")
    return parser.parse_args(arguments)


async def run(options: argparse.Namespace, logs: Path) -> bool:
    seed = options.seed if options.seed is not None else SystemRandom().randrange(1_000_000)
    say(f"seed {seed}, logs in {logs}")
    accounts = options.accounts or min(max(options.events // EVENTS_PER_ACCOUNT, ACCOUNTS[0]), ACCOUNTS[1])
    world = World(events=options.events, accounts=accounts, seed=seed)
    seconds = options.minutes * 60
    goal = Goal(options.faults, options.kills, options.events, seconds * OVERTIME)
    async with open_site() as site:
        # Not every fault hits something, so there are a few more.
        schedule = make_schedule(seed, seconds / options.faults / 1.25, site.focus)
        campaign = Campaign(site, world, options.events / seconds * 1.05, logs, drain_s=DRAIN_S * site.slowness)
        await campaign.start()
        try:
            started = time.monotonic()
            await campaign.torment(schedule, goal, lambda: say(progress(campaign, goal, time.monotonic() - started)))
            say("quiet: draining")
            waiting = await campaign.drain()
            say("checking")
            findings = await campaign.judge(waiting)
        finally:
            await campaign.close()
    for line in details(campaign, findings):
        say(line)
    if options.json is not None:
        options.json.write_text(as_json(campaign, findings, seed), encoding="utf-8")
    print(summary(campaign, findings, seed), flush=True)
    return findings.clean


def say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    with tempfile.TemporaryDirectory(prefix="credit-meter-faults-", ignore_cleanup_errors=True) as temporary:
        logs = options.logs or Path(temporary)
        logs.mkdir(parents=True, exist_ok=True)
        try:
            if options.bugs is not None:
                from tests.faults.trial import run_trials

                return 0 if asyncio.run(run_trials(options.bugs, logs, seed=options.seed, say=say)) else 1
            return 0 if asyncio.run(run(options, logs)) else 1
        except UnavailableError as error:
            say(f"no servers: {error}")
            return UNREACHABLE


if __name__ == "__main__":
    sys.exit(main())
