"""Names of a day: the first 1,000 by position have lines, the rest is one; wherever it is cut, and after a rebuild.
So it is with the first 5,000 pairs of deployment and status of these names."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable
from datetime import timedelta

import pytest

from meter.runtime.postgres import Pool
from projections.rebuild import Exchange, Model, Rebuild
from projections.verify import verify
from schemas.limits import MAX_DAY_DEPLOYMENTS, MAX_DAY_NAMES, OTHER_NAME
from tests.integration.projections_log import MOST, NOON, Event, EventLog, fold_all, opened, reverse, tool, used
from tests.integration.usage_log import fold_usage

SEPARATOR = "\x1f"
FEW = 100  # lines: names of a day with fewer need not be noted
LINES = """
SELECT account_id, (slot AT TIME ZONE 'UTC')::date AS day, kind, item, deployment, status, sum(amount)::bigint
FROM projections.usage_slots GROUP BY 1, 2, 3, 4, 5, 6
"""
Lines = dict[tuple[object, ...], int]


def flood_names(seed: int) -> list[Event]:
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


def flood_pairs(seed: int) -> list[Event]:
    """More deployments and statuses than there is room for, of few names, two of which are beyond theirs; some have one
    of the two, or really are called as the others are."""
    rng = random.Random(seed)
    first = [*(f"n{number}" for number in range(MAX_DAY_NAMES - 3)), "sage", "swift"]
    events = [*opened("acct-1"), *(used("acct-1", 1, name) for name in first)]
    for number in range(MAX_DAY_DEPLOYMENTS + 1_500):
        deployment = rng.choice((f"pod-{number}", f"pod-{number}", f"pod-{number // 7}", "", OTHER_NAME))
        status = rng.choice((f"failed: {number}", f"failed: {number // 7}", "ok", "", OTHER_NAME))
        name = rng.choice(("sage", "sage", "sage", "swift", OTHER_NAME, "beyond", "far-beyond"))
        day = NOON - timedelta(days=rng.random() < 0.05)
        said = {"deployment": deployment, "status": status, "category": rng.choice(("", "hosting"))}
        run = used("acct-1", 1, name, occurred_at=day, data=said)
        events.append(run)
        if number % 50 == 0:
            events.append(reverse(run, 500_000, timedelta(days=1)))
    return events


def pair_of(event: Event) -> tuple[str, str]:
    deployment, status = (str(event.data.get(field) or "") for field in ("deployment", "status"))
    return deployment, status[:64]


Names = dict[tuple[object, ...], set[object]]  # by account and day


def expect(events: list[Event]) -> tuple[Lines, Names]:
    """By the rule, one event after the other: what the lines hold, and the names and pairs that have some."""
    names: defaultdict[tuple[object, ...], set[tuple[int, str]]] = defaultdict(set)
    pairs: defaultdict[tuple[object, ...], set[tuple[int, str, str, str]]] = defaultdict(set)
    lines: Counter[tuple[object, ...]] = Counter()
    for event in events:
        origin = event.reverses or event
        if origin.type > 4:
            continue
        day = event.account_id, event.occurred_at.date()
        name, said = (origin.type, origin.name), pair_of(origin)
        if name not in names[day] and len(names[day]) < MAX_DAY_NAMES:
            names[day].add(name)
        pair = (origin.type, origin.name, *said)
        if any(said) and pair not in pairs[day] and len(pairs[day]) < MAX_DAY_DEPLOYMENTS:
            pairs[day].add(pair)
        shown: tuple[str, ...] = (origin.name, *said)
        if name not in names[day]:
            shown = (OTHER_NAME, "", "")
        elif any(said) and pair not in pairs[day]:
            shown = (origin.name, *(OTHER_NAME if word else "" for word in said))
        lines[*day, origin.type, *shown] += -event.amount if event.reverses else event.amount
    noted: Names = {day: {*names[day], *((-kind, SEPARATOR.join(pair)) for kind, *pair in pairs[day])} for day in names}
    return dict(lines), noted


async def fetch_noted(pool: Pool) -> Names:
    noted: defaultdict[tuple[object, ...], set[object]] = defaultdict(set)
    rows = await pool.fetch("SELECT account_id, day, kind, item FROM projections.day_names")
    for account_id, day, kind, item in rows:
        noted[account_id, day].add((kind, item))
    return dict(noted)


async def fetch(pool: Pool) -> Lines:
    return {tuple(row)[:6]: row[6] for row in await pool.fetch(LINES)}


def crowded_days(lines: Lines, most: int) -> set[tuple[object, ...]]:
    return {day for day, lines_of_day in Counter(key[:2] for key in lines).items() if lines_of_day > most}


async def rebuild(pool: Pool) -> Exchange:
    [exchange] = await Rebuild(pool, [Model.USAGE], progress=lambda _events: None).run()
    return exchange


def count_kept(lines: Lines) -> tuple[int, int]:
    """Of the account and day with the most: names, and pairs of deployment and status."""
    names = {key[:4] for key in lines if key[3] != OTHER_NAME}
    pairs = {key for key in lines if any(key[4:]) and not {*key[4:]} <= {"", OTHER_NAME}}
    most = [max(Counter(key[:2] for key in kept).values(), default=0) for kept in (names, pairs)]
    return most[0], most[1]


@pytest.mark.parametrize("most_events", [97, 100_000])
@pytest.mark.parametrize("flood", [flood_names, flood_pairs])
async def test_names_beyond_the_first_go_to_other_wherever_the_fold_is_cut(
    pool: Pool, flood: Callable[[int], list[Event]], most_events: int
) -> None:
    log = EventLog(pool)
    await log.set_up()
    events = flood(most_events)
    await log.append(*events)
    await fold_all(pool, MOST)
    await fold_usage(pool, most_events)
    lines = await fetch(pool)
    expected, names_of_days = expect(events)
    assert lines == expected
    names, pairs = count_kept(lines)
    assert MAX_DAY_NAMES - 5 < names <= MAX_DAY_NAMES
    assert flood is flood_names or MAX_DAY_DEPLOYMENTS - 2_000 < pairs <= MAX_DAY_DEPLOYMENTS
    assert sum(lines.values()) == await pool.fetchval("SELECT sum(amount) FROM projections.usage_slots")
    # Of a day all names are noted or none; and all of the days that have many.
    noted = await fetch_noted(pool)
    assert crowded_days(lines, FEW) <= set(noted) and noted == {day: names_of_days[day] for day in noted}
    items = set(map(tuple, await pool.fetch("SELECT * FROM projections.used_items")))
    assert [difference async for report in verify(pool) for difference in report.differences] == []
    await pool.execute("DELETE FROM projections.day_names WHERE item LIKE 'n1%' OR item LIKE 'sage%'")
    await pool.execute("DELETE FROM projections.usage_slots WHERE item LIKE 'n2%' OR deployment LIKE 'pod-2%'")
    await rebuild(pool)
    assert await fetch(pool) == lines
    noted = await fetch_noted(pool)
    assert crowded_days(lines, MAX_DAY_NAMES) <= set(noted) and noted == {day: names_of_days[day] for day in noted}
    assert set(map(tuple, await pool.fetch("SELECT * FROM projections.used_items"))) == items


@pytest.mark.parametrize("flood", [flood_names, flood_pairs])
async def test_after_a_rebuild_in_the_middle_the_fold_goes_on_as_if_there_had_been_none(
    pool: Pool, flood: Callable[[int], list[Event]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("projections.rebuild.RANGE_EVENTS", 400)
    log = EventLog(pool)
    await log.set_up()
    events = flood(1)
    for part in (events[:1_500], events[1_500:]):
        await log.append(*part)
        await fold_all(pool, MOST)
        await fold_usage(pool, 250)
        await pool.execute("TRUNCATE projections.usage_slots, projections.day_names, projections.used_items")
        await rebuild(pool)
    assert await fetch(pool) == expect(events)[0]


async def test_a_rebuild_of_what_is_right_finds_nothing_to_change(pool: Pool) -> None:
    """Two names in all slots of a day, which are more lines than a day may have without its names noted."""
    log = EventLog(pool)
    await log.set_up()
    first = NOON.replace(hour=0)
    often = [
        used("acct-1", 1, ("sage", "swift")[n % 2], occurred_at=first + timedelta(minutes=4.8 * n)) for n in range(300)
    ]
    varied = [
        used("acct-2", 1, f"n{n % 30}", data={"deployment": f"pod-{n % 7}", "status": f"s{n % 5}"}) for n in range(300)
    ]
    await log.append(*opened("acct-1"), *opened("acct-2"), *often, *varied)
    await fold_all(pool, MOST)
    await fold_usage(pool, 60)
    assert await fetch_noted(pool) != {}
    exchange = await rebuild(pool)
    assert (exchange.added, exchange.changed, exchange.removed) == (0, 0, 0)
    await pool.execute("DELETE FROM projections.day_names WHERE item = 'n1'")
    exchange = await rebuild(pool)
    assert (exchange.added, exchange.changed, exchange.removed) == (1, 0, 0)
