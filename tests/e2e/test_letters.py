"""Who is told what, on real processes: each history an account of its own, all of a group at the same time."""

from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import pytest

from meter.runtime.kafka import TopicAdmin
from tests.e2e.letters_cases import (
    BURST,
    MAIL_WORKS,
    NO_MAIL,
    NO_NOTIFIER,
    OTHER_THRESHOLDS,
    RELAY_REFUSES,
    Case,
)
from tests.e2e.letters_stage import NOTIFIER_SETTINGS, Stage, address_of
from tests.e2e.running import WAIT_S, Running
from tests.support.waiting import until

GROUPS = (MAIL_WORKS, NO_MAIL, NO_NOTIFIER, RELAY_REFUSES, BURST, OTHER_THRESHOLDS)


@pytest.fixture
def notifier_settings(request: pytest.FixtureRequest) -> dict[str, str]:
    return NOTIFIER_SETTINGS | getattr(request, "param", {})


@pytest.fixture
async def stage(running: Running) -> AsyncIterator[Stage]:
    async with TopicAdmin(running.settings) as admin:
        yield Stage(running, admin)


async def test_when_mail_works_or_refuses_some_or_everybody(stage: Stage) -> None:
    await begin(stage, MAIL_WORKS)
    await stage.play(steps(MAIL_WORKS), stage.mailed)
    await begin(stage, RELAY_REFUSES)
    await while_the_relay_refuses(stage)
    assert await compare(stage, MAIL_WORKS | RELAY_REFUSES) == {}
    await compare_events(stage)


async def while_the_relay_refuses(stage: Stage) -> None:
    """Said loudly, and not ready: each letter waits, and none is given up."""
    stage.mail.rule("rcpt", "550 5.7.1 relay access denied")
    await stage.play(steps(RELAY_REFUSES))
    await until(lambda: len(stage.notifier.logged("smtp_refuses_us")) >= 2, WAIT_S, "it says that it is refused")
    assert stage.notifier.get("/readyz")[0] != HTTPStatus.OK
    assert [await stage.ends_of(account) for account in RELAY_REFUSES] == [["queued"]] * len(RELAY_REFUSES)
    stage.mail.clear_rules()
    await stage.mailed()


# Long enough for the mail server to go away between a lost reply and the repeat.
@pytest.mark.parametrize("notifier_settings", [{"mail_retry_first_s": "40", "mail_retry_max_s": "40"}], indirect=True)
async def test_when_the_mail_server_or_the_notifier_is_away(stage: Stage) -> None:
    await begin(stage, NO_MAIL)
    await lose_replies(stage)
    stage.mail.stop()
    await stage.play(steps(NO_MAIL))
    stage.mail.start()
    await stage.mailed()
    await begin(stage, NO_NOTIFIER)
    await stage.stop_notifier()
    await stage.play(steps(NO_NOTIFIER), stage.folded)
    stage.notifier.spawn()
    await stage.mailed()
    assert await compare(stage, NO_MAIL | NO_NOTIFIER) == {}
    await compare_events(stage)


async def lose_replies(stage: Stage) -> None:
    doubtful = {account: case.doubt for account, case in NO_MAIL.items() if case.doubt}
    for account in doubtful:
        stage.mail.rule("dot", "drop", keep=True, recipient=address_of("owner", account), times=1)
    await stage.play(doubtful)
    await until(lambda: count_lost(stage) == len(doubtful), WAIT_S, "each has arrived, and its reply was lost")


def count_lost(stage: Stage) -> int:
    return sum(entry["ambiguous"] for entry in stage.notifier.logged("email_retry"))


async def test_when_many_lines_come_at_once_or_other_thresholds(stage: Stage) -> None:
    await begin(stage, BURST | OTHER_THRESHOLDS)
    # Long enough for the steps of a burst to be read one by one.
    await stage.restart_notifier(mail_pause_s="30")
    await stage.play(steps(BURST))
    await stage.mailed()
    await stage.restart_notifier(email_thresholds="30,50,60,70,80,90")
    await stage.play(steps(OTHER_THRESHOLDS))
    await stage.mailed()
    assert await compare(stage, BURST | OTHER_THRESHOLDS) == {}
    await compare_events(stage)


# --- playing and comparing --------------------------------------------------------------------------------------------


async def begin(stage: Stage, group: Mapping[str, Case]) -> None:
    """What comes before, told to the end; from then on the mail server answers as the cases say."""
    await stage.play({account: case.before for account, case in group.items()}, stage.mailed)
    for account, case in group.items():
        for rule in case.rules:
            given: dict[str, Any] = dict(rule)
            stage.mail.rule(recipient=address_of("owner", account), **given)


def steps(group: Mapping[str, Case]) -> dict[str, Any]:
    return {account: case.then for account, case in group.items()}


async def compare(stage: Stage, group: Mapping[str, Case]) -> dict[str, list[str]]:
    found = {account: await compare_case(stage, account, case) for account, case in group.items()}
    return {account: wrong for account, wrong in found.items() if wrong}


async def compare_case(stage: Stage, account: str, case: Case) -> list[str]:
    told = {
        who: tuple(subject.removesuffix(f": {account}") for subject in stage.subjects(who, account))
        for who in case.letters
    }
    wrong = [] if told == case.letters else [f"letters {told}, must be {case.letters}"]
    ends = tuple(await stage.ends_of(account))
    # What is owed, not, and owed again while mail is away may be one letter or two, of which the first was cancelled.
    if case.ends not in (ends, tuple(end for end in ends if end != "cancelled")):
        wrong.append(f"ends {ends}, must be {case.ends}")
    states = await stage.states_of(account)
    if case.states and tuple(states) != case.states:
        wrong.append(f"states {states}, must be {case.states}")
    texts = stage.texts(case.letters, account)
    wrong += [f"the last letter is without {said!r}: {texts[-1:]}" for said in case.says if said not in texts[-1]]
    if case.same_bytes is not None:
        mails = stage.mail.sent_to(address_of("owner", account))
        kinds = {(mail.message_id, mail.content) for mail in mails}
        if (len(kinds) == 1) is not case.same_bytes:
            wrong.append(f"{len(kinds)} kinds of bytes in {len(mails)} mails")
    return wrong


async def compare_events(stage: Stage) -> None:
    """Each letter was published when it was queued and when it ended, as what it ended as; nobody's address was."""
    rows = await stage.pool.fetch("SELECT email_id::text, state FROM notifier.emails")
    events = [event for event in await stage.running.notifications() if event["type"].startswith("email.")]
    ended = {event["data"]["email_id"]: event["data"]["outcome"] for event in events if "ended" in event["type"]}
    assert ended == {row["email_id"]: row["state"] for row in rows if row["state"] != "queued"}
    queued = {event["data"]["email_id"] for event in events if "queued" in event["type"]}
    assert queued == {row["email_id"] for row in rows}
    assert "@" not in str(events)
