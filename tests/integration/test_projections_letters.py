"""`projections verify` on letters: what the notifier holds of told levels is what the log and the letters say; every
damage is listed. And who knows of a line, in words for people: `notifier.line_states`."""

import json
import random
import re
from collections.abc import Sequence

import pytest

from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.postgres import Pool
from projections.verify import Difference, verify_shard
from tests.integration.projections_letters import GIVEN_UP, LATER, LOST, REFUSED, Mail, compare_states
from tests.integration.projections_log import (
    RUNS,
    SHARDS,
    EventLog,
    closed,
    contacts_changed,
    fold_all,
    granted,
    opened,
    reopened,
    reversed_,
    revoked,
    take_batch,
    tool,
    used,
)
from tests.integration.projections_notices import SETTLED, Notifier, find_differences, notifier
from tests.support.processes import Processes

__all__ = ["notifier"]  # the fixture

PEOPLE = tuple(f"{name}@example.com" for name in ("ann", "bob", "eve", "kim"))
ANN, BOB, EVE, _KIM = PEOPLE


@pytest.fixture
def mail(pool: Pool) -> Mail:
    return Mail(pool)


class Scene:
    """Events one by one, each folded and noticed before the next."""

    def __init__(self, pool: Pool, log: EventLog, notifier: Notifier, mail: Mail) -> None:
        self.pool, self.log, self.notifier, self.mail = pool, log, notifier, mail

    async def play(self, *events: object) -> None:
        for event in events:
            await self.log.append(*(event if isinstance(event, list) else [event]))
            await fold_all(self.pool)
            await self.notifier.read_all()

    async def states(self, account_id: str = "acct-1") -> list[str]:
        rows = await self.pool.fetch(
            "SELECT resource, line, contact, says FROM notifier.line_states WHERE account_id = $1 "
            "ORDER BY resource, line, contact",
            account_id,
        )
        return [f"{row['line']} {(row['contact'] or '-').partition('@')[0]}: {shorten(row['says'])}" for row in rows]


def shorten(words: str) -> str:
    """Without ids and times, which differ each time."""
    return re.sub(r",? by letter [0-9a-f-]{36} at [-0-9]{10} [:0-9]{8} UTC| since [-0-9]{10} [:0-9]{8} UTC", "", words)


@pytest.fixture
def scene(pool: Pool, log: EventLog, notifier: Notifier, mail: Mail) -> Scene:
    return Scene(pool, log, notifier, mail)


def random_letters(seed: int, accounts: int = 4, length: int = 160) -> list[object]:
    """Lines reached, lost and reached again; top-ups, revocations, closings; contacts who come, leave and return, in
    one spelling or another."""
    rng = random.Random(seed)
    names = [f"acct-{number}" for number in range(accounts)]
    events: list[object] = [*(event for name in names for event in opened(name, contacts=PEOPLE[:1]))]
    for _ in range(length):
        name = rng.choice(names)
        match rng.randrange(16):
            case 0:
                events.append(granted(name, rng.choice((1, 10, 25, 100))))
            case 1:
                events.append(reversed_(name, rng.choice((1, 5, 40))))
            case 2:
                events.append(revoked(name, rng.choice((1, 10, 100))))
            case 3:
                events.append(rng.choice((closed, reopened))(name))
            case 4 | 5 | 6:
                listed = rng.sample(PEOPLE, rng.randrange(4))
                events.append(contacts_changed(name, *(rng.choice((who, who.capitalize())) for who in listed)))
            case 7 | 8:
                events.append(tool(name, rng.choice((1000, 2500))))
            case 9:
                events.append(granted(name, 10_000, RUNS))
            case _:
                events.append(used(name, rng.choice((1, 5, 10, 20))))
    return events


@pytest.mark.parametrize("seed", range(5))
async def test_told_levels_are_what_log_and_letters_say(
    pool: Pool, log: EventLog, notifier: Notifier, mail: Mail, seed: int
) -> None:
    """With mail that works, fails and loses replies, and a notifier that falls behind."""
    rng = random.Random(seed)
    events = random_letters(seed)
    while events:
        await log.append(*take_batch(events, rng.choice((1, 3, 10))))  # type: ignore[arg-type]
        await fold_all(pool, rng.choice((2, 9, 40)))
        for shard in range(SHARDS):
            await notifier.read(shard, rng.choice((0, 1, 5, 30)))
        if rng.random() < 0.5:
            await mail.try_all(rng=rng)
        assert await letter_differences(pool) == []
        assert await state_differences(pool) == []
    await notifier.read_all()
    for _ in range(6):
        await mail.try_all(rng=rng)
    assert await find_differences(pool) == []
    assert await state_differences(pool) == []
    ends = {row["state"] for row in await pool.fetch("SELECT DISTINCT state FROM notifier.emails")}
    assert len(ends) >= 2 and "accepted" in ends


async def letter_differences(pool: Pool) -> Sequence[Difference]:
    return [difference for difference in await find_differences(pool, SETTLED) if difference.model == "letters"]


async def state_differences(pool: Pool) -> list[str]:
    async with pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        return [wrong for shard in range(SHARDS) for wrong in await compare_states(connection, shard, SETTLED)]


async def tell_a_story(scene: Scene) -> None:
    """ann was told 50 and 80 and joined by bob; eve is refused; acct-2 has a letter that waits; acct-3 nobody."""
    await scene.play(opened("acct-1", contacts=[ANN]), used("acct-1", 40))
    await scene.mail.try_all()
    await scene.play(used("acct-1", 20))
    await scene.mail.try_all()
    await scene.play(contacts_changed("acct-1", ANN, BOB, EVE))
    await scene.play(used("acct-1", 8))
    await scene.mail.try_all(REFUSED)
    await scene.play(opened("acct-2", contacts=[ANN]), used("acct-2", 60))
    await scene.play(opened("acct-3", contacts=[]), used("acct-3", 60))


TOLD = "notifier.told"
ANN_1 = "account_id = 'acct-1' AND contact = 'ann@example.com'"
DAMAGES = (
    (f"UPDATE {TOLD} SET level = 90 WHERE {ANN_1} AND resource = 'model_credits'", "told level"),
    (f"UPDATE {TOLD} SET level = 50 WHERE {ANN_1} AND resource = 'model_credits'", "told level"),
    (f"DELETE FROM {TOLD} WHERE {ANN_1} AND resource = 'model_credits'", "told level"),
    (f"UPDATE {TOLD} SET level = 50 WHERE {ANN_1} AND resource = 'tool_runs'", "told level"),
    (
        f"UPDATE {TOLD} SET level = 70 WHERE account_id = 'acct-1' AND contact LIKE 'bob%' AND resource LIKE 'model%'",
        "told level",
    ),
    ("UPDATE notifier.emails SET state = 'cancelled', finished_at = now() WHERE account_id = 'acct-2'", "letter"),
    ("DELETE FROM notifier.email_attempts; DELETE FROM notifier.emails WHERE account_id = 'acct-2'", "letter"),
    ("UPDATE notifier.balances SET line = 90 WHERE account_id = 'acct-2' AND resource = 'model_credits'", "line"),
    ("UPDATE notifier.balances SET line = 0 WHERE account_id = 'acct-2' AND resource = 'model_credits'", "line"),
    ("UPDATE notifier.balances SET allocation = allocation - 1 WHERE account_id = 'acct-2'", "amounts"),
    ("UPDATE notifier.balances SET consumed = consumed - 1 WHERE account_id = 'acct-2'", "amounts"),
    ("UPDATE notifier.contacts SET is_contact = false WHERE account_id = 'acct-2'", "contact"),
    ("UPDATE notifier.contacts SET refused = true WHERE account_id = 'acct-2'", "refused"),
    ("UPDATE notifier.contacts SET refused = false WHERE account_id = 'acct-1' AND contact LIKE 'eve%'", "letter"),
)


async def test_every_damage_to_what_is_told_is_listed(scene: Scene) -> None:
    """One by one, each undone after it was looked at."""
    await tell_a_story(scene)
    assert await find_differences(scene.pool) == []
    unseen = []
    async with scene.pool.acquire() as connection:
        for damage, what in DAMAGES:
            transaction = connection.transaction(isolation="repeatable_read")
            await transaction.start()
            await connection.execute(damage)
            reports = [await verify_shard(connection, shard, SETTLED) for shard in range(SHARDS)]
            found = [d for report in reports for d in report.differences if d.model == "letters"]
            if not any(what in difference.what for difference in found):
                unseen.append((damage, found))
            assert "@" not in json.dumps(found), "an address in a difference"
            await transaction.rollback()
    assert unseen == []


async def test_a_letter_that_nobody_is_owed_is_counted_until_it_is_cancelled(scene: Scene) -> None:
    await scene.play(opened("acct-1", contacts=[ANN]), used("acct-1", 40), granted("acct-1", 100))
    async with scene.pool.acquire() as connection, connection.transaction(isolation="repeatable_read"):
        reports = [await verify_shard(connection, shard, SETTLED) for shard in range(SHARDS)]
    assert sum(report.ending or 0 for report in reports) == 1
    assert not any(report.differences for report in reports)


async def test_each_line_is_in_exactly_one_state_for_each_contact(scene: Scene) -> None:
    await tell_a_story(scene)
    assert await scene.states("acct-1") == [
        "50 ann: told",
        "50 bob: known from the contacts they joined",
        "50 eve: known from the contacts they joined",
        "70 ann: covered by 80 %",
        "70 bob: known from the contacts they joined",
        "70 eve: known from the contacts they joined",
        "80 ann: told",
        "80 bob: known from the contacts they joined",
        "80 eve: known from the contacts they joined",
        "90 ann: owed: the address was refused",
        "90 bob: owed: the address was refused",
        "90 eve: owed: the address was refused",
    ]
    assert await scene.states("acct-2") == [f"{line} ann: owed: the letter waits to be sent" for line in (50, 70, 80)]
    assert await scene.states("acct-3") == [f"{line} -: nobody to tell" for line in (50, 70, 80)]


async def test_a_line_known_from_an_earlier_epoch_and_one_that_lapsed(scene: Scene) -> None:
    await scene.play(opened("acct-1", contacts=[ANN]), used("acct-1", 60))
    await scene.mail.try_all()
    await scene.play(granted("acct-1", 25), used("acct-1", 12), reversed_("acct-1", 6))
    assert await scene.states() == ["50 ann: known from epoch 1", "70 ann: lapsed: no longer reached"]
    await scene.play(closed("acct-1"))
    assert await scene.states() == ["50 ann: known from epoch 1", "70 ann: lapsed: account closed"]


@pytest.mark.parametrize(
    ("judgement", "says"),
    [
        (LATER, "owed: retrying"),
        (LOST, "owed: retrying, replies lost: 1"),
        (GIVEN_UP, "owed: given up until the next line or epoch, or `notifier emails retry`"),
    ],
)
async def test_why_a_line_is_owed(scene: Scene, judgement: object, says: str) -> None:
    await scene.play(opened("acct-1", contacts=[ANN]), used("acct-1", 40))
    await scene.mail.try_all(judgement)  # type: ignore[arg-type]
    assert await scene.states() == [f"50 ann: {says}"]


async def test_another_spelling_of_an_address_is_the_same_contact(scene: Scene) -> None:
    await scene.play(opened("acct-1", contacts=[ANN]), used("acct-1", 40))
    await scene.mail.try_all()
    await scene.play(contacts_changed("acct-1", ANN.upper(), BOB))
    assert await find_differences(scene.pool) == []
    assert await scene.states() == ["50 ann: told", "50 bob: known from the contacts they joined"]


async def test_who_leaves_is_owed_nothing(scene: Scene) -> None:
    await scene.play(opened("acct-1", contacts=[ANN]), used("acct-1", 40), contacts_changed("acct-1", BOB))
    assert await scene.states() == ["50 ann: lapsed: no contact any more", "50 bob: owed: the letter waits to be sent"]


TAMPERING = (
    (f"UPDATE {TOLD} SET level = 90 WHERE {ANN_1} AND resource = 'model_credits'", "told level"),
    ("UPDATE notifier.emails SET state = 'cancelled' WHERE account_id = 'acct-1' AND state = 'accepted'", "told level"),
    ("UPDATE notifier.emails SET state = 'accepted', finished_at = now() WHERE account_id = 'acct-2'", "letter"),
    ("UPDATE notifier.thresholds SET email = '{30,60}'", "line reached"),
    ("UPDATE notifier.thresholds SET banner = '{10}'", "banner 20 %"),
)


async def test_the_commands_say_the_same_and_find_what_was_tampered_with(
    scene: Scene, processes: Processes, stack: Addresses, dsn: str
) -> None:
    """As the role of support. One tampering after the other: each adds a difference."""
    await tell_a_story(scene)
    async with scene.pool.acquire() as connection:
        await create_roles(connection)
    support = {"postgres_dsn": stack.dsn(dsn.rpartition("/")[2], "credit_support")}
    verified = processes.run("projections", "verify", "--settled", **support)
    assert (verified.returncode, verified.stdout) == (0, ""), verified.stderr
    rows = await scene.pool.fetch("SELECT says FROM notifier.line_states WHERE account_id = 'acct-1'")
    notices = processes.run("notifier", "notices", "acct-1", **support).stdout
    explained = processes.run("projections", "explain", "acct-1", **support).stdout
    assert rows and all(row["says"] in notices and row["says"] in explained for row in rows)
    before = set[str]()
    for tampering, what in TAMPERING:
        await scene.pool.execute(tampering)
        verified = processes.run("projections", "verify", "--settled", **support)
        found = set(verified.stdout.splitlines())
        assert verified.returncode == 1 and any(what in line for line in found - before), (
            f"{tampering}: {found - before}"
        )
        assert "@" not in verified.stdout
        before = found
