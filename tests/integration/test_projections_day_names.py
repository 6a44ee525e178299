"""Names of a day: the first 1,000 by position have lines, the rest is one; wherever it is cut, and after a rebuild."""

import random
from collections import Counter, defaultdict
from datetime import timedelta

import pytest

from meter.runtime.postgres import Pool
from projections.rebuild import Model, Rebuild
from projections.verify import verify
from schemas.limits import MAX_DAY_NAMES, OTHER_NAME
from tests.integration.projections_log import NOON, Event, EventLog, opened, tool, used
from tests.integration.test_projections_fold import fold_all
from tests.integration.test_projections_usage import reverse
from tests.integration.usage_log import fold_usage

LINES = """
SELECT account_id, (slot AT TIME ZONE 'UTC')::date AS day, kind, item, sum(amount)::bigint
FROM projections.usage_slots GROUP BY 1, 2, 3, 4
"""
Lines = dict[tuple[object, ...], int]


def flood(seed: int) -> list[Event]:
    """More names than there is room for, on one of three days and of one of two accounts; reversals on a later one."""
    rng = random.Random(seed)
    events = [*opened("acct-1"), *opened("acct-2")]
    for number in range(2_000):
        name = f"n{rng.randrange(5_000)}" if rng.random() < 0.9 else rng.choice(("known", OTHER_NAME))
        day = NOON - timedelta(days=rng.choice((0, 0, 0, 0, 0, 0, 0, 0, 1)))
        account = "acct-1" if number % 20 else "acct-2"
        data = {"deployment": rng.choice(("eu", "us")), "status": "ok"}
        run = used(account, 1, name, occurred_at=day, data=data)
        events.append(run)
        if number % 50 == 0:
            events += [reverse(run, 500_000, timedelta(days=1)), tool(account, name=name)]
    return events


def expect(events: list[Event]) -> Lines:
    """By the rule, one event after the other."""
    names: defaultdict[tuple[object, ...], set[object]] = defaultdict(set)
    lines: Counter[tuple[object, ...]] = Counter()
    for event in events:
        origin = event.reverses or event
        if origin.type > 4:
            continue
        day = event.account_id, event.occurred_at.date()
        name = origin.type, origin.name
        if name not in names[day] and len(names[day]) < MAX_DAY_NAMES:
            names[day].add(name)
        shown = origin.name if name in names[day] else OTHER_NAME
        lines[*day, origin.type, shown] += -event.amount if event.reverses else event.amount
    return dict(lines)


async def fetch(pool: Pool) -> Lines:
    return {tuple(row)[:4]: row[4] for row in await pool.fetch(LINES)}


@pytest.mark.parametrize("most_events", [97, 100_000])
async def test_names_beyond_the_first_go_to_other_wherever_the_fold_is_cut(pool: Pool, most_events: int) -> None:
    log = EventLog(pool)
    await log.set_up()
    events = flood(most_events)
    await log.append(*events)
    await fold_all(pool)
    await fold_usage(pool, most_events)
    lines = await fetch(pool)
    assert lines == expect(events)
    named = Counter(key[:2] for key in lines if key[3] != OTHER_NAME)
    assert MAX_DAY_NAMES - 5 < max(named.values()) <= MAX_DAY_NAMES
    assert sum(lines.values()) == await pool.fetchval("SELECT sum(amount) FROM projections.usage_totals")
    names = set(map(tuple, await pool.fetch("SELECT * FROM projections.day_names")))
    assert [difference async for report in verify(pool) for difference in report.differences] == []
    await pool.execute("DELETE FROM projections.day_names WHERE item LIKE 'n1%'")
    await pool.execute("DELETE FROM projections.usage_slots WHERE item LIKE 'n2%'")
    await Rebuild(pool, [Model.USAGE], progress=lambda _events: None).run()
    assert await fetch(pool) == lines
    assert set(map(tuple, await pool.fetch("SELECT * FROM projections.day_names"))) == names
