"""What support does with accounts, as the role of support, and what the people of the account notice of it."""

from collections.abc import Callable

import pytest

from deploy.local.stack import Addresses
from schemas.resources import Resource
from tests.e2e.running import WAIT_S, Running
from tests.support.waiting import until

Verb = Callable[..., str]


@pytest.fixture
def verb(running: Running, stack: Addresses) -> Verb:
    """Run a command as credit_support; its stdout."""
    database = str(running.settings.postgres_dsn).rpartition("/")[2]
    dsn = stack.dsn(database, "credit_support")

    def run(*arguments: str) -> str:
        command, *rest = arguments
        done = running.processes.run(command, *rest, postgres_dsn=dsn)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
        return done.stdout

    return run


async def test_each_verb_once_with_its_effect(running: Running, verb: Verb) -> None:
    await running.open("acct-1")
    await running.use_settled("acct-1", Resource.MODEL_CREDITS, "60")
    await running.until_banner("acct-1", (80, True))
    assert len(running.subjects("acct-1")) == 1
    assert "plan team" in verb("meter", "accounts", "plan", "acct-1", "Team", "--yes")
    assert "name Example" in verb("meter", "accounts", "rename", "acct-1", "Example", "--time-zone", "Asia/Tokyo")

    assert "successor@example.com" in verb("meter", "accounts", "contacts", "acct-1", "successor@example.com")
    [letter] = await until(lambda: running.mail.sent_to("successor@example.com"), WAIT_S, "the successor is told")
    assert "80" in str(letter.message["Subject"])
    assert len(running.subjects("acct-1")) == 1  # who is no contact any more hears nothing

    closed = verb("meter", "accounts", "close", "acct-1", "--yes")
    assert "15 of 75 model credits left, refused: the account is closed" in closed
    await running.until_banner("acct-1", None)
    assert "now 15 of 75 model credits left\n" in verb("meter", "accounts", "reopen", "acct-1")
    assert len(running.mail.sent_to("successor@example.com")) == 1  # and knows it already
    assert '"state": "open"' in verb("meter", "accounts", "show", "acct-1", "--json")


async def test_what_comes_before_the_opening_reaches_the_right_people(running: Running, verb: Verb) -> None:
    verb("meter", "accounts", "contacts", "acct-2", "billing@example.com", "--yes")
    assert "acct-2" in verb("meter", "accounts", "unopened")
    await running.open("acct-2")
    await running.use_settled("acct-2", Resource.MODEL_CREDITS, "40")
    await until(lambda: running.mail.sent_to("billing@example.com"), WAIT_S, "the kept contact is told")
    assert running.subjects("acct-2") == []
    assert "acct-2" not in verb("meter", "accounts", "unopened")


async def test_a_refused_letter_is_tried_again_and_a_rejection_dismissed(running: Running, verb: Verb) -> None:
    running.mail.rule("rcpt", "550 5.1.1 no such user", recipient="acct-3@example.com")
    await running.open("acct-3")
    await running.use_settled("acct-3", Resource.MODEL_CREDITS, "40")
    number = verb("notifier", "emails", "list", "--state", "refused").splitlines()[1].split("\t")[1]
    running.mail.clear_rules()
    assert verb("notifier", "emails", "retry", number) == f"{number}: queued\n"
    await until(lambda: running.mail.sent_to("acct-3@example.com"), WAIT_S, "the letter arrives")

    await running.pool.execute(
        "ALTER TABLE meter.events ADD CONSTRAINT no_such_account CHECK (account_id <> 'acct-4') NOT VALID"
    )
    verb("meter", "accounts", "plan", "acct-4", "team", "--no-wait")

    async def rejected() -> int | None:
        return await running.pool.fetchval("SELECT rejection_id FROM meter.rejections")  # type: ignore[no-any-return]

    rejection = str(await until(rejected, WAIT_S, "rejected"))
    assert "unstorable" in verb("meter", "rejections", "list", "--account", "acct-4")
    verb("meter", "rejections", "dismiss", rejection, "--reason", "a trial")
    assert len(verb("meter", "rejections", "list").splitlines()) == 1
    assert "a trial" in verb("meter", "rejections", "list", "--all")
