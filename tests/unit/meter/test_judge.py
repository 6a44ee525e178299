"""Events are judged before anything is live: the parser's verdict, in the words of a rejection."""

import errno
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from meter.check_cli import read_events
from meter.cli import app
from meter.judge import Judge, split_events
from schemas.parsing.parse import parse
from schemas.reasons import InvalidEventError
from schemas.records import Limits, Record, Rejected
from schemas.topics import ACCOUNTS, USAGE

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
LIMITS = Limits(partitions=12)
EVENT: dict[str, Any] = {
    "specversion": "1.0", "id": "1", "source": "//example.com/a", "type": "usage.tool_run.v1", "subject": "acct-1",
    "time": "2026-03-01T12:00:00Z", "data": {"tool": "search"},
}  # fmt: skip
OPENED = {"type": "account.opened.v1", "data": {"plan": "free", "contacts": ["owner@example.com"]}}


def event(**changes: Any) -> bytes:
    return json.dumps(EVENT | changes).encode()


def test_a_good_event_is_accepted_whatever_partition_its_account_has() -> None:
    for account in ("acct-1", "acct-2", "acct-3", "acct-4"):
        judged = Judge(LIMITS).judge(1, event(subject=account), NOW)
        assert (judged.verdict, judged.account_id, judged.topic) == ("accepted", account, USAGE)


BAD = [
    event(data={"tool": ""}), event(type="nope"), event(data={"runs": -1, "tool": "x"}),
    event(time="2020-01-01T00:00:00Z"),
    event(type="usage.guardrail.v1", data={"guardrail": "g", "credits": 0.1 + 0.2}), b"{", b"[]", b"", event(id="\x00"),
    event(source="/credit-meter/meter"), b'{"specversion":"1.0","specversion":"1.0"}',
]  # fmt: skip


@pytest.mark.parametrize("value", BAD, ids=range(len(BAD)))
def test_a_refusal_has_the_words_of_the_rejection(value: bytes) -> None:
    rejected = parse(Record(USAGE, 0, 0, 1_772_366_400_000, b"acct-1", value, ()), NOW, Limits(partitions=1))
    assert isinstance(rejected, Rejected)
    judged = Judge(LIMITS).judge(7, value, NOW)
    assert judged.verdict == "refused"
    assert judged.sentence() == f"line 7: refused: {InvalidEventError(rejected.reason, rejected.detail)}"


def test_the_topic_follows_the_type_unless_it_is_given() -> None:
    assert Judge(LIMITS).judge(1, event(**OPENED), NOW).topic == ACCOUNTS
    assert Judge(LIMITS, ACCOUNTS).judge(1, event(**OPENED), NOW).verdict == "accepted"
    assert Judge(LIMITS, USAGE).judge(1, event(**OPENED), NOW).reason == "wrong_topic"
    assert Judge(LIMITS, ACCOUNTS).judge(1, event(), NOW).reason == "wrong_topic"


def test_repeats_and_reused_ids_are_found_within_the_file() -> None:
    judge = Judge(LIMITS)
    judged = [
        judge.judge(1, event(), NOW),
        judge.judge(2, event(), NOW),
        judge.judge(3, event(data={"tool": "other"}), NOW),
        judge.judge(4, event(subject="acct-2"), NOW),
    ]
    assert [one.verdict for one in judged] == ["accepted", "repeat", "refused", "accepted"]
    assert judged[2].reason == "id_reused" and "on line 1" in str(judged[2].detail)


def test_what_would_be_left_out_is_said() -> None:
    judged = Judge(LIMITS).judge(1, event(data={"tool": "x", "status": 5}), NOW)
    assert judged.verdict == "accepted" and "status" in judged.sentence()


def test_lines_and_documents_are_told_apart() -> None:
    lines = event() + b"\n\n" + event(id="2") + b"\r\n"
    assert list(split_events(io.BytesIO(lines))) == [(1, event()), (3, event(id="2"))]
    pretty = json.dumps(EVENT, indent=2).encode()
    [(number, value)] = split_events(io.BytesIO(b"\n" + pretty))
    assert number == 2 and json.loads(value) == EVENT
    assert list(split_events(io.BytesIO(b"garbage\n" + event()))) == [(1, b"garbage"), (2, event())]
    assert list(split_events(io.BytesIO(b" \n"))) == []


def test_the_command_ends_with_1_when_one_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "events.jsonl"
    file.write_bytes(event(time=None) + b"\n" + event(id="2", time=None, type="nope"))
    done = CliRunner().invoke(app, ["check", str(file), "--json"])
    assert done.exit_code == 1
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["verdict"] for line in lines] == ["accepted", "refused"]
    assert lines[1]["reason"] == "unknown_type"
    assert "2 events: 1 accepted, 1 refused" in done.stderr


def test_the_command_reads_stdin_and_ends_with_0() -> None:
    done = CliRunner().invoke(app, ["check", "-"], input=event(time=None))
    assert (done.exit_code, done.stdout) == (0, "line 1: accepted: usage.tool_run.v1 of acct-1, id 1\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "-"], "no event in stdin"),
        (["check", "/nonexistent/file"], "No such file"),
        (["check", "-", "--topic", "metering.balances"], "metering.usage"),
    ],
)
def test_what_cannot_be_judged_is_a_failure(arguments: list[str], said: str) -> None:
    done = CliRunner().invoke(app, arguments, input="")
    assert done.exit_code == 2 and said in done.stderr


def test_control_characters_do_not_reach_the_terminal() -> None:
    done = CliRunner().invoke(app, ["check", "-"], input=event(type="\x1b[31m\x9b").replace(b"\\u001b", b"\x1b"))
    assert "\x1b" not in done.stdout and "\x9b" not in done.stdout


@pytest.mark.parametrize("exists", [True, False])
def test_a_file_is_named_without_what_a_terminal_would_obey(tmp_path: Path, exists: bool) -> None:
    file = tmp_path / "events\x1b[31m\x9b\n\udcff"
    if exists:
        file.touch()
    done = CliRunner().invoke(app, ["check", str(file)])
    assert done.exit_code == 2 and done.stderr.count("\n") == 1
    assert "events\\x1b[31m\\x9b\\n\\udcff" in done.stderr


class Broken(io.RawIOBase):
    def readable(self) -> bool:
        return True

    def readinto(self, _buffer: object) -> int:
        raise OSError(errno.EIO, "Input/output error")


@pytest.mark.parametrize(("file", "name"), [("events.jsonl", "events.jsonl"), ("-", "stdin")])
def test_a_file_that_fails_while_it_is_read_is_named(file: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """And not Postgres, which nobody asked."""
    with pytest.raises(typer.Exit) as end:
        list(read_events(file, io.BufferedReader(Broken())))
    assert end.value.exit_code == 2
    assert capsys.readouterr().err.startswith(f"{name}: Input/output error. Give a file that can be read")


def test_the_limits_are_those_of_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    many = event(data={"tool": "x", "runs": 10_001}, time=None)
    assert "amount_above_limit" in CliRunner().invoke(app, ["check", "-"], input=many).stdout
    monkeypatch.setenv("METERING_MAX_USAGE_RUNS", "20000")
    assert CliRunner().invoke(app, ["check", "-"], input=many).exit_code == 0
