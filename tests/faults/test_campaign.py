"""The short form of the campaign: a minute of everything, and the same oracle."""

from pathlib import Path

import pytest

from tests.faults.campaign import DRAIN_S, Campaign, Goal
from tests.faults.report import details, summary
from tests.faults.schedule import make_schedule
from tests.faults.servers import Site
from tests.faults.world import World

SECONDS, FAULTS, KILLS, EVENTS, ACCOUNTS = 50, 30, 8, 25_000, 80
MOST_S = 80


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_is_lost_and_nothing_doubled(
    site: Site, seed: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    events = EVENTS // site.slowness
    world = World(events=events, accounts=ACCOUNTS, seed=seed)
    campaign = Campaign(site, world, events / SECONDS, tmp_path, drain_s=DRAIN_S * site.slowness)
    await campaign.start()
    try:
        schedule = make_schedule(seed, SECONDS / FAULTS / 1.5, site.focus)
        await campaign.torment(schedule, Goal(FAULTS, KILLS, events, MOST_S))
        findings = await campaign.judge(await campaign.drain())
    finally:
        await campaign.close()
    with capsys.disabled():
        print(f"\n{summary(campaign, findings, seed)}")
    assert findings.clean, "\n".join([f"METERING_TEST_SEED={seed} replays it", *details(campaign, findings)])
    assert campaign.supervisor.crashes == []
    assert campaign.tormentor.faults >= FAULTS // 2 and campaign.tormentor.kills >= KILLS // 2
