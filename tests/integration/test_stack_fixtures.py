"""The fixtures keep their promises: every test stands alone on durable servers."""

import aiosmtplib
import asyncpg
import pytest

from deploy.local.mail import DROP, MailSink
from meter.runtime.postgres import Pool
from tests.support import until


@pytest.mark.parametrize("number", [1, 2])
async def test_each_test_has_a_migrated_database_of_its_own(pool: Pool, number: int) -> None:
    assert await pool.fetchval("SELECT count(*) FROM meter.shards") == 0
    await pool.execute("INSERT INTO meter.shards (shard) VALUES (0)")


async def test_an_empty_database_is_empty(empty_dsn: str) -> None:
    connection = await asyncpg.connect(empty_dsn)
    try:
        assert await connection.fetchval("SELECT to_regnamespace('meter')") is None
    finally:
        await connection.close()


@pytest.mark.parametrize("name", ["fsync", "synchronous_commit", "full_page_writes"])
async def test_postgres_is_durable(pool: Pool, name: str) -> None:
    assert await pool.fetchval("SELECT current_setting($1)", name) == "on"


async def send(mail: MailSink, recipient: str = "owner@example.com") -> None:
    await aiosmtplib.send(
        b"Message-ID: <1@example.com>\r\nSubject: hello\r\n\r\n.dot\r\n",
        sender="meter@example.com",
        recipients=[recipient],
        hostname=mail.host,
        port=mail.port,
        timeout=30,
    )


async def test_the_mail_sink_keeps_what_it_gets(mail: MailSink) -> None:
    await send(mail)
    assert mail.mails[0].message_id == "<1@example.com>"
    assert mail.mails[0].content.endswith(b"\r\n\r\n.dot\r\n")
    assert mail.sent_to("owner@example.com") == mail.mails


async def test_the_mail_sink_refuses_a_recipient_as_often_as_told(mail: MailSink) -> None:
    mail.rule("rcpt", "451 4.3.0 later", recipient="owner@example.com", times=1)
    await send(mail, "other@example.com")
    with pytest.raises(aiosmtplib.SMTPRecipientsRefused) as refused:
        await send(mail)
    assert refused.value.recipients[0].code == 451
    await send(mail)
    assert len(mail.mails) == 2


@pytest.mark.parametrize("phase", ["greeting", "ehlo", "mail", "rcpt", "data", "body", "dot"])
@pytest.mark.parametrize("keep", [False, True])
async def test_the_mail_sink_breaks_the_connection_where_told(mail: MailSink, phase: str, keep: bool) -> None:
    rule = mail.rule(phase, DROP, keep=keep)  # type: ignore[arg-type]
    with pytest.raises((aiosmtplib.SMTPException, OSError)):
        await send(mail)
    await until(lambda: rule.used, message="the rule was used")
    assert len(mail.mails) == (phase == "dot" and keep)


async def test_the_mail_sink_comes_back_on_the_same_port(mail: MailSink) -> None:
    port = mail.port
    mail.stop()
    with pytest.raises((aiosmtplib.SMTPException, OSError)):
        await send(mail)
    mail.start()
    await send(mail)
    assert mail.port == port
    assert len(mail.mails) == 1
