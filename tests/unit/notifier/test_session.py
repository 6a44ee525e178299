"""One SMTP conversation with a server that fails at every step: the phase and the reply must come out right."""

import asyncio

import pytest

from notifier.mail.session import SmtpSession, quote_body
from notifier.mail.verdict import Phase, Result
from tests.support import until
from tests.unit.notifier.conversing import MESSAGE, SILENCE_S, answer, converse, server
from tests.unit.notifier.scripted import DROP, HANG, LATE, Script, serving


async def test_a_mail_is_accepted() -> None:
    script = Script()
    result = await converse(script)
    assert result == Result(Phase.DOT, 250, "accepted")
    assert script.bodies == [b"Subject: hello\r\n\r\n..dots\r\nand more\r\n"]
    assert script.seen == [
        "EHLO example.com", "MAIL FROM:<from@example.com>", "RCPT TO:<to@example.com>", "DATA", "QUIT",
    ]  # fmt: skip


@pytest.mark.parametrize("phase", ["ehlo", "mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("reply", ["421 4.3.2 going down", "451 4.3.0 later", "550 5.1.1 never", "999 what"])
async def test_a_refusal_is_told_with_its_phase_and_code(phase: str, reply: str) -> None:
    result = await converse(Script({phase: [reply]}))
    assert result is not None
    assert (result.phase, result.code) == (Phase(phase), int(reply[:3]))
    assert result.detail == reply[4:]


@pytest.mark.parametrize(("phase", "told"), [
    ("greeting", Phase.CONNECT), ("ehlo", Phase.EHLO), ("mail", Phase.MAIL), ("rcpt", Phase.RCPT), ("data", Phase.DATA),
    ("dot", Phase.DOT),
])  # fmt: skip
@pytest.mark.parametrize("how", [DROP, HANG, "not an SMTP reply"])
async def test_a_lost_connection_a_silent_server_and_nonsense_have_a_phase_and_no_code(
    phase: str, told: Phase, how: str
) -> None:
    own = "dot_timeout_s" if phase == "dot" else "timeout_s"
    result = await converse(Script({phase: [how]}), **({own: SILENCE_S} if how == HANG else {}))
    assert result is not None
    assert (result.phase, result.code, result.setup) == (told, None, False)
    assert result.handed_over == (told is Phase.DOT)


@pytest.mark.parametrize(("reply", "code"), [("421 too busy", 421), ("554 go away", 554)])
async def test_a_greeting_that_refuses(reply: str, code: int) -> None:
    result = await converse(Script({"greeting": [reply]}))
    assert result is not None and (result.phase, result.code) == (Phase.CONNECT, code)


async def test_nobody_listens() -> None:
    script = Script()
    async with serving(script):
        pass
    result = await SmtpSession(server(script)).open()
    assert result is not None and (result.phase, result.code, result.setup) == (Phase.CONNECT, None, False)


async def test_a_connection_lost_before_the_dot_is_not_in_doubt() -> None:
    script = Script()
    async with serving(script):
        session = SmtpSession(server(script))
        assert await session.open() is None

        async def lose() -> bool:
            assert session._client is not None and session._client.protocol is not None
            lost = session._client.protocol
            lost.transport.abort()  # type: ignore[union-attr]
            return await until(lambda: not lost.is_connected, message="the connection stays")

        result = await session.deliver("from@example.com", "to@example.com", MESSAGE, lose)
        assert result is not None and result.phase is Phase.BODY and not result.handed_over
        assert script.bodies == [] and not session.is_open


async def test_a_server_that_gives_up_during_the_body_has_not_accepted_it() -> None:
    script = Script(during_body="421 4.4.2 too slow")
    result = await converse(script)
    assert result is not None and result.code == 421 and not result.handed_over
    assert script.bodies == []


async def test_a_no_before_the_dot_keeps_the_mail_from_being_accepted() -> None:
    script = Script()
    async with serving(script):
        session = SmtpSession(server(script))
        assert await session.open() is None
        assert await session.deliver("from@example.com", "to@example.com", MESSAGE, answer(False)) is None
        assert script.bodies == [] and not session.is_open


async def test_the_last_reply_has_a_deadline_of_its_own() -> None:
    script = Script({"dot": [HANG]})
    async with serving(script):
        session = SmtpSession(server(script, dot_timeout_s=SILENCE_S))
        assert await session.open() is None
        result = await session.deliver("from@example.com", "to@example.com", MESSAGE, answer(True))
        assert result is not None and result.handed_over


async def test_a_reply_to_the_dot_may_take_longer_than_any_other() -> None:
    script = Script({"dot": [LATE]})
    async with serving(script):
        session = SmtpSession(server(script, timeout_s=SILENCE_S))
        assert await session.open() is None
        delivering = asyncio.create_task(session.deliver("from@example.com", "to@example.com", MESSAGE, answer(True)))
        await script.dot_seen.wait()
        asyncio.get_running_loop().call_later(1.5 * SILENCE_S, script.release.set)
        assert await delivering == Result(Phase.DOT, 250, "at last")
        await session.close()


async def test_the_session_is_used_again_after_a_refusal() -> None:
    script = Script({"rcpt bad@example.com": ["550 5.1.1 no such user"]})
    async with serving(script):
        session = SmtpSession(server(script))
        assert await session.open() is None
        refused = await session.deliver("from@example.com", "bad@example.com", MESSAGE, answer(True))
        assert refused is not None and refused.code == 550 and session.is_open
        for _ in range(2):
            accepted = await session.deliver("from@example.com", "good@example.com", MESSAGE, answer(True))
            assert accepted is not None and accepted.code == 250
        await session.close()
    assert script.connections == 1 and script.commands("rset") == ["RSET"] and len(script.bodies) == 2


def test_leading_dots_are_doubled_and_the_end_is_a_line_end() -> None:
    assert quote_body(b".a\r\n..b\r\nc.") == b"..a\r\n...b\r\nc.\r\n"
