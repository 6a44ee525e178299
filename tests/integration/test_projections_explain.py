"""`projections explain`: the story of an account out of the log, the notices and the stored balance."""

import json
import uuid
from datetime import datetime, timedelta
from typing import Any

import pytest

from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.errors import RefusalError
from meter.runtime.postgres import Pool
from projections.explain import Explainer, Explanation
from projections.timeline_lines import What
from schemas.resources import Resource
from tests.integration.projections_histories import random_history
from tests.integration.projections_log import (
    CREDITS,
    GRANTED,
    INFERENCE,
    NOON,
    RUNS,
    Event,
    EventLog,
    fold_all,
    granted,
    opened,
    plan_changed,
    reversed_,
    tool,
    used,
)
from tests.support.processes import Processes

ACCOUNT = "acct-1"


async def explain(pool: Pool, account_id: str = ACCOUNT, **options: Any) -> Explanation:
    defaults: dict[str, Any] = {"thresholds": (20, 50, 70, 80, 90, 100), "limit": 100, "range_events": 7}
    return await Explainer(account_id, **(defaults | options)).explain(pool)


def story() -> list[Event]:
    """Opened, used up beyond its end, topped up and reversed, with another account's events in between."""
    invoice = Event(
        account_id=ACCOUNT, type=GRANTED, resource=CREDITS, amount=100_000_000, name="top_up",
        data={"resource": "model_credits", "amount": "100", "reason": "top_up", "reference": "INV-1042"},
    )  # fmt: skip
    return [
        *opened(ACCOUNT), used(ACCOUNT, 30), used("acct-2", 1), used(ACCOUNT, 30), used(ACCOUNT, 20, "large-chat"),
        invoice, plan_changed(ACCOUNT, "team"), tool(ACCOUNT, 3), used(ACCOUNT, 1.5), reversed_(ACCOUNT, 1),
    ]  # fmt: skip


async def add_notices(pool: Pool) -> None:
    """What the notifier would have said of the first epoch: a banner, and an email sent after an uncertain try."""

    async def notice(channel: str, threshold: int, outcome: str) -> uuid.UUID:
        made = uuid.uuid4()
        await pool.execute(
            "INSERT INTO notifier.notices "
            "VALUES ($1, $2, 'model_credits', 1, $3, $4, $5, 75000000, 80000000, 0, 9, $6)",
            made, ACCOUNT, channel, threshold, outcome, NOON,
        )  # fmt: skip
        return made

    await notice("banner", 100, "delivered")
    await notice("email", 33, "superseded")
    delivered = await notice("email", 90, "delivered")
    email = uuid.uuid4()
    await pool.execute(
        "INSERT INTO notifier.emails (email_id, notice_id, shard, account_id, recipient, message_id, message, state, "
        "attempts, ambiguous_attempts, next_attempt_at, created_at, finished_at) "
        "VALUES ($1, $2, 0, $4, 'owner@example.com', '<1@example.com>', '', 'accepted', 2, 1, $3, $3, $3)",
        email, delivered, NOON, ACCOUNT,
    )  # fmt: skip
    await pool.executemany(
        "INSERT INTO notifier.email_attempts VALUES ($1, $2, $3, $3, $4, $5, $6, $7, 0)",
        [
            (email, 1, NOON, "retry", "dot", None, "connection lost"),
            (email, 2, NOON + timedelta(minutes=1), "accepted", "dot", 250, "2.0.0 queued"),
        ],
    )
    await pool.execute(
        "INSERT INTO notifier.banners VALUES ($1, 'model_credits', 20, 'low', true, 'A fifth is used.', 2, 0, 12, $2)",
        ACCOUNT, NOON,
    )  # fmt: skip


async def publish_story(pool: Pool, log: EventLog) -> None:
    await log.append(*story())
    await fold_all(pool, most_events=3)
    await add_notices(pool)


def positions_of_usage(log: EventLog) -> list[int]:
    shard = story()[0].shard
    events = [event for event in log.events if event.shard == shard]
    return [n for n, event in enumerate(events, start=1) if event.account_id == ACCOUNT and event.type == INFERENCE]


async def test_crossings_are_found_at_the_very_event(pool: Pool, log: EventLog) -> None:
    await publish_story(pool, log)
    explanation = await explain(pool)
    timeline = explanation.timeline.resources[CREDITS]
    uses = positions_of_usage(log)
    first = {threshold: line.first for (epoch, threshold), line in timeline.reached.items() if epoch == 1}
    assert first == {20: uses[0], 33: uses[0], 50: uses[1], 70: uses[1], 80: uses[1], 90: uses[2], 100: uses[2]}
    stored = await pool.fetchval(
        "SELECT event_id FROM meter.event_log WHERE account_id = $1 AND position = $2", ACCOUNT, uses[2]
    )
    assert timeline.reached[1, 100].event_id == stored
    changes = [(line.what, line.first) for line in timeline.lines.newest if line.what in (What.REFUSED, What.ALLOWED)]
    assert changes[1] == (What.REFUSED, uses[2])
    assert len(changes) == 3 and changes[2][0] is What.ALLOWED
    assert [line.note for line in timeline.lines.newest if line.what is What.GRANTED] == ["free_allowance", "INV-1042"]
    assert explanation.differences == []
    assert explanation.account and explanation.account.plan == "team"
    assert explanation.notifications and [row["phase"] for row in explanation.notifications.attempts] == ["dot", "dot"]


@pytest.mark.parametrize("seed", range(3))
async def test_any_history_is_explained_to_the_last_field(pool: Pool, log: EventLog, seed: int) -> None:
    await log.append(*random_history(seed=seed, accounts=4))
    await fold_all(pool)
    for account_id in {event.account_id for event in log.events}:
        explanation = await explain(pool, account_id, range_events=50)
        assert explanation.differences == []
        assert explanation.timeline.events == sum(event.account_id == account_id for event in log.events)


async def test_crossings_are_of_the_thresholds_given(pool: Pool, log: EventLog) -> None:
    await log.append(*story())
    await fold_all(pool)
    explanation = await explain(pool, thresholds=(40, 60))
    reached = explanation.timeline.resources[CREDITS].reached
    assert {threshold for epoch, threshold in reached if epoch == 1} == {40, 60}


async def test_one_resource_only(pool: Pool, log: EventLog) -> None:
    await publish_story(pool, log)
    explanation = await explain(pool, resource=Resource.TOOL_RUNS)
    assert list(explanation.timeline.resources) == [RUNS]
    assert list(explanation.balances) == [Resource.TOOL_RUNS]
    assert explanation.notifications and not explanation.notifications.notices and not explanation.notifications.emails
    assert explanation.differences == []


async def test_what_is_not_folded_yet_is_no_difference(pool: Pool, log: EventLog) -> None:
    await publish_story(pool, log)
    await log.append(used(ACCOUNT, 5), granted(ACCOUNT, 5))
    explanation = await explain(pool)
    assert explanation.differences == []
    assert explanation.progress.head - explanation.progress.position == 2


async def test_an_account_of_which_nothing_is_known(pool: Pool, log: EventLog) -> None:
    with pytest.raises(RefusalError, match="nothing is known of account acct-none"):
        await explain(pool, "acct-none")


async def test_json_is_one_document_with_everything(pool: Pool, log: EventLog, processes: Processes) -> None:
    await publish_story(pool, log)
    done = processes.run("projections", "explain", ACCOUNT, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document = json.loads(done.stdout)
    assert document["equal"] is True and document["differences"] == []
    state = document["summary"][0]
    assert [state[name] for name in ("resource", "left", "allocation", "epoch", "exhaustion", "allowed")] == [
        "model_credits", "94.5", "100", 2, "5.5", True,
    ]  # fmt: skip
    assert state["since_event_id"] and datetime.fromisoformat(state["since"]).tzinfo is not None
    assert document["older_lines_left_out"] == 0
    usage = [(u["name"], u["events"], u["amount"]) for u in document["usage"] if u["resource"] == "model_credits"]
    assert usage == [("small-chat", 2, "60"), ("large-chat", 1, "20"), ("small-chat", 1, "1.5")]
    [banner] = [n for n in document["notices"] if n["channel"] == "banner"]
    [refused] = [line for line in document["timeline"] if line["what"] == "refused"]
    assert (banner["reached_position"], banner["reached_event"]) == (refused["first_position"], refused["event_id"])
    [email] = document["emails"]
    assert (email["recipient"], email["state"], email["ambiguous_attempts"]) == ("owner@example.com", "accepted", 1)
    assert [(a["reply_code"], a["detail"]) for a in document["attempts"]] == [
        (250, "2.0.0 queued"), (None, "connection lost"),
    ]  # fmt: skip
    assert document["banners"][0]["text"] == "A fifth is used."


async def test_a_changed_balance_is_said_loudly(pool: Pool, log: EventLog, processes: Processes) -> None:
    await publish_story(pool, log)
    await pool.execute(
        "UPDATE projections.balance_states SET consumed = 7 WHERE account_id = $1 AND resource = 2", ACCOUNT
    )
    done = processes.run("projections", "explain", ACCOUNT)
    assert done.returncode == 1
    assert "DIFFERENCE: tool_runs consumed: stored 7, by the log 3000000" in done.stderr
    assert "projections verify" in done.stderr
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    assert ["differences", "tool_runs", "consumed", "7", "3000000"] in lines
    assert [(line[1], line[-1]) for line in lines if line[0] == "balances"][1:] == [
        ("model_credits", "true"), ("tool_runs", "false"),
    ]  # fmt: skip


async def test_an_unknown_account_ends_with_1(pool: Pool, log: EventLog, processes: Processes) -> None:
    done = processes.run("projections", "explain", "acct-none")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "nothing is known of account acct-none\n"


@pytest.mark.parametrize("role", ["support", "projections", "reader"])
async def test_a_role_sees_what_it_may_read(
    pool: Pool, log: EventLog, processes: Processes, stack: Addresses, dsn: str, role: str
) -> None:
    await publish_story(pool, log)
    async with pool.acquire() as connection:
        await create_roles(connection)
    own = stack.dsn(dsn.rpartition("/")[2], f"credit_{role}")
    done = processes.run("projections", "explain", ACCOUNT, "--json", postgres_dsn=own)
    assert done.returncode == (1 if role == "reader" else 0)
    assert ("credit_support" in done.stderr) == (role != "support")
    assert ("@" in done.stdout) == (role == "support")
    if role == "projections":
        assert json.loads(done.stdout)["emails"] is None
