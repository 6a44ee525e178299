"""Real notifier processes: killed at the worst moments, several at once, and the command line."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from deploy.local.mail import DROP, MailSink
from deploy.local.stack import Addresses
from meter.roles import create_roles
from meter.runtime.kafka import Message, Producer
from meter.runtime.postgres import Pool
from meter.runtime.settings import Settings
from notifier.decide import BalanceSnapshot
from notifier.model import AccountSnapshot
from schemas.topics import BALANCES, partition_for
from tests.support import until
from tests.support.processes import Processes, ServiceProcess
from tests.unit.notifier.builders import account, encode_change, percent

PARTITIONS = 3
ACCOUNTS = tuple(f"acc-{number}" for number in range(6))
FIRST, SECOND = ACCOUNTS[::2], ACCOUNTS[1::2]  # of the second, each is of another shard
BANNERS = 'metering_notices_total{channel="banner"}'


def story(account_id: str) -> list[BalanceSnapshot | AccountSnapshot]:
    """Lines up to 100 %, by steps that a letter each could tell, with two contacts."""
    place: dict[str, Any] = {"account_id": account_id, "shard": partition_for(account_id.encode(), PARTITIONS)}
    contacts = (f"{account_id}.a@example.com", f"{account_id}.b@example.com")
    changes: list[BalanceSnapshot | AccountSnapshot] = [account(1, contacts=contacts, **place), percent(0, 2, **place)]
    return [*changes, *(percent(whole, whole, free_only=True, **place) for whole in (30, 50, 72, 85, 100))]


CONTACTS = 2 * len(ACCOUNTS)
# Contacts who were told the highest line of their account.
TOLD = "SELECT count(*) FROM notifier.told WHERE level = 90"


async def publish(settings: Settings, accounts: Iterable[str] = ACCOUNTS) -> None:
    messages = [Message(BALANCES, name, encode_change(change)) for name in accounts for change in story(name)]
    async with Producer(settings) as producer:
        await producer.publish(messages)


@pytest.fixture
def mailing(mail: MailSink) -> dict[str, str]:
    return {
        "smtp_host": mail.host,
        "smtp_port": str(mail.port),
        "mail_from": "credits@example.com",
        "mail_poll_s": "0.05",
        "mail_pause_s": "0.5",
        "mail_retry_first_s": "0.1",
        "mail_trouble_first_s": "0.1",
        "mail_trouble_max_s": "0.3",
        "smtp_timeout_s": "5",
        "kafka_session_ms": "2000",  # a killed process is out of the group soon
    }


async def expire_claims(pool: Pool) -> None:
    """What waiting for the end of a dead mailer's claims would do."""
    await pool.execute("UPDATE notifier.emails SET next_attempt_at = now() WHERE state = 'queued'")


async def all_told(pool: Pool) -> bool:
    waiting = await pool.fetchval(
        "SELECT (SELECT count(*) FROM notifier.emails WHERE state = 'queued') + (SELECT count(*) FROM notifier.outbox)"
    )
    return bool(await pool.fetchval(TOLD) == CONTACTS and waiting == 0)


async def check_story(pool: Pool, mail: MailSink) -> None:
    """Every notice once, everybody told the highest line, and no letter more often than the tries in doubt explain."""
    rows = await pool.fetch("SELECT account_id, channel, threshold FROM notifier.notices")
    lines = {("banner", line) for line in (20, 50, 70, 80, 90, 100)} | {("email", line) for line in (50, 70, 80, 90)}
    assert sorted(tuple(row) for row in rows) == sorted((name, *line) for name in ACCOUNTS for line in lines)
    emails = await pool.fetch("SELECT message_id, state, ambiguous_attempts FROM notifier.emails")
    assert {row["state"] for row in emails} <= {"accepted", "presumed", "cancelled"}
    accepted = {row["message_id"] for row in emails if row["state"] == "accepted"}
    ids = [sent.message_id for sent in mail.mails]
    assert accepted <= set(ids)
    assert len(ids) - len(accepted) <= sum(row["ambiguous_attempts"] for row in emails)
    subjects = {str(sent.message["Subject"]) for sent in mail.mails if sent.message_id in accepted}
    assert any(subject.startswith("100 %") for subject in subjects)
    assert await pool.fetchval("SELECT count(*) FROM notifier.banners WHERE threshold = 100") == len(ACCOUNTS)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize("point", [
    "after_fetch:1", "after_compare_and_set:1", "before_commit:1", "after_commit:1", "outbox_before_publish:2",
    "outbox_between_publish_and_delete:1", "email_before_dot:2", "email_between_dot_and_record:3",
])  # fmt: skip
async def test_a_kill_at_the_worst_moment_loses_nothing(
    point: str, settings: Settings, pool: Pool, mail: MailSink, processes: Processes, mailing: dict[str, str]
) -> None:
    await publish(settings)
    killed = processes.spawn("notifier", fault_points=f"{point}:kill", **mailing)
    await until(lambda: not killed.running, timeout_s=30, message=killed.output)
    assert killed.wait() == -9, killed.output()
    await expire_claims(pool)
    other = processes.start("notifier", **mailing)
    await until(lambda: all_told(pool), timeout_s=40, message=other.output)
    await check_story(pool, mail)
    other.terminate()
    assert other.wait() == 0


def read_metric(process: ServiceProcess, name: str) -> float:
    """0 while it shows none."""
    lines = [line for line in process.get("/metrics")[1].splitlines() if line.startswith(f"{name} ")]
    return float(lines[0].rpartition(" ")[2]) if lines else 0


@pytest.mark.usefixtures("installed")
async def test_several_processes_share_the_work_and_send_nothing_twice(
    settings: Settings, pool: Pool, mail: MailSink, processes: Processes, mailing: dict[str, str]
) -> None:
    made = [processes.spawn("notifier", **mailing) for _ in range(3)]

    def tell() -> str:
        return "\n".join(process.output() for process in made)

    await publish(settings, FIRST)  # while they join
    await until(lambda: all(read_metric(process, "metering_shards") == 1 for process in made), message=tell)
    await publish(settings, SECOND)
    await until(lambda: all_told(pool), timeout_s=60, message=tell)
    assert sum(read_metric(process, BANNERS) > 0 for process in made) >= 2
    await check_story(pool, mail)
    assert len(mail.mails) == len({sent.message_id for sent in mail.mails})
    for process in made:
        process.terminate()
    assert [process.wait() for process in made] == [0, 0, 0]


@pytest.mark.usefixtures("installed")
async def test_a_mail_server_that_misbehaves_in_every_way_gets_every_mail_in_the_end(
    settings: Settings, pool: Pool, mail: MailSink, processes: Processes, mailing: dict[str, str]
) -> None:
    mail.rule("greeting", "421 4.3.2 too busy", times=2)
    mail.rule("greeting", DROP, times=2)
    mail.rule("mail", "451 4.3.0 later", times=2)
    mail.rule("rcpt", "450 4.2.1 busy", times=3)
    mail.rule("rcpt", DROP, times=2)
    mail.rule("data", "452 4.3.1 full", times=2)
    mail.rule("dot", "451 4.3.0 later", times=2)
    mail.rule("dot", DROP, times=2, keep=True)
    mail.rule("dot", DROP, times=2)
    await publish(settings)
    process = processes.spawn("notifier", **mailing)
    await until(lambda: all_told(pool), timeout_s=60, message=process.output)
    await check_story(pool, mail)
    assert await pool.fetchval("SELECT sum(ambiguous_attempts) FROM notifier.emails") == 4
    by_id: dict[str, bytes] = {}
    for sent in mail.mails:
        assert by_id.setdefault(sent.message_id, sent.content) == sent.content


@pytest.mark.usefixtures("installed")
async def test_a_mail_server_that_is_away_is_waited_for(
    settings: Settings, pool: Pool, mail: MailSink, processes: Processes, mailing: dict[str, str]
) -> None:
    mail.stop()
    await publish(settings)
    process = processes.spawn("notifier", **mailing)  # it may never be ready
    await until(lambda: '"smtp":false' in process.get("/readyz")[1].replace(" ", ""), 60, process.output)
    assert process.get("/readyz")[0] == 503
    mail.start()
    await until(lambda: all_told(pool), timeout_s=40, message=process.output)
    await until(lambda: process.get("/readyz")[0] == 200, message=process.output)
    await check_story(pool, mail)
    assert await pool.fetchval("SELECT max(attempts) FROM notifier.emails") == 1
    assert f'metering_emails_total{{outcome="accepted"}} {CONTACTS}.0' in process.get("/metrics")[1]
    assert len(mail.mails) == CONTACTS  # after an outage everybody gets one letter, the true one
    assert "@example.com" not in "".join(map(str, process.logged()))


# --- the command line ------------------------------------------------------------------------------------------------


def rows(output: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in output.splitlines()]


@pytest.mark.usefixtures("installed")
async def test_commands_tell_what_an_account_was_told(
    settings: Settings, pool: Pool, mail: MailSink, processes: Processes, mailing: dict[str, str], stack: Addresses,
    dsn: str,
) -> None:  # fmt: skip
    async with pool.acquire() as connection:
        await create_roles(connection)
    mail.rule("rcpt", "550 5.1.1 no such user", recipient="acc-0.b@example.com")
    await publish(settings, ACCOUNTS[:1])
    processes.start("notifier", **mailing)

    async def ended() -> bool:
        return bool(await pool.fetchval("SELECT count(*) = 2 FROM notifier.emails WHERE state <> 'queued'"))

    await until(ended, timeout_s=30)
    told = rows(ok(processes, "notices", "acc-0", "--json"))
    reached = {(row["contact"][6:7], row["threshold"], row["state"], row["reason"]) for row in told if row["contact"]}
    assert reached == {
        *(("a", line, "told" if line == 90 else "covered", None) for line in (50, 70, 80, 90)),
        *(("b", line, "owed", "refused") for line in (50, 70, 80, 90)),
    }
    assert {row["threshold"] for row in told if row["channel"] == "banner"} == {20, 50, 70, 80, 90, 100}
    lines = ok(processes, "notices", "acc-0").splitlines()
    assert lines[0].split("\t")[:3] == ["created_at", "resource", "epoch"] and len(lines) == len(told) + 1
    banner = rows(ok(processes, "banners", "acc-0", "--json"))[0]
    assert (banner["threshold"], banner["removable"], banner["kind"]) == (100, False, "free_expired")
    [refused] = rows(ok(processes, "emails", "list", "--state", "refused", "--json"))
    assert "550" in refused["reason"] and refused["recipient"] == "acc-0.b@example.com"
    [accepted] = rows(ok(processes, "emails", "list", "--account", "acc-0", "--state", "accepted", "--json"))
    assert accepted["lines"] == [{"resource": "model_credits", "line": 90, "epoch": 1}]
    assert accepted["next_attempt_at"] is None
    assert rows(ok(processes, "emails", "list", "--recipient", "nobody@example.com", "--json")) == []
    assert rows(ok(processes, "emails", "list", "--recipient", "Acc-0.B@EXAMPLE.com", "--json")) == [refused]
    support = {"postgres_dsn": stack.dsn(dsn.rpartition("/")[2], "credit_support")}
    await check_retry(processes, mail, support, refused["email_id"], accepted["email_id"])
    requests = await pool.fetch("SELECT requested_by, outcome FROM notifier.retry_requests ORDER BY requested_at")
    assert [tuple(row)[1] for row in requests] == ["nothing", "queued"] and requests[1]["requested_by"] == "support-1"
    unknown = processes.run("notifier", "notices", "nobody")
    assert unknown.returncode == 1 and "nobody" in unknown.stderr and unknown.stdout == ""


async def check_retry(
    processes: Processes, mail: MailSink, support: dict[str, str], refused: str, accepted: str
) -> None:
    """What was refused is sent when a person says so, and what was accepted is owed to nobody. Support asks for it."""
    shown, *tries = rows(ok(processes, "emails", "show", refused, "--json"))
    assert (shown["state"], shown["refused"], shown["told"]) == ("refused", True, [])
    assert shown["reached_now"] == [{"resource": "model_credits", "line": 90}]
    assert [row["reply_code"] for row in tries] == [550]
    text = processes.run("notifier", "emails", "show", accepted, "--text", **support)
    [sent] = mail.sent_to("acc-0.a@example.com")
    body = sent.message.get_body(("plain",))
    assert body is not None and text.returncode == 0, text.stderr
    assert text.stdout == f"Subject: {sent.message['Subject']}\n\n{body.get_content()}".replace("\r\n", "\n")
    none = processes.run("notifier", "emails", "show", refused, "--text", **support)
    assert (none.returncode, none.stdout) == (1, "") and "never handed over" in none.stderr
    idle = processes.run("notifier", "emails", "retry", accepted, **support)
    assert idle.returncode == 1 and "nothing is owed" in idle.stdout
    mail.clear_rules()
    nobody = processes.run("notifier", "emails", "retry", "6b0e2f0e-6a53-5b3e-8b3e-0d4c6f3a2b10", **support)
    assert nobody.returncode == 1 and "there is no such letter" in nobody.stdout
    done = processes.run("notifier", "emails", "retry", refused, "--by", "support-1", **support)
    assert (done.returncode, done.stdout) == (0, f"{refused}: queued\n"), done.stderr
    await until(lambda: mail.sent_to("acc-0.b@example.com"), timeout_s=30)


def ok(processes: Processes, *arguments: str) -> str:
    done = processes.run("notifier", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_wrong_settings_end_with_2_and_an_unreachable_database_with_3(processes: Processes) -> None:
    wrong = processes.run("notifier", "run", banner_thresholds="200", mail_from="nobody")
    assert wrong.returncode == 2
    assert "METERING_BANNER_THRESHOLDS" in wrong.stderr and "METERING_MAIL_FROM" in wrong.stderr
    away = processes.run("notifier", "notices", "acc-0", postgres_dsn="postgresql://127.0.0.1:1/nothing")
    assert away.returncode == 3 and "postgres is not reachable" in away.stderr


def test_a_template_that_cannot_be_used_ends_with_2(processes: Processes, tmp_path: Any) -> None:
    (tmp_path / "email.txt.j2").write_text("{{ nothing }}")
    done = processes.run("notifier", "run", templates_dir=str(tmp_path))
    assert done.returncode == 2 and "template" in done.stderr
