"""What `projections explain` shows, without a database."""

import io
import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console, Group
from typer.testing import CliRunner

from projections.cli import app
from projections.explain import Explanation, NotifierRecords, ShardProgress
from projections.explanation_rows import NOTICE_COLUMNS, describe_differences, notes, summarise
from projections.reader import Account
from projections.show_explanation import render, show_explanation
from projections.timeline import FieldDifference, Timeline
from projections.timeline_lines import Entry
from schemas.amounts import MICRO
from schemas.events import CODES
from tests.unit.projections.histories import THRESHOLDS

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
INFERENCE, OPENED, GRANTED, REVERSED = (
    CODES[name] for name in ("usage.model_inference.v1", "account.opened.v1", "credits.granted.v1", "usage.reversed.v1")
)
CLOSED, REOPENED = CODES["account.closed.v1"], CODES["account.reopened.v1"]
PLAN_CHANGED = CODES["account.plan_changed.v1"]
NO_NOTIFICATIONS = NotifierRecords(banners=[], notices=[], lines=[], emails=[], attempts=[])
ACCOUNT = Account(account_id="acct-1", plan="free", display_name=None, time_zone=None, state="open", opened_at=NOON)


def entry(position: int, type: int, credits: int, name: str = "", note: str | None = None) -> Entry:
    resource = None if type in (OPENED, CLOSED, REOPENED) else 1
    derived = name == "free_allowance"
    return Entry(position, f"event-{position}", type, resource, credits * MICRO, name, note, NOON, derived)


def explained(
    *entries: Entry,
    limit: int = 100,
    head: int = 9,
    notifications: NotifierRecords | None = NO_NOTIFICATIONS,
    differences: tuple[FieldDifference, ...] = (),
) -> Explanation:
    timeline = Timeline("acct-1", 0, THRESHOLDS, limit=limit)
    timeline.enter(entries)
    timeline.close()
    return Explanation(
        account_id="acct-1", progress=ShardProgress(0, 9, head), account=ACCOUNT, timeline=timeline, balances={},
        notifications=notifications, differences=differences,
    )  # fmt: skip


def shown(explanation: Explanation, width: int = 200, *, full_ids: bool = False) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    console.print(Group(*render(explanation, width=width, full_ids=full_ids)), crop=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


STORY = (
    entry(1, OPENED, 0, "free"),
    entry(2, GRANTED, 10, "free_allowance"),
    *(entry(number, INFERENCE, 4, f"model-{number}") for number in range(3, 10)),
    entry(10, GRANTED, 100, "top_up", "INV-1042"),
    entry(11, REVERSED, 1, "failed_run", "event-9"),
)


@pytest.mark.parametrize(
    "words",
    [
        "acct-1: plan free, opened 2026-11-24 12:00:00 UTC",
        "opened, plan free",
        "granted 10: free_allowance ",
        "used 28 in 7 events",
        "model_inference model-3: 4 in 1 event ",
        "and 2 more",
        "3–9",
        "reached 20 %",
        "reached 100 %",
        "refused from here on",
        "granted 100: top_up, INV-1042; 10 granted before are used up and drop out",
        "allowed from here on",
        "reversed 1: failed_run, of event event-9",
    ],
)
def test_people_read_what_happened(words: str) -> None:
    assert words in shown(explained(*STORY))


@pytest.mark.parametrize("width", [80, 90, 100, 110, 120, 160])
def test_long_names_are_told_apart(width: int) -> None:
    """They stand indented below what they are part of."""
    names = [f"small-chat-with-rather-long-name-{end}" for end in "ab"]
    used = [
        entry(n, INFERENCE, 1, names[n % 2])._replace(event_id=f"0193a1f2-7c00-7000-8000-{n:012}") for n in range(3, 9)
    ]
    text = shown(explained(*STORY[:2], *used), width)
    assert all(f"{name}:" in text for name in names), text


def test_a_terminal_gets_the_newest_and_what_was_left_out() -> None:
    notice = dict.fromkeys(NOTICE_COLUMNS) | {"resource": "model_credits", "epoch": 1}
    notices = [notice | {"threshold": line} for line in (50, 20)]
    explanation = explained(*STORY, notifications=replace(NO_NOTIFICATIONS, notices=notices))
    short = "\n".join(text_of(part) for part in render(explanation, width=80, everything=False))
    assert "reversed 1: failed_run" in short and "granted 10: free_allowance" not in short
    lines = sum(len(timeline.lines.newest) for timeline in explanation.timeline.resources.values())
    assert f"Left out: {lines - 6} older lines of the timeline, 2 notices. With --all they are shown." in short
    assert "Left out" not in shown(explanation)


def test_what_made_the_state_is_shown_with_what_followed_from_it() -> None:
    """One event that reaches every line has more of them behind it than a terminal is shown."""
    usage = [entry(number, INFERENCE, 1, "large") for number in (3, 4)]
    story = (*STORY[:2], *usage, entry(5, GRANTED, 100, "top_up", "INV-1042"), entry(6, INFERENCE, 107, "large"))
    short = "\n".join(text_of(part) for part in render(explained(*story), width=80, everything=False))
    assert "used 107 in 1 event" in short and "reached 90 %" in short, short


def text_of(part: object) -> str:
    console = Console(file=io.StringIO(), width=200, force_terminal=False)
    console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_what_is_true_at_the_start_of_an_epoch_says_so() -> None:
    assert "reached 20 % at the start of the epoch" in shown(
        explained(entry(0, OPENED, 0), entry(1, GRANTED, 10), entry(2, INFERENCE, 4), entry(3, GRANTED, 1))
    )


def test_a_closed_account_is_said_to_be_refused_for_that() -> None:
    story = (*STORY[:3], entry(4, CLOSED, 0), entry(5, INFERENCE, 1))
    explanation = replace(explained(*story), account=replace(ACCOUNT, state="closed"))
    text = shown(explanation)
    assert "opened 2026-11-24 12:00:00 UTC, closed" in text
    assert "refused from here on: the account is closed" in text
    assert summarise(explanation)[0].startswith(
        "model_credits: 5 of 10 credits left in epoch 1 (50 % used); refused, because the account is closed, since "
        "position 4"
    )
    assert "allowed from here on" in shown(explained(*story, entry(6, REOPENED, 0))).partition("closed")[2]


@pytest.mark.parametrize(("before", "is_marked"), [("team", True), ("free", False), (None, False)])
def test_an_opening_whose_plan_does_not_count_is_marked(before: str | None, is_marked: bool) -> None:
    """What came before the opening wins: "plan team" stood in the heading, and "opened, plan free" below it."""
    kept = [] if before is None else [Entry(1, "event-1", PLAN_CHANGED, None, 0, before, None, NOON, False)]
    text = shown(explained(*kept, entry(2, OPENED, 0, "free"), entry(3, GRANTED, 10)))
    assert "opened, plan free" in text
    assert ("opened, plan free, left out: plan team was given before" in text) == is_marked


def test_no_control_sequence_of_a_name_reaches_the_terminal() -> None:
    hostile = "\x1b[2J{name}[bold]\t"
    text = shown(explained(entry(1, GRANTED, 1, hostile, hostile), entry(2, INFERENCE, 1, hostile)))
    assert "\x1b" not in text and "\t" not in text
    assert "{name}[bold]" in text


@pytest.mark.parametrize(
    ("entries", "sentence"),
    [
        (STORY[:2], "model_credits: 10 of 10 credits left in epoch 1 (0 % used); allowed since position 2, "),
        (STORY[:9], "model_credits: -18 of 10 credits left in epoch 1 (280 % used); refused since position 5, "),
        (STORY[2:3], "model_credits: refused, because the account was never opened; 4 credits used all the same"),
        (
            STORY[1:3],
            "model_credits: refused, because the account was never opened; 10 credits granted, which count from",
        ),
        ((STORY[0], STORY[2]), "model_credits: refused, because nothing was ever granted; 4 credits used all the same"),
        (
            (STORY[0], entry(2, INFERENCE, 20), entry(3, GRANTED, 5)),
            "model_credits: -15 of 0 credits left in epoch 1; refused",
        ),
    ],
    ids=["allowed", "refused", "never opened", "kept", "never granted", "swallowed"],
)  # fmt: skip
def test_one_sentence_says_how_it_stands(entries: tuple[Entry, ...], sentence: str) -> None:
    [said] = summarise(explained(*entries))
    assert said.startswith(sentence)


@pytest.mark.parametrize(
    ("explanation", "words"),
    [
        (explained(*STORY, limit=2), "older lines of the timeline are left out: see --limit"),
        (explained(*STORY, head=12), "stored and not folded yet: 3 events of shard 0"),
        (explained(*STORY, notifications=None), "use credit_support there to see them"),
    ],
    ids=["limit", "behind", "role"],
)
def test_what_is_not_shown_is_said(explanation: Explanation, words: str) -> None:
    [note] = notes(explanation)
    assert words in note
    assert notes(explained(*STORY)) == []


def test_a_difference_comes_with_advice(capsys: pytest.CaptureFixture[str]) -> None:
    explanation = explained(*STORY, differences=(FieldDifference(1, "consumed", "5", "4"),))
    assert "projections verify" in describe_differences(explanation)[-1]
    show_explanation(explanation, as_json=True)
    out, err = capsys.readouterr()
    assert "DIFFERENCE: model_credits consumed: stored 5, by the log 4" in err
    document = json.loads(out)
    assert document["equal"] is False
    assert document["differences"] == [{"resource": "model_credits", "field": "consumed", "stored": "5", "log": "4"}]


@pytest.mark.parametrize(
    ("stored", "log", "words"),
    [
        (None, "a balance", "stored nothing, by the log a balance"),
        ("a balance", None, "stored a balance, by the log nothing"),
    ],
)
def test_a_balance_on_one_side_only_is_said(stored: str | None, log: str | None, words: str) -> None:
    said = describe_differences(explained(*STORY, differences=(FieldDifference(1, "balance", stored, log),)))
    assert said[0] == f"DIFFERENCE: model_credits balance: {words}"


@pytest.mark.parametrize("width", [90, 120, 200])
def test_event_ids_are_whole_at_any_width_where_that_is_asked_for(width: int) -> None:
    id = "0193a1f2-7c00-7000-8000-000000000001"
    granted = explained(STORY[0], entry(2, GRANTED, 1000, "a long reason " * 5)._replace(event_id=id))
    text = shown(granted, width, full_ids=True)
    assert text.partition("Timeline")[2].count(id) == 2  # the grant, and that it allows


def test_event_ids_are_shortened_where_a_timeline_has_no_room_for_them() -> None:
    ids = [f"0193a1f2-7c00-7000-8000-00000000000{n}" for n in range(2)]
    story = [entry(n + 2, GRANTED, 1000, "a long reason " * 5)._replace(event_id=id) for n, id in enumerate(ids)]
    text = shown(explained(STORY[0], *story), 110)
    timeline = text.partition("Timeline")[2]
    assert not any(id in timeline for id in ids) and "what happened" in timeline.splitlines()[2]
    assert "…00000" in timeline and "--full-ids shows them whole" in text
    assert max(map(len, text.splitlines())) <= 110


def test_80_columns_show_who_knows_of_a_line_in_words() -> None:
    letter = "8a9e9b4c-98c4-5f5d-9a76-0b9a3f6f1a11"
    says = f"told by letter {letter} at 2026-11-24 12:00:03 UTC"
    line = {
        "resource": "model_credits", "epoch": 1, "line": 90, "reached_at": NOON, "contact": "owner@example.com",
        "says": says, "state": "told", "reason": None, "letter": letter, "at": NOON,
    }  # fmt: skip
    records = replace(NO_NOTIFICATIONS, lines=[line])
    text = shown(explained(*STORY, notifications=records), 80).partition("Lines")[2]
    assert max(map(len, text.splitlines())) <= 80
    assert says in " ".join(text.split()) and text.count(letter) == 1 and "owner@example.com" in text


def test_a_pipe_gets_one_width_per_section(capsys: pytest.CaptureFixture[str]) -> None:
    show_explanation(explained(*STORY), as_json=False)
    widths: dict[str, set[int]] = {}
    for line in capsys.readouterr().out.splitlines():
        cells = line.split("\t")
        widths.setdefault(cells[0], set()).add(len(cells))
    assert all(len(found) == 1 for found in widths.values())
    assert {"account", "summary", "timeline", "usage", "notices", "emails", "balances"} <= widths.keys()


def test_the_help_has_an_example() -> None:
    done = CliRunner().invoke(app, ["explain", "--help"])
    assert done.exit_code == 0
    assert "projections explain acc-1" in done.output.split("Example")[1]


@pytest.mark.parametrize("arguments", [[], ["acc-1", "--limit", "0"], ["acc-1", "--resource", "gold"]])
def test_a_wrong_option_ends_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["explain", *arguments]).exit_code == 2


def test_remarks_are_shown_at_80_columns_and_obey_nothing() -> None:
    remark = {
        "offset": 3,
        "field": "plan\x1b[2J",
        "reason": "cannot change by a second opening",
        "recorded_at": NOON,
    }
    text = shown(replace(explained(*STORY), remarks=[remark]), width=80)
    assert "Remarks" in text and "cannot change by a second" in text
    assert "\x1b" not in text and "plan\\x1b[2J" in text
    assert all(len(line) <= 80 for line in text[text.index("Remarks") :].splitlines())


def test_what_is_kept_until_the_opening_says_so() -> None:
    plan = Entry(1, "event-1", CODES["account.plan_changed.v1"], None, 0, "team", None, NOON, False)
    contacts = plan._replace(position=2, type=CODES["account.contacts_changed.v1"], name="")
    text = shown(explained(plan, contacts))
    assert "plan changed team: kept until the account is opened" in text
    assert "contacts changed: kept until the account is opened" in text
